"""Likelihood: the base of all p(x | z)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from pyro.distributions.torch_distribution import TorchDistribution, TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.declared import Declared
from pyrovae.heads import Head
from pyrovae.numeric import is_count

Shape = tuple[int, ...]


class Likelihood(Declared, nn.Module, ABC):
    """The distribution p(x | z) of the data given the raw numbers that a network makes of z.

    A likelihood of your own keeps each constructor argument under its name, sets `event_shape` and
    `head`, and returns a Pyro distribution of that event shape from `forward`. What it returns is
    a normalised density or mass function, with all constants.

    Arguments:
        event_shape: the shape of one x, an attribute that the subclass sets.
        head: the raw numbers it needs, an attribute that the subclass sets.
        fill: what stands in for missing entries of x, a number inside the support, or one for each
            element; they are not scored, but the encoder sees it.
    """

    event_shape: Shape
    head: Head
    fill: float | Tensor = 0.0

    @abstractmethod
    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z), of the raw numbers' batch shape and event shape `event_shape`.

        Arguments:
            raw: the decoder's output, of shape `[*batch, *head.out_shape(event_shape)]`.
            context: what else is known.
        """

    def bind(self, latent_shape: Shape) -> None:
        """Learn the shape of one z; called once, when the model is built."""

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """Set starting values from data; called once in a model's life, by its first fit.

        Returns:
            Raw numbers of shape `[*head.out_shape(event_shape)]` to begin at, or None.
        """
        return None

    def inputs(self, x: Tensor) -> Tensor:
        """Return x as the encoder sees it, of the same shape, standardised or as logarithms.

        The pseudo-inputs of a prior made of posteriors are such inputs, not data.
        """
        return x

    def typical(self, x_given_z: TorchDistributionMixin) -> Tensor:
        """Return the one value that stands for p(x | z): its mean; for codes, the likeliest."""
        mean: Tensor = x_given_z.mean
        return mean

    def scorer(self, element: tuple[int, ...]) -> "Likelihood":
        """Return the likelihood that scores an element of x: itself, if it has no parts."""
        return self

    def remedy(self) -> str:
        """Return what to do with data outside the support, for the error that says so."""
        return "choose a likelihood whose support holds the data, or transform the data"

    def over_elements(self, elements: TorchDistribution, context: Context) -> TorchDistribution:
        """Return independent elements as one event, of which the observed ones are scored."""
        if context.observed is not None:
            elements = elements.mask(context.observed)
        return elements.to_event(len(self.event_shape))


def shape_of(likelihood: Likelihood, event_shape: Shape | int) -> Shape:
    """Return an event shape as a tuple, checked to hold positive integers."""
    shape = tuple(event_shape) if isinstance(event_shape, list | tuple) else (event_shape,)
    if not all(map(is_count, shape)):
        raise ValueError(
            f"{type(likelihood).__name__} expects event_shape to be the shape of one x, such as "
            f"(1, 28, 28); got {event_shape!r}"
        )
    return shape


def mean_of(batch: Mapping[str, Tensor], power: int = 1) -> Tensor:
    """Return the mean over the batch of x to a power, of the observed entries, elementwise."""
    values = batch["x"].double() ** power
    if "observed" not in batch:
        return values.mean(0)
    known = batch["observed"].double()
    return (values * known).sum(0) / known.sum(0).clamp(min=1.0)

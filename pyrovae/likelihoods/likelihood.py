"""Likelihood: the base of all p(x | z)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from pyro.distributions import Independent, MaskedDistribution
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
        codes: whether the elements of x are codes, of which no mean is worth the name.
        fits_data: whether `forward` looks at `context.x` in training, for a parameter that has a
            closed form.
    """

    event_shape: Shape
    head: Head
    fill: float | Tensor = 0.0
    fits_data: bool = False
    codes: bool = False

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

    def coded(self) -> Tensor:
        """Return which elements of x are codes, boolean, of shape `event_shape`."""
        return torch.full(tuple(self.event_shape), self.codes)

    def scorer(self, element: tuple[int, ...]) -> "Likelihood":
        """Return the likelihood that scores an element of x: itself, if it has no parts."""
        return self

    def quantile(self, x_given_z: TorchDistributionMixin, probability: Tensor | float) -> Tensor:
        """Return the quantiles of each element of x given z, as if it stood alone.

        Of counts and codes it is the smallest value whose cumulative probability reaches the given
        one. An element that is not observed has its quantiles as well.

        Arguments:
            x_given_z: what `forward` returned.
            probability: from 0 to 1, of a shape that broadcasts with `[*batch, *event_shape]`.

        Raises:
            ValueError: a probability lies outside of 0 to 1, or this p(x | z) has no quantiles.

        Example:
            >>> from pyrovae.likelihoods import Normal
            >>> likelihood = Normal((2,), scale=2.0)
            >>> p = likelihood(torch.zeros(2), Context())
            >>> likelihood.quantile(p, 0.8413447)
            tensor([2.0000, 2.0000])
        """
        given = torch.as_tensor(probability, dtype=torch.float64, device="cpu")
        if not bool(((given >= 0.0) & (given <= 1.0)).all()):
            raise ValueError(f"quantile expects probabilities from 0 to 1; got {probability!r}")
        shape = torch.Size(x_given_z.batch_shape) + torch.Size(x_given_z.event_shape)
        tried: Any = x_given_z
        while True:
            try:
                found = _quantile(tried, given)
                return found.expand(torch.broadcast_shapes(found.shape, shape))
            except NotImplementedError:
                if isinstance(tried, Independent | MaskedDistribution):
                    tried = tried.base_dist
                    continue
                message = (
                    f"{self!r} has no quantiles: {type(tried).__name__} does not define "
                    f"icdf(probability), the inverse of the cumulative distribution function of "
                    f"each element; take those of draws"
                )
            raise ValueError(message)

    def given(self, raw: Tensor, x: Tensor, context: Context) -> TorchDistributionMixin:
        """Return `p(x' | z, x_known)`, which the missing entries of x follow.

        Elements that are independent given z follow `p(x | z)`; a likelihood whose elements are not
        returns the conditional distribution instead. What it says of the known ones is not read.

        Arguments:
            raw: the decoder's output, of shape `[*batch, *head.out_shape(event_shape)]`.
            x: the data, of a shape that broadcasts with `[*batch, *event_shape]`.
            context: what else is known, `observed` among it.
        """
        return self(raw, replace(context, observed=None))

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


def spread_of(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance over the batch of x, of the observed entries, elementwise.

    A variance is at least 1e-6, so that a scale can begin at it.
    """
    mean = mean_of(batch)
    around = {**batch, "x": batch["x"].double() - mean}
    return mean, mean_of(around, power=2).clamp(min=1e-6)


def relative_spread_of(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean of positive x, and the square of its coefficient of variation, elementwise.

    An element that is nowhere observed gets a mean of one.
    """
    mean = mean_of(batch)
    mean = torch.where(mean > 0.0, mean, 1.0)
    around = {**batch, "x": batch["x"].double() / mean - 1.0}
    return mean, mean_of(around, power=2).clamp(1e-4, 1e4)


def logarithm(x: Tensor) -> Tensor:
    """Return log x of positive numbers, finite for all that the precision has."""
    return x.clamp(min=torch.finfo(x.dtype).tiny).log()


def without_zeros() -> str:
    """Return what to do with zeros among positive numbers."""
    return (
        "where a zero stands for too little to be measured, put half of the least amount that "
        "could have been; where it means that there is none, declare it missing, or choose a "
        "likelihood that has zeros, such as Normal; negative numbers need Normal"
    )


def _quantile(distribution: Any, probability: Tensor) -> Tensor:
    """Return what a distribution says, in the type of its parameters."""
    held = (value for value in vars(distribution).values() if isinstance(value, Tensor))
    parameter = next((value for value in held if value.is_floating_point()), None)
    if parameter is None:
        found: Tensor = distribution.icdf(probability)
        return found
    if parameter.device.type == "mps":  # which has no float64
        probability = probability.float()
    found = distribution.icdf(probability.to(parameter.device))
    return found.to(parameter.dtype)

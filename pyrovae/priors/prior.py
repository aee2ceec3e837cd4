"""Prior: the base of all p(z)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.declared import Declared
from pyrovae.numeric import is_count, limit

Shape = tuple[int, ...]


class Prior(Declared, nn.Module, ABC):
    """The distribution p(z) of a latent variable, or p(z | y) given the context's condition.

    A prior of your own keeps each constructor argument under its name, sets `event_shape`, and
    returns a Pyro distribution of that event shape from `forward`.

    Arguments:
        event_shape: the shape of one z, an attribute that the subclass sets.
        conditional: whether it is p(z | y), and needs the context's condition y.
    """

    event_shape: Shape
    conditional: bool = False

    @abstractmethod
    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z), of batch shape `()` or `[*batch]` and event shape `event_shape`."""

    def bind(self, data_shape: Shape) -> None:
        """Learn the shape of one x; called once, when the model is built."""

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Set starting values from data; called once in a model's life, by its first fit."""


def dimension(prior: Prior, dim: int) -> Shape:
    """Return the event shape `(dim,)`, checked to be a positive integer."""
    return (count(prior, "dim", dim),)


def count(prior: Prior, name: str, value: int) -> int:
    """Return a constructor argument, checked to be a positive integer."""
    if not is_count(value):
        raise ValueError(
            f"{type(prior).__name__} expects {name} to be a positive integer{limit(value)}; "
            f"got {value!r}"
        )
    return value

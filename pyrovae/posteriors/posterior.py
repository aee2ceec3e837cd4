"""Posterior: the base of all q(z | x)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.declared import Declared
from pyrovae.heads import Head

Shape = tuple[int, ...]


class Posterior(Declared, nn.Module, ABC):
    """The amortized distribution q(z | x), given the raw numbers that a network makes of x.

    A posterior of your own keeps each constructor argument under its name, sets `head`, and
    returns a Pyro distribution with a reparameterised draw from `forward`. The shape of one z is
    the prior's; the model sets `event_shape` when it is built, and then calls `bind`, where
    modules that depend on it can be made.

    Arguments:
        event_shape: the shape of one z, set by the model.
        head: the raw numbers it needs, an attribute that the subclass sets; `Head()` for none, in
            a model without an encoder.
        enumerated: whether every value of z is visited in place of a draw; the distribution then
            has `enumerate_support`, and needs no reparameterised draw.
        reparameterised: whether draws carry the gradient of the raw numbers. A class of draws that
            carry none sets it to False, and is trained by objectives that need none, such as
            `ELBO(estimator="score")`, `IWAE(estimator="vimco")` and `ReweightedWakeSleep()`.
    """

    event_shape: Shape
    head: Head
    enumerated: bool = False
    reparameterised: bool = True

    @abstractmethod
    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x), of the raw numbers' batch shape and event shape `event_shape`.

        Arguments:
            raw: the encoder's output, of shape `[*batch, *head.out_shape(event_shape)]`.
            context: what else is known.
        """

    def bind(self, data_shape: Shape) -> None:
        """Learn the shape of one x, with `event_shape` set; called once, by the model."""

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Set starting values from data; called once in a model's life, by its first fit."""

"""Model: the base of the pairs of Pyro programs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pyrovae.declared import Declared
from pyrovae.models.decoded import Score
from pyrovae.models.program import Scope, program, register
from pyrovae.objectives import is_local

Shape = tuple[int, ...]


class Model(Declared, nn.Module, ABC):
    """A generative model and its guide, two Pyro programs over one set of networks.

    A subclass declares its methods `model` and `guide` with `program`; both begin with
    `self.register()`, and all their sample statements stand in the plate `data`.

    Arguments:
        event_shape: the shape of one x, an attribute that the subclass sets.
    """

    event_shape: Shape
    prepared: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._scope = Scope()
        self.register_buffer("prepared", torch.tensor(False))

    @program
    @abstractmethod
    def model(self, x: Tensor | None = None, **batch: Any) -> Tensor:
        """The generative program."""

    @program
    @abstractmethod
    def guide(self, x: Tensor | None = None, **batch: Any) -> Any:
        """The amortized posterior's program."""

    @abstractmethod
    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let the parts set their starting values from data."""

    @abstractmethod
    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise ValueError where data cannot be scored by the model's likelihood."""

    def fixed(
        self,
        x: Tensor,
        *,
        y: Tensor | None = None,
        observed: Tensor | None = None,
        index: Tensor | None = None,
        score: Score | None = None,
    ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return `model` and `guide` for one batch, with what follows from it made beforehand.

        For many runs on the same data and parameters, to score them: both programs take, and
        ignore, the batch. A model that makes nothing beforehand leaves this method as it is.

        Arguments:
            x: the data, of shape `[batch, *event_shape]`.
            y: their labels.
            observed: which entries of x are known.
            index: which datum each row is.
            score: scores a part of the draws, by default as it is.
        """
        return self.model, self.guide

    def evidence(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return what of a batch log p(x) is given; a model that sums over labels leaves them out.

        Arguments:
            batch: the batch as the data have it.
        """
        return batch

    def register(self) -> None:
        """Register the networks of the whole model with Pyro; both programs begin with it."""
        if not is_local(self):
            register(self, self._scope)

    def __getstate__(self) -> dict[str, Any]:
        for parameter in self.parameters():  # a weak reference that Pyro's store leaves there
            parameter.__dict__.pop("unconstrained", None)
        return self.__dict__.copy()

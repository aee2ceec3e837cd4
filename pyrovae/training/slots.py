"""Slots: where a module holds its parameters and buffers, to look them up and to exchange them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class Slots:
    """The places of a module's parameters and buffers, each tensor once.

    `torch.func.functional_call` exchanges them too, but leaves the exchanged tensors behind in a
    module that is reached in two ways, as a model is through its two programs.

    Arguments:
        module: the module, whose submodules are not replaced later on.

    Example:
        >>> import torch
        >>> layer = nn.Linear(1, 1)
        >>> slots = Slots(layer)
        >>> with slots.exchanged([torch.ones(1, 1), torch.zeros(1)]):
        ...     layer(torch.ones(1, 1)).item()
        1.0
    """

    def __init__(self, module: nn.Module) -> None:
        places: dict[int, list[tuple[dict[str, Any], str]]] = {}
        for kind in ("_parameters", "_buffers"):
            for part in module.modules():
                held = getattr(part, kind)
                for name, tensor in held.items():
                    if tensor is not None:  # one tensor may be held in several places
                        places.setdefault(id(tensor), []).append((held, name))
        self._places = list(places.values())
        self._first = [first for first, *_ in self._places]

    def tensors(self) -> list[Tensor]:
        """Return the tensors that are there now."""
        return [held[name] for held, name in self._first]

    @contextmanager
    def exchanged(self, tensors: Sequence[Tensor]) -> Iterator[None]:
        """Put other tensors in the places inside this context."""
        before = self.tensors()
        self._put(tensors)
        try:
            yield
        finally:
            self._put(before)

    def _put(self, tensors: Sequence[Tensor]) -> None:
        for places, tensor in zip(self._places, tensors, strict=True):
            for held, name in places:
                held[name] = tensor

"""Condition: a y that is always given, as data hold it and as networks see it."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyrovae.numeric import is_count, limit


class Condition:
    """What y is: a class out of so many, or numbers of a shape.

    Arguments:
        owner: the model, named in errors.
        levels: how many classes there are; None where y are numbers.
        shape: the shape of one y, () for a class.

    Raises:
        ValueError: the arguments describe no y.

    Example:
        >>> Condition("ConditionalVAE", levels=3, shape=()).embedded(torch.tensor([2, 0]))
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """

    def __init__(self, owner: str, *, levels: int | None, shape: tuple[int, ...]) -> None:
        self.owner = owner
        if levels is not None and not is_count(levels):
            raise ValueError(
                f"{owner} expects levels to be the number of classes of y{limit(levels)}, or None "
                f"where y are numbers; got {levels!r}"
            )
        if not isinstance(shape, list | tuple) or not all(map(is_count, shape)):
            raise ValueError(
                f"{owner} expects condition_shape to be the shape of one y, such as (28, 28), or "
                f"() for a single number; got {shape!r}"
            )
        if levels is not None and len(shape):
            raise ValueError(
                f"{owner} expects y to be a class out of levels, or numbers of condition_shape; "
                f"got both, levels={levels} and condition_shape={tuple(shape)}"
            )
        self.levels = levels
        self.shape = tuple(shape)
        self.embedded_shape = self.shape if levels is None else (levels,)
        self.size = math.prod(self.embedded_shape)

    def embedded(self, y: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return y as a network sees it, of shape `[*batch, *embedded_shape]`.

        A class is a one-hot vector. An unknown y is nan, so that it cannot pass for a known one:
        this looks at no number, and may run in a compiled step.
        """
        if self.levels is None:
            return y.to(dtype)
        codes = torch.arange(self.levels, device=y.device)
        known = (y >= 0) & (y < self.levels)
        return (y.unsqueeze(-1) == codes).to(dtype).masked_fill(~known.unsqueeze(-1), math.nan)

    def vector(self, embedded: Tensor | None) -> Tensor | None:
        """Return what a network sees as one vector for each y, of shape `[*batch, size]`."""
        if embedded is None:
            return None
        depth = embedded.dim() - len(self.embedded_shape)
        return embedded.reshape(*embedded.shape[:depth], self.size)

    def beside(self, embedded: Tensor | None) -> Tensor | None:
        """Return what a network sees with a batch dimension of one more behind the others."""
        return None if embedded is None else embedded.unsqueeze(-1 - len(self.embedded_shape))

    def require(self, y: Tensor | None, rows: int | None = None) -> Tensor:
        """Return y of a batch as it is, or raise where there is none, or one of another shape."""
        if y is None:
            raise ValueError(
                f"{self.owner} is p(x | y) and needs y, {self.in_words}, for each datum; got none: "
                f"give data with a key 'y'"
            )
        self._require_kind(y)
        wanted = (*(y.shape[:1] if rows is None else (rows,)), *self.shape)
        if y.dim() == 0 or tuple(y.shape) != wanted:
            self._refuse_shape(y, "batch" if rows is None else str(rows))
        return y

    def asked(self, y: Any, like: Tensor, batch: tuple[int, ...] | None = None) -> Tensor:
        """Return a y of the user's with its values checked, of shape `[*batch, *shape]`.

        Arguments:
            y: a number, a list, an array or a tensor.
            like: a tensor of the model, for its device.
            batch: the batch dimensions that one y for all is repeated to; None takes any.

        Raises:
            TypeError: it is of another kind.
            ValueError: it is missing, of another shape, unknown or out of range.
        """
        if y is None:
            return self.require(None)
        try:
            given = torch.as_tensor(y, device=like.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{self.owner} expects y to be {self.in_words}; got {y!r}") from error
        self._require_kind(given)
        depth = given.dim() - len(self.shape)
        if depth < 0 or tuple(given.shape[depth:]) != self.shape:
            self._refuse_shape(given, "*batch")
        self._require_known(given)
        if batch is None:
            return given
        if depth and tuple(given.shape[:depth]) != tuple(batch):
            self._refuse_shape(given, ", ".join(map(str, batch)))
        return given.expand(*batch, *self.shape)

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise where a batch has no y, or one of another kind, unknown or out of range."""
        y = batch.get("y")
        if self.levels is None and y is not None and not y.is_floating_point():
            raise TypeError(
                f"{self.owner} expects y to be {self.in_words}, floating; got {y.dtype}, which are "
                f"classes: give levels=how many there are, or convert y with .float()"
            )
        self._require_known(self.require(y, len(batch["x"])))

    @property
    def in_words(self) -> str:
        """What y is."""
        if self.levels is not None:
            return f"a class from 0 to {self.levels - 1}"
        return f"numbers of shape {list(self.shape)}" if self.shape else "a number"

    def _require_kind(self, y: Tensor) -> None:
        if not isinstance(y, Tensor):
            raise TypeError(
                f"y must be a tensor; got {type(y).__name__}: convert it with torch.as_tensor"
            )
        whole = not y.is_floating_point() and not y.is_complex() and y.dtype != torch.bool
        if y.is_complex() or (self.levels is not None and not whole and y.numel()):
            raise TypeError(f"{self.owner} expects y to be {self.in_words}; got {y.dtype}")

    def _require_known(self, y: Tensor) -> None:
        if self.levels is not None:
            wrong = (y < 0) | (y >= self.levels)
        else:
            wrong = ~torch.isfinite(y) if y.is_floating_point() else torch.zeros_like(y).bool()
        if not bool(wrong.any()):
            return
        place = wrong.nonzero()[0].tolist()
        value = y[tuple(place)].item()
        unknown = value == -1 if self.levels is not None else math.isnan(value)
        cause = ""
        if unknown:
            cause = ", an unknown label: leave such data out, or train a SemiSupervisedVAE"
        if self.levels is None and not unknown:
            cause = ", which is not finite"
        at = f"y[{', '.join(map(str, place))}]" if place else "y"
        raise ValueError(f"{self.owner} expects y to be {self.in_words}; got {at} = {value}{cause}")

    def _refuse_shape(self, y: Tensor, batch: str) -> None:
        raise ValueError(
            f"{self.owner} expects y of shape [{', '.join((batch, *map(str, self.shape)))}], "
            f"{self.in_words} for each datum; got {list(y.shape)}"
        )

"""Transforms: what is done to a batch each time it is read.

A transform maps the dict of a batch to a new one. It runs on the batch's device, after the rows
were gathered and before anything else sees them, so data stay in memory as compact as they came.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.random_bytes import RandomBytes
from pyrovae.declared import Declared
from pyrovae.numeric import is_count

_TOP = 255  # the largest byte


class Transform(Declared, ABC):
    """A function of a batch, declared by its constructor call."""

    @abstractmethod
    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the transformed batch as a new dict; the tensors given are left as they are."""


@dataclass(frozen=True, repr=False, kw_only=True)
class ToUnit(Transform):
    """Grey levels to the unit interval: `x / levels`.

    Arguments:
        levels: the largest grey level, 255 for bytes.

    Raises:
        ValueError: `levels` is not a positive integer.

    Example:
        >>> ToUnit()({"x": torch.tensor([[0, 51, 255]], dtype=torch.uint8)})["x"]
        tensor([[0.0000, 0.2000, 1.0000]])
    """

    levels: int = _TOP

    def __post_init__(self) -> None:
        _check_levels(self, self.levels)

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {**batch, "x": batch["x"] / self.levels}


@dataclass(frozen=True, repr=False, kw_only=True)
class Binarize(Transform):
    """Dynamic binarisation: every access draws `x ~ Bernoulli(grey / levels)` anew.

    Salakhutdinov and Murray (2008), "On the quantitative analysis of deep belief networks".
    It draws from torch's global random state on the device of the batch. Integer x are grey levels
    0..levels; floating x are taken as probabilities already, whatever `levels` says.

    Arguments:
        levels: the largest grey level, 255 for bytes.

    Raises:
        ValueError: `levels` is not a positive integer.

    Example:
        >>> Binarize()({"x": torch.tensor([[0, 255]], dtype=torch.uint8)})["x"]
        tensor([[0., 1.]])
    """

    levels: int = _TOP

    def __post_init__(self) -> None:
        _check_levels(self, self.levels)

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        x = batch["x"]
        # seen as bytes, which torch turns into floating numbers five times as fast as booleans
        drawn = binarized(x, levels=self.levels).view(torch.uint8)
        return {**batch, "x": drawn.to(x.dtype if x.is_floating_point() else _floating())}


@dataclass(frozen=True, repr=False, kw_only=True)
class Compose(Transform):
    """Several transforms, one after the other.

    Arguments:
        transforms: the transforms, the first one first.

    Raises:
        TypeError: one of them is no transform.

    Example:
        >>> both = Compose(transforms=(ToUnit(), Binarize()))
        >>> both({"x": torch.tensor([[0, 255]], dtype=torch.uint8)})["x"]
        tensor([[0., 1.]])
    """

    transforms: tuple[Transform, ...] = ()

    def __post_init__(self) -> None:
        for transform in self.transforms:
            if not isinstance(transform, Transform):
                raise TypeError(f"Compose expects transforms such as Binarize(); got {transform!r}")

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        for transform in self.transforms:
            batch = transform(batch)
        return batch


def binarized(
    grey: Tensor, *, levels: int = _TOP, generator: torch.Generator | None = None
) -> Tensor:
    """Draw black or white with probability `grey / levels`, as booleans of the same shape.

    Bytes on the CPU take a way of their own, several times as fast as `torch.bernoulli`, whose
    probabilities are exact at both ends and within 2^-60 between.

    Arguments:
        grey: integers 0..levels, or floating probabilities, of any shape.
        levels: the largest grey level of integer `grey`.
        generator: where to draw from; None is torch's global random state.

    Example:
        >>> binarized(torch.tensor([0, 16]), levels=16).tolist()
        [False, True]
    """
    if grey.dtype == torch.uint8 and levels == _TOP and grey.device.type == "cpu":
        return _binarized_bytes(grey, generator)
    probability = grey if grey.is_floating_point() else grey.to(_floating()) / levels
    return torch.bernoulli(probability, generator=generator).bool()


def _binarized_bytes(grey: Tensor, generator: torch.Generator | None) -> Tensor:
    """Compare grey levels with random bytes, and decide the ties by a number in [0, 1).

    A byte is below g with probability g / 256 and ties with 1 / 256. A tie is white with
    probability g / 255, which makes g / 255 of the whole. So a byte is enough for most pixels.
    """
    flat = grey.contiguous().numpy().reshape(-1)
    source = RandomBytes(generator)
    drawn = source.bytes(flat.size)
    white = drawn < flat
    ties = np.flatnonzero(drawn == flat)
    white[ties] = source.uniform(len(ties)) < flat[ties] / _TOP
    return torch.from_numpy(white).view(grey.shape)


def _floating() -> torch.dtype:
    return torch.get_default_dtype()


def _check_levels(transform: Transform, levels: int) -> None:
    if not is_count(levels):
        raise ValueError(
            f"{type(transform).__name__} expects levels to be a positive integer, the largest "
            f"grey level; got {levels!r}"
        )


def check_transform(data: object, transform: object) -> None:
    """Raise TypeError where what was given to data as their transform cannot be called."""
    if transform is not None and not callable(transform):
        raise TypeError(
            f"{type(data).__name__} expects transform to map a batch to a batch, such as "
            f"Binarize(); got {transform!r}"
        )


def transformed(
    batch: dict[str, Tensor], transform: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None
) -> dict[str, Tensor]:
    """Return what a transform makes of a batch, which must be a batch again.

    Raises:
        TypeError: it is none.
    """
    if transform is None:
        return batch
    made = transform(batch)
    if not isinstance(made, dict) or "x" not in made:
        raise TypeError(
            f"the transform {transform!r} must return the batch as a dict with a key 'x'; got "
            f"{type(made).__name__}"
        )
    return made

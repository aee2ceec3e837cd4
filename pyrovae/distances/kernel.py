"""Kernel: the base of kernels of two samples."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pyrovae.declared import Declared
from pyrovae.numeric import is_finite

Scale = float | tuple[float, ...] | None


class Kernel(Declared, ABC):
    """A positive definite kernel k, called on two samples `[n, d]`, `[m, d]`: `k(x_i, y_j)`."""

    @abstractmethod
    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the kernel of each draw of x and each of y, of shape `[n, m]`.

        Arguments:
            x: a sample of vectors, of shape `[n, d]`.
            y: another, of shape `[m, d]`.
        """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Return the Euclidean distances of the draws of two samples, of shape `[n, m]`.

    They are taken from differences and not from a matrix product, which would lose the digits of
    draws that lie close together. Where two draws are one the gradient is zero.

    Example:
        >>> euclidean(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        tensor([[5., 1.]])
    """
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def checked_scale(kernel: Kernel, scale: object) -> Scale:
    """Return the lengths that a kernel is given, a tuple where there are several.

    Raises:
        ValueError: they are not positive finite numbers.
    """
    several = tuple(scale) if isinstance(scale, list | tuple) else (scale,)
    positive = [value for value in several if is_finite(value) and value > 0.0]
    if scale is not None and (not several or len(positive) < len(several)):
        raise ValueError(
            f"{type(kernel).__name__} expects scale to be a positive number, several of them, or "
            f"None to take it from the dimension; got {scale!r}"
        )
    return several if isinstance(scale, list | tuple) else scale  # type: ignore[return-value]


def squares(scale: Scale, default: tuple[float, ...], dim: int) -> list[float]:
    """Return the squares of the lengths; by default given multiples of 2 dim.

    That is the mean squared distance of two draws of a standard normal vector.
    """
    if scale is None:
        return [factor * 2.0 * dim for factor in default]
    return [math.pow(length, 2) for length in (scale if isinstance(scale, tuple) else (scale,))]

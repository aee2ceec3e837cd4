"""Distance: the base of all statistical distances between two samples."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from pyrovae.declared import Declared


class Distance(Declared, ABC):
    """A statistical distance between two laws, estimated from a sample of each.

    It is called on the two samples and returns the estimate, 0-dimensional, with gradients by both.
    Nothing in it reads a tensor on the host, so that a training step with it can be recorded.

    A subclass defines `between`, on samples of vectors, and says of itself:

    - `unbiased`: whether the mean of the estimate over samples is the distance of the laws. Such an
      estimate may be negative.
    - `least`: how many draws of each sample it needs.
    - `cost`: how its work grows with n draws of d numbers.
    """

    unbiased: ClassVar[bool] = False
    least: ClassVar[int] = 1

    @property
    @abstractmethod
    def cost(self) -> str:
        """How the work grows with the number n of draws in each sample and their dimension d."""

    @abstractmethod
    def between(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the estimate from samples `x [n, d]` and `y [m, d]`, which were checked."""

    def __call__(self, draws: Tensor, other: Tensor) -> Tensor:
        """Return the estimate, 0-dimensional.

        Arguments:
            draws: a sample of the one law, of shape `[n, *event_shape]`.
            other: a sample of the other, of shape `[m, *event_shape]`.

        Raises:
            TypeError: a sample is no tensor, or not of float32 or float64.
            ValueError: the event shapes differ, or there are too few draws.
        """
        for sample in (draws, other):
            self._require_numbers(sample)
        if draws.shape[1:] != other.shape[1:]:
            raise ValueError(
                f"{type(self).__name__} compares draws of one event shape; got "
                f"{tuple(draws.shape[1:])} and {tuple(other.shape[1:])}"
            )
        for sample in (draws, other):
            if len(sample) < self.least:
                raise ValueError(
                    f"{type(self).__name__} needs at least {self.least} draws in each sample; got "
                    f"one of shape {tuple(sample.shape)}: give larger samples, as a larger batch"
                )
        dtype = torch.promote_types(draws.dtype, other.dtype)
        x, y = (sample.to(dtype).reshape(len(sample), -1) for sample in (draws, other))
        return self.between(x, y)

    def _require_numbers(self, sample: Tensor) -> None:
        name = type(self).__name__
        if not isinstance(sample, Tensor):
            raise TypeError(f"{name} expects samples as tensors; got {sample!r}")
        if sample.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"{name} expects samples of float32 or float64; got one of {sample.dtype}: "
                f"convert it, as by .float()"
            )
        if sample.dim() == 0 or sample.numel() == 0:
            raise ValueError(
                f"{name} expects samples of shape [draws, *event_shape], none of these zero; got "
                f"one of shape {tuple(sample.shape)}"
            )

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

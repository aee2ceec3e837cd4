"""Schedules: a number as a function of the training step.

A schedule maps the step, given as a 0-dimensional tensor, to a 0-dimensional tensor, without
reading the step on the host: a schedule inside a compiled or asynchronous step stays alive.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pyrovae.declared import Declared
from pyrovae.numeric import is_count, is_finite, limit


class Schedule(Declared, ABC):
    """A number as a function of the step; `final` is its value once it has run its course."""

    @abstractmethod
    def __call__(self, step: Tensor) -> Tensor:
        """Return the value at a step, both 0-dimensional tensors."""

    @property
    @abstractmethod
    def final(self) -> float:
        """The value that validation and evaluation use."""

    @property
    def length(self) -> int:
        """The number of steps until it has run its course."""
        return 0

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class Constant(Schedule):
    """The same number at every step.

    Arguments:
        value: that number.

    Example:
        >>> Constant(0.5)(torch.tensor(7))
        tensor(0.5000)
    """

    def __init__(self, value: float = 1.0) -> None:
        self.value = _finite(self, "value", value)

    def __call__(self, step: Tensor) -> Tensor:
        return torch.full_like(step, self.value, dtype=torch.get_default_dtype())

    @property
    def final(self) -> float:
        return self.value


class Ramp(Schedule):
    r"""A straight line, `start + (end - start) min(1, (t - delay)_+ / steps)` at step t.

    Linear warm-up of the KL term is `Ramp(0, 1, steps=...)` (Bowman et al., 2016,
    arXiv:1511.06349).

    Arguments:
        start: the value until `delay` steps have passed.
        end: the value from `delay + steps` steps on.
        steps: how many steps the line takes.
        delay: how many steps pass before it begins.

    Raises:
        ValueError: a value is not finite, or a number of steps is out of range.

    Example:
        >>> beta = Ramp(0.0, 1.0, steps=4)
        >>> [beta(torch.tensor(step)).item() for step in (0, 1, 4, 9)]
        [0.0, 0.25, 1.0, 1.0]
    """

    def __init__(
        self, start: float = 0.0, end: float = 1.0, *, steps: int = 1000, delay: int = 0
    ) -> None:
        self.start = _finite(self, "start", start)
        self.end = _finite(self, "end", end)
        self.steps = _count(self, "steps", steps, least=1)
        self.delay = _count(self, "delay", delay, least=0)

    def __call__(self, step: Tensor) -> Tensor:
        progress = ((step - self.delay) / self.steps).clamp(0.0, 1.0)
        return self.start + (self.end - self.start) * progress

    @property
    def final(self) -> float:
        return self.end

    @property
    def length(self) -> int:
        return self.delay + self.steps


class Cosine(Schedule):
    r"""Half a cosine wave from `start` to `end`, flat at both ends.

    `end + (start - end) (1 + cos(pi min(1, (t - delay)_+ / steps))) / 2`

    Arguments:
        start: the value until `delay` steps have passed.
        end: the value from `delay + steps` steps on.
        steps: how many steps the half wave takes.
        delay: how many steps pass before it begins.

    Raises:
        ValueError: a value is not finite, or a number of steps is out of range.

    Example:
        >>> beta = Cosine(0.0, 1.0, steps=4)
        >>> [round(beta(torch.tensor(step)).item(), 3) for step in (0, 1, 2, 4)]
        [0.0, 0.146, 0.5, 1.0]
    """

    def __init__(
        self, start: float = 0.0, end: float = 1.0, *, steps: int = 1000, delay: int = 0
    ) -> None:
        self.start = _finite(self, "start", start)
        self.end = _finite(self, "end", end)
        self.steps = _count(self, "steps", steps, least=1)
        self.delay = _count(self, "delay", delay, least=0)

    def __call__(self, step: Tensor) -> Tensor:
        progress = ((step - self.delay) / self.steps).clamp(0.0, 1.0)
        return self.end + (self.start - self.end) * (1 + torch.cos(math.pi * progress)) / 2

    @property
    def final(self) -> float:
        return self.end

    @property
    def length(self) -> int:
        return self.delay + self.steps


class Cycle(Schedule):
    r"""A ramp that starts again every `period` steps (Fu et al., 2019, arXiv:1903.10145).

    Within a period the value rises in a straight line from `start` to `end` during the first
    `fraction` of it and stays at `end` for the rest.

    Arguments:
        start: the value at the beginning of every period.
        end: the value it rises to.
        period: the length of a period in steps.
        fraction: the share of a period that the rise takes, in (0, 1].

    Raises:
        ValueError: a value is not finite, the period below one, or the fraction out of range.

    Example:
        >>> beta = Cycle(0.0, 1.0, period=4, fraction=0.5)
        >>> [beta(torch.tensor(step)).item() for step in range(6)]
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]
    """

    def __init__(
        self,
        start: float = 0.0,
        end: float = 1.0,
        *,
        period: int = 1000,
        fraction: float = 0.5,
    ) -> None:
        self.start = _finite(self, "start", start)
        self.end = _finite(self, "end", end)
        self.period = _count(self, "period", period, least=1)
        self.fraction = _finite(self, "fraction", fraction)
        if not 0.0 < self.fraction <= 1.0:
            raise ValueError(f"Cycle expects fraction in (0, 1]; got {fraction!r}")

    def __call__(self, step: Tensor) -> Tensor:
        progress = ((step % self.period) / (self.fraction * self.period)).clamp(max=1.0)
        return self.start + (self.end - self.start) * progress

    @property
    def final(self) -> float:
        return self.end


def as_schedule(value: "float | Schedule") -> Schedule:
    """Return a schedule as it is and a number as a constant one."""
    return value if isinstance(value, Schedule) else Constant(value)


def _finite(schedule: Schedule, name: str, value: float) -> float:
    if not is_finite(value):
        raise ValueError(f"{type(schedule).__name__} expects a finite {name}; got {value!r}")
    return float(value)


def _count(schedule: Schedule, name: str, value: int, *, least: int) -> int:
    if not is_count(value, least=least):
        raise ValueError(
            f"{type(schedule).__name__} expects {name} to be an integer of at least "
            f"{least}{limit(value)}; got {value!r}"
        )
    return value

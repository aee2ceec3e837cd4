"""Optimisation: the default optimiser, the warm-up of its rate, and weight averaging."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler, SequentialLR

from pyrovae.blame import blamed

MakeOptimizer = Callable[[Sequence[nn.Parameter]], Optimizer]
MakeScheduler = Callable[[Optimizer], LRScheduler]

_FUSED = ("cpu", "cuda", "xpu", "mps")


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters to train, each once.

    Raises:
        ValueError: there are none.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(
            "there is nothing to train: model and guide have no parameters that require a "
            "gradient; programs of your own hold their networks as nn.Module"
        )
    return parameters


def default_optimizer(parameters: Sequence[nn.Parameter]) -> Optimizer:
    """Return Adam at a rate of 1e-3, fused where torch can (Kingma and Ba, arXiv:1412.6980)."""
    fused = all(parameter.device.type in _FUSED for parameter in parameters)
    return Adam(parameters, lr=1e-3, fused=fused)


def make_optimizer(
    parameters: Sequence[nn.Parameter], optimizer: MakeOptimizer | None
) -> Optimizer:
    """Return the optimiser of the parameters, by default Adam.

    Raises:
        TypeError: what was made is no optimiser, or its steps need more than a gradient.
        ValueError: it cannot be made, its rate is not finite, or it is of other parameters.
    """
    with blamed("optimizer"):
        made = (optimizer or default_optimizer)(parameters)
    if not isinstance(made, Optimizer):
        raise TypeError(
            f"optimizer expects a function that returns a torch optimiser; it returned {made!r}"
        )
    _require_plain_step(made, "optimizer")
    _require_rates(made)
    held = {id(parameter) for group in made.param_groups for parameter in group["params"]}
    if not held & {id(parameter) for parameter in parameters}:
        raise ValueError(
            f"optimizer {type(made).__name__} holds none of the model's parameters; make it of "
            f"those that it is called with, such as lambda p: Adam(p, lr=1e-3)"
        )
    return made


def make_scheduler(
    optimizer: Optimizer, scheduler: MakeScheduler | None, warmup: int
) -> LRScheduler | None:
    """Return a scheduler stepped per batch, after `warmup` steps of a linear rise from near zero.

    Arguments:
        optimizer: the optimiser whose rate is set.
        scheduler: makes the scheduler that takes over, None for a constant rate.
        warmup: how many steps the rise takes, zero for none.
    """
    if warmup == 0:
        return None if scheduler is None else _scheduled(optimizer, scheduler)
    rise = LinearLR(optimizer, start_factor=1.0 / (warmup + 1), total_iters=warmup)
    if scheduler is None:
        return rise
    later = _scheduled(optimizer, scheduler)
    return SequentialLR(optimizer, [rise, later], milestones=[warmup])


def shown(scheduler: LRScheduler | None) -> str:
    """Return a scheduler as the call that may have made it, as far as it keeps its arguments.

    Example:
        >>> from torch.optim.lr_scheduler import StepLR
        >>> shown(StepLR(default_optimizer([nn.Parameter(torch.zeros(1))]), step_size=5))
        'StepLR(step_size=5, gamma=0.1)'
    """
    kept = vars(scheduler)
    names = [name for name in signature(type(scheduler)).parameters if name != "last_epoch"]
    values = {name: kept[name] for name in names if isinstance(kept.get(name), int | float | str)}
    call = ", ".join(f"{name}={value!r}" for name, value in values.items())
    return f"{type(scheduler).__name__}({call})"


def _scheduled(optimizer: Optimizer, scheduler: MakeScheduler) -> LRScheduler:
    with blamed("scheduler"):
        made = scheduler(optimizer)
    if not isinstance(made, LRScheduler):
        raise TypeError(
            f"scheduler expects a function that returns a torch scheduler; it returned {made!r}"
        )
    _require_plain_step(made, "scheduler")
    return made


def _require_rates(made: Optimizer) -> None:
    """Raise ValueError where a rate would make all parameters nan in one step."""
    for group in made.param_groups:
        rate = float(group.get("lr", 0.0))
        if not math.isfinite(rate):
            raise ValueError(
                f"optimizer {type(made).__name__} has the rate lr={rate}; expected a finite number"
            )


def _require_plain_step(made: Optimizer | LRScheduler, name: str) -> None:
    """Raise TypeError where `step()` cannot be called as it stands, as the loop does."""
    try:
        signature(type(made).step).bind(made)
    except TypeError as error:
        raise TypeError(
            f"{name} {type(made).__name__} cannot be used by fit, whose steps call its step() "
            f"without arguments: {error}"
        ) from error


class Average:
    """An exponential moving average of parameters, `a <- decay a + (1 - decay) w` at each step.

    References:
        Polyak and Juditsky, 1992.

    Arguments:
        parameters: the parameters w.
        decay: how much of the average is kept at a step, in [0, 1).
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, decay: float) -> None:
        self._parameters: list[Tensor] = [parameter.data for parameter in parameters]
        self._average = [parameter.clone() for parameter in self._parameters]
        self._rate = 1.0 - decay

    @property
    def tensors(self) -> list[Tensor]:
        """The averages, in the order of the parameters."""
        return self._average

    def update(self, share: Tensor) -> None:
        """Move the average towards the parameters.

        Arguments:
            share: 1, or 0 to leave the average as it is, as a 0-dimensional tensor.
        """
        weight = share * self._rate
        for kind in {average.dtype for average in self._average}:
            alike = [at for at, average in enumerate(self._average) if average.dtype == kind]
            averages = [self._average[at] for at in alike]
            moves = torch._foreach_sub([self._parameters[at] for at in alike], averages)
            torch._foreach_mul_(moves, weight.to(kind))
            torch._foreach_add_(averages, moves)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the parameters the value of their average inside this context."""
        current = [parameter.clone() for parameter in self._parameters]
        self.apply()
        try:
            yield
        finally:
            _copy(self._parameters, current)

    def apply(self) -> None:
        """Give the parameters the value of their average for good."""
        _copy(self._parameters, self._average)


def _copy(targets: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for target, value in zip(targets, values, strict=True):
        target.copy_(value)

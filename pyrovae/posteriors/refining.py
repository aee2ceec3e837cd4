"""Refining: better raw numbers for each datum, by gradient ascent on that datum's own bound.

The bound is the context's. Only raw numbers are moved: no parameter gets a gradient here.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyrovae.context import Context
from pyrovae.numeric import is_count, is_finite, limit
from pyrovae.posteriors.posterior import Posterior
from pyrovae.posteriors.same_noise import SameNoise

_DECAYS = 0.9, 0.999  # of Adam's two moments
_LEAST = 1e-8


class LocalBound:
    """The bound of each datum as a function of its raw numbers.

    Arguments:
        posterior: the family whose raw numbers they are.
        context: with the bound.
        particles: how many draws the bound is the mean of.
    """

    def __init__(self, posterior: Posterior, context: Context, *, particles: int) -> None:
        if context.bound is None:
            raise ValueError(f"{posterior!r} cannot be refined without Context(bound=...)")
        self.posterior = posterior
        self.bound: Callable[[Any], Tensor] = context.bound
        self.context = replace(context, bound=None)
        self.particles = particles

    def __call__(self, raw: Tensor) -> Tensor:
        """Return the bound of each datum in nats, of shape `[*batch]`, at fresh draws."""
        q: Any = self.posterior(raw, self.context)
        if self.particles == 1:
            return self.bound(q)
        return self.bound(q.expand((self.particles, *q.batch_shape))).mean(0)

    def slope(self, raw: Tensor) -> Tensor:
        """Return the gradient of each datum's bound at fresh draws, zero where it is not finite."""
        with torch.enable_grad():
            leaf = raw.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self(leaf).sum(), leaf)
        return torch.where(slope.isfinite(), slope, 0.0)


@contextmanager
def refinement() -> Iterator[None]:
    """Keep no graph of what happens inside this context, and let it take gradients of its own."""
    with torch.inference_mode(mode=False), torch.no_grad():
        yield


def climbed(bound: LocalBound, raw: Tensor, *, steps: int, rate: float) -> Tensor:
    """Return raw numbers after gradient steps, each taken by the data whose bound did not fall.

    What judges a step is the bound under noise that is one for all steps, so that under it no
    datum's bound falls; a datum that refuses a step halves its rate. The direction is taken at
    fresh draws: by the noise that judges it, a step would fit that noise.

    Arguments:
        bound: the bound of each datum.
        raw: where to start, of shape `[*batch, *out_shape]`.
        steps: how many steps are tried.
        rate: the length of a first step for a gradient of one.
    """
    noise = SameNoise()
    with noise.again():
        value = bound(raw)
    rates = torch.full_like(value, rate)
    for _ in range(steps):
        candidate = raw + _raised(rates, raw) * bound.slope(raw)
        with noise.again():
            reached = bound(candidate)
        taken = reached >= value  # not where it is nan
        raw = torch.where(_raised(taken, raw), candidate, raw)
        value = torch.where(taken, reached, value)
        rates = torch.where(taken, rates, 0.5 * rates)
    return raw


def settled(bound: LocalBound, raw: Tensor, *, steps: int, rate: float) -> Tensor:
    """Return raw numbers after steps of Adam, whose rate falls to nothing along half a cosine.

    For a start that is far away. Each step looks at fresh draws, whose noise averages out.

    Arguments:
        bound: the bound of each datum.
        raw: where to start, of shape `[*batch, *out_shape]`.
        steps: how many steps are taken.
        rate: by how much a raw number moves in a first step.
    """
    mean, square = torch.zeros_like(raw), torch.zeros_like(raw)
    for step in range(steps):
        direction = bound.slope(raw)
        mean = torch.lerp(direction, mean, _DECAYS[0])
        square = torch.lerp(direction.square(), square, _DECAYS[1])
        size = rate * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        unbiased = [1.0 - decay ** (step + 1) for decay in _DECAYS]
        raw = raw + size * (mean / unbiased[0]) / ((square / unbiased[1]).sqrt() + _LEAST)
    return raw


def require_inner(owner: Any, inner: Any) -> Posterior:
    """Return the posterior that another is made of, or raise where it cannot be refined."""
    who = type(owner).__name__
    if not isinstance(inner, Posterior):
        shown = f"the class {inner.__name__}" if isinstance(inner, type) else repr(inner)
        hint = f"; write {inner.__name__}()" if isinstance(inner, type) else ""
        raise TypeError(
            f"{who} expects inner to be a posterior of pyrovae.posteriors, such as "
            f"MeanFieldNormal(), or of your own; got {shown}{hint}"
        )
    if not hasattr(inner, "head"):
        raise TypeError(f"{inner!r} has no head: a subclass of Posterior sets it")
    if hasattr(inner, "inner"):
        raise ValueError(
            f"{who} expects inner to be a family of q(z | x), such as MeanFieldNormal(); "
            f"{inner!r} finds its raw numbers by steps of its own"
        )
    if not inner.head.sizes:
        raise ValueError(
            f"{who} expects inner to have raw numbers for each datum; {inner!r} has none to move"
        )
    if inner.enumerated:
        raise ValueError(
            f"{who} looks at draws of the bound, and {inner!r} is enumerated, so it has no draw: "
            f"use a relaxed family"
        )
    return inner


def require_count(owner: Any, name: str, value: int) -> int:
    """Return an argument, checked to be a positive integer."""
    if not is_count(value):
        raise ValueError(
            f"{type(owner).__name__} expects {name} to be a positive integer{limit(value)}; "
            f"got {value!r}"
        )
    return value


def require_rate(owner: Any, rate: float) -> float:
    """Return a rate, checked to be a positive number."""
    if not is_finite(rate) or rate <= 0.0:
        raise ValueError(
            f"{type(owner).__name__} expects rate to be a positive number; got {rate!r}"
        )
    return rate


def _raised(per_datum: Tensor, raw: Tensor) -> Tensor:
    """Give what is known of each datum the dimensions of its raw numbers."""
    return per_datum.reshape(per_datum.shape + (1,) * (raw.dim() - per_datum.dim()))

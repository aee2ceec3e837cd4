"""Noise of the relaxations, and the unconstrained value that a relaxed draw was made of.

A relaxed draw lies between the corners of its support, and in float32 often on one, from where its
logarithm cannot be had back. So it carries the value it was made of, and every density that scores
this very tensor reads that.
"""

from typing import NamedTuple

import torch
from torch import Tensor

LEAST, LARGEST = 1e-3, 1e3  # of a temperature: beyond, float32 keeps nothing of the noise

_KEPT = "_pyrovae_unconstrained"


class _Kept(NamedTuple):
    """What a draw was made of, and the version of the draw at which that held."""

    value: Tensor
    version: int | None


def temperature_of(owner: str, value: object) -> float:
    """Return a temperature, or raise ValueError where it is none.

    Example:
        >>> temperature_of("RelaxedBernoulli", 2)
        2.0
    """
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not LEAST <= value <= LARGEST:  # type: ignore[operator]
        raise ValueError(
            f"{owner} expects temperature to be a number from {LEAST:g} to {LARGEST:g}; "
            f"got {value!r}"
        )
    return float(value)  # type: ignore[arg-type]


def gumbels(shape: torch.Size, like: Tensor) -> Tensor:
    """Return standard Gumbel noise, `-log(-log u)` of u uniform on (0, 1)."""
    return -(-_uniforms(shape, like).log()).log()


def logistics(shape: torch.Size, like: Tensor) -> Tensor:
    """Return standard logistic noise, `log u - log(1 - u)` of u uniform on (0, 1)."""
    uniforms = _uniforms(shape, like)
    return uniforms.log() - (-uniforms).log1p()


def keep(draw: Tensor, unconstrained: Tensor) -> Tensor:
    """Return a draw that carries the unconstrained value it was made of."""
    setattr(draw, _KEPT, _Kept(unconstrained, _version(draw)))
    return draw


def kept(draw: Tensor) -> Tensor | None:
    """Return the unconstrained value that a draw was made of, None where that is unknown.

    So it is of a tensor that was written to since, or that became a variable of its own.
    """
    found: _Kept | None = getattr(draw, _KEPT, None)
    if found is None or found.version != _version(draw):
        return None
    return None if draw.requires_grad and not found.value.requires_grad else found.value


def _version(tensor: Tensor) -> int | None:
    """Return how often a tensor was written to, where that is counted."""
    return None if tensor.is_inference() else tensor._version


def _uniforms(shape: torch.Size, like: Tensor) -> Tensor:
    drawn = torch.rand(shape, dtype=like.dtype, device=like.device)
    return drawn.clamp(min=torch.finfo(like.dtype).tiny)  # never zero, and one is never drawn

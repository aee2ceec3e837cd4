"""Inputs: what a model is called on, checked before any arithmetic is."""

from typing import Any

import torch
from torch import Tensor


def require_tensor(name: str, value: object) -> None:
    """Raise TypeError where an argument is no tensor.

    Example:
        >>> require_tensor("x", [0.0])
        Traceback (most recent call last):
        TypeError: x must be a tensor; got list: convert it with torch.as_tensor
    """
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name} must be a tensor; got {type(value).__name__}: convert it with torch.as_tensor"
        )


def require_batch(x: Tensor | None, event_shape: tuple[int, ...]) -> None:
    """Raise ValueError where x has not exactly one batch dimension, which the plate needs."""
    if x is not None and x.dim() != len(event_shape) + 1:
        raise ValueError(
            f"the programs expect x of shape [batch, {', '.join(map(str, event_shape))}]; "
            f"got {list(x.shape)}"
        )


def require_shape(x: Tensor, likelihood: Any) -> None:
    """Raise ValueError where x ends in another shape than the likelihood's, TypeError if no x."""
    require_tensor("x", x)
    event_shape = tuple(likelihood.event_shape)
    depth = x.dim() - len(event_shape)
    if depth < 0 or tuple(x.shape[depth:]) != event_shape:
        raise ValueError(
            f"{likelihood!r} expects x of shape [*batch, {', '.join(map(str, event_shape))}]; "
            f"got {list(x.shape)}"
        )


def require_mask(observed: Tensor | None, x: Tensor) -> None:
    """Raise ValueError where a mask is no boolean tensor of the shape of x."""
    if observed is not None and (observed.dtype != torch.bool or observed.shape != x.shape):
        raise ValueError(
            f"observed says of each entry of x whether it is known: expected a boolean tensor "
            f"of shape {list(x.shape)}; got {observed.dtype} of shape {list(observed.shape)}"
        )


def known(x: Tensor | None, observed: Tensor | None, likelihood: Any, dtype: torch.dtype) -> Any:
    """Return x in the model's precision, with a stand-in where it is not observed.

    Arguments:
        x: the data, of shape `[*batch, *event_shape]`; None stays None.
        observed: which of its entries are known.
        likelihood: p(x | z), whose `fill` stands in for missing entries.
        dtype: the precision of the model; data may be bytes, or doubles.

    Raises:
        TypeError: x is no tensor.
        ValueError: x has another shape than the likelihood's, or `observed` another than x.
    """
    if x is None:
        return None
    require_shape(x, likelihood)
    require_mask(observed, x)
    x = x.to(dtype)
    return x if observed is None else torch.where(observed, x, likelihood.fill)

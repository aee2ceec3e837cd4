"""Slicing: samples of vectors seen along random directions, as samples of numbers."""

import torch
from torch import Tensor

from pyrovae.declared import Declared
from pyrovae.numeric import is_count, limit


def sliced(x: Tensor, y: Tensor, *, projections: int) -> tuple[Tensor, Tensor]:
    """Return two samples along directions drawn evenly from the sphere, the same for both.

    In one dimension all directions are one, so a single one is taken.

    Arguments:
        x: a sample of vectors, of shape `[n, d]`.
        y: another, of shape `[m, d]`.
        projections: how many directions to take, P.

    Returns:
        The samples along each direction, of shapes `[n, P]` and `[m, P]`.
    """
    dim = x.shape[-1]
    if dim == 1:
        return x, y
    directions = torch.randn(dim, projections, dtype=x.dtype, device=x.device)
    directions = directions / torch.linalg.vector_norm(directions, dim=0)
    return x @ directions, y @ directions


def checked_projections(owner: Declared, projections: int) -> int:
    """Return a number of directions.

    Raises:
        ValueError: it is not a positive integer.
    """
    if not is_count(projections):
        raise ValueError(
            f"{type(owner).__name__} expects projections to be a positive "
            f"integer{limit(projections)}; got {projections!r}"
        )
    return projections

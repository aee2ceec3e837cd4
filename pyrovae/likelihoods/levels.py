"""Levels: what the likelihoods of codes share, which are numbers 0, 1, ..., K - 1."""

from collections.abc import Mapping
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.distributions import Codes
from pyrovae.likelihoods.likelihood import Likelihood
from pyrovae.numeric import is_count, limit


def levels_of(likelihood: Likelihood, levels: object) -> int:
    """Return the number of levels K, or raise ValueError where it is none."""
    if not is_count(levels, least=2):
        raise ValueError(
            f"{type(likelihood).__name__} expects levels to be an integer of at least "
            f"2{limit(levels)}, the number of codes 0, 1, ..., levels - 1; got {levels!r}"
        )
    return levels  # type: ignore[return-value]


def frequencies(batch: Mapping[str, Tensor], levels: int) -> Tensor:
    """Return how often each code was observed, of shape `[*event_shape, levels]`, in float64.

    An element of which nothing was observed counts as one of each.
    """
    x = batch["x"]
    weight = batch["observed"] if "observed" in batch else torch.ones_like(x)
    codes = x.clamp(0, levels - 1).long().flatten(1)
    counts = torch.zeros(levels, codes.shape[1], dtype=torch.float64, device=x.device)
    counts.scatter_add_(0, codes, weight.flatten(1).double())
    counts = torch.where(counts.sum(0) > 0.0, counts, 1.0)
    return counts.T.reshape(*x.shape[1:], levels)


def likeliest(x_given_z: TorchDistributionMixin) -> Tensor:
    """Return the likeliest codes of independent elements, which may be masked."""
    codes: Any = x_given_z
    while not isinstance(codes, Codes):
        codes = codes.base_dist
    return codes.mode


def remedy_for(levels: int) -> str:
    """Return what to do with data that are no codes of so many levels."""
    return (
        f"the data must be the codes 0, 1, ..., {levels - 1} of levels={levels}; number the "
        f"categories from 0 on, and set levels to how many there are"
    )

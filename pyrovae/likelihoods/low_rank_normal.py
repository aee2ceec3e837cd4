"""The low-rank normal likelihood, whose elements vary together."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae import distributions
from pyrovae.context import Context
from pyrovae.heads import Head, positive, raw_of
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of, shape_of
from pyrovae.numeric import is_count, limit

BOUND = 10.0
_LEAST = 1e-2  # of the mean variance: the one that an element begins at


class LowRankNormal(Likelihood):
    r"""A normal whose covariance is a diagonal and a matrix of low rank.

        p(x | z) = N(x; m(z), S (I + V V^T) S),  S = diag s(z),  V = V(z) of `rank` columns

    so that residuals are structured: element i deviates by s_i on its own, and together with the
    others along the columns of V. Missing elements are marginalised out exactly. V is measured in
    scales, and its entries are bounded by `10 / sqrt(rank)`: what an element shares has a standard
    deviation of at most 10 times its own, so that float32 can solve with it. The bound does not
    depend on the other elements, so a model of fewer elements is the marginal of this one.

    References:
        Rezende, Mohamed and Wierstra, 2014, arXiv:1401.4082, who use such a covariance of rank one
        for q(z | x).

    Arguments:
        event_shape: the shape of one x.
        rank: the number of columns of V.

    Raises:
        ValueError: the shape or the rank is not of positive integers.

    Example:
        >>> likelihood = LowRankNormal((1, 8, 8), rank=3)
        >>> likelihood.head.out_shape((1, 8, 8))
        (5, 8, 8)
        >>> likelihood(torch.zeros(7, 5, 8, 8), Context()).batch_shape
        torch.Size([7])
    """

    def __init__(self, event_shape: tuple[int, ...], *, rank: int = 2) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        if not is_count(rank):
            raise ValueError(
                f"LowRankNormal expects rank to be a positive integer{limit(rank)}; got {rank!r}"
            )
        self.rank = rank
        self.head = Head(loc=1, scale=1, lean=rank)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        loc, scale = parameters["loc"], positive(parameters["scale"])
        bound = BOUND / math.sqrt(self.rank)
        lean = bound * torch.tanh(parameters["lean"] / bound)
        return distributions.LowRankNormal(
            loc,
            scale,
            lean.reshape(*loc.shape, self.rank),
            observed=context.observed,
            event_dim=len(self.event_shape),
        )

    def given(self, raw: Tensor, x: Tensor, context: Context) -> TorchDistributionMixin:
        """Return the normal distribution of the missing entries; see `Likelihood`."""
        whole: Any = self(raw, context)
        missing: TorchDistributionMixin = whole.conditional(x)
        return missing

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean and the spread of the data, without V; see `Likelihood`."""
        loc = mean_of(batch)
        variance = mean_of(batch, power=2) - loc.square()
        least = (_LEAST * variance.mean()).clamp(min=1e-6)  # an element that never varies is wide
        variance = torch.maximum(variance, least)
        raw = [loc, raw_of(variance.sqrt()), loc.new_zeros(self.rank, *loc.shape)]
        flat = torch.cat([part.flatten() for part in raw])
        return flat.reshape(self.head.out_shape(self.event_shape))

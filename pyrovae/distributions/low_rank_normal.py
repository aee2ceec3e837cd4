"""A normal of many elements that vary together along a few directions, of which some are known."""

import math
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Sizes = torch.Size | list[int] | tuple[int, ...]


class LowRankNormal(TorchDistribution):
    r"""`x = m + s (e + V u)` with independent standard normal e, one for each element, and u.

    Its covariance is `S (I + V V^T) S` with `S = diag(s)`. With the deviation `d = (x - m) / s`,
    the capacitance matrix `C = I + V^T V` and `w = C^-1 V^T d`, the mean of u given x,

        log p(x) = -1/2 [|d - V w|^2 + |w|^2 + log det C + D log 2 pi] - sum_i log s_i.

    The first two terms are `d^T (I + V V^T)^-1 d` as a sum of squares, in which nothing cancels;
    and as w minimises it, an error of w enters squared. The time grows as the elements times the
    squared rank. Where `observed` is given, the density is the marginal one of the known elements,
    whose rows of V alone enter; draws, the mean and the variance are of all elements.

    Arguments:
        loc: m, of shape `[*batch, *event_shape]`.
        scale: s, likewise.
        lean: V, of shape `[*batch, *event_shape, rank]`.
        observed: which elements are known, of the shape of x, boolean; None: all.
        event_dim: how many dimensions an event has.

    Example:
        >>> made = LowRankNormal(torch.zeros(2), torch.ones(2), torch.ones(2, 1), event_dim=1)
        >>> round(made.log_prob(torch.zeros(2)).item(), 4)  # -log 2 pi - 1/2 log 3
        -2.3872
        >>> made.variance
        tensor([2., 2.])
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "loc": constraints.real,
        "scale": constraints.positive,
        "lean": constraints.real,
    }
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        lean: Tensor,
        *,
        observed: Tensor | None = None,
        event_dim: int = 1,
        validate_args: bool | None = None,
    ) -> None:
        shape = torch.broadcast_shapes(loc.shape, scale.shape, lean.shape[:-1])
        if observed is not None:
            shape = torch.broadcast_shapes(shape, observed.shape)
            observed = observed.expand(shape)
        self.loc, self.scale = loc.expand(shape), scale.expand(shape)
        self.lean = lean.expand(*shape, lean.shape[-1])
        self.observed = observed
        depth = len(shape) - event_dim
        super().__init__(shape[:depth], shape[depth:], validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "LowRankNormal":
        """Return the distribution with its batch shape expanded."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        batch = torch.Size(batch_shape)
        shape = batch + self.event_shape
        new.loc, new.scale = self.loc.expand(shape), self.scale.expand(shape)
        new.lean = self.lean.expand(*shape, self.lean.shape[-1])
        new.observed = None if self.observed is None else self.observed.expand(shape)
        TorchDistribution.__init__(new, batch, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        """All real numbers."""
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        """The mean of each element, m."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance of each element, `s^2 (1 + sum_r V_r^2)`."""
        return self.scale.square() * (1.0 + self.lean.square().sum(-1))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile of each element by itself."""
        return self.loc + self.stddev * torch.special.ndtri(value)

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        rank = self.lean.shape[-1]
        common = (*shape[: len(shape) - len(self.event_shape)], rank)
        ones = (1,) * len(self.event_shape)
        own, shared = (
            torch.randn(size, dtype=self.loc.dtype, device=self.loc.device)
            for size in (shape, common)
        )
        together = (self.lean * shared.reshape((*common[:-1], *ones, rank))).sum(-1)
        return self.loc + self.scale * (own + together)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density of the known elements, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        deviation, lean, shared, factor = self._solved(value)
        own = deviation - (lean @ shared).squeeze(-1)
        square = own.square().sum(-1) + shared.square().sum((-2, -1))
        log_det = 2.0 * torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1)
        constant = self.scale.log() + 0.5 * math.log(2.0 * math.pi)
        if self.observed is not None:
            constant = torch.where(self.observed, constant, 0.0)
        return -0.5 * (square + log_det) - self._flat(constant).sum(-1)

    def conditional(self, value: Tensor) -> "LowRankNormal":
        """Return the distribution of the elements that are not known, given those that are.

        What it says of the known elements has no meaning.
        """
        _, _, shared, factor = self._solved(value)
        depth = len(self.event_shape)
        rank = self.lean.shape[-1]
        rows = self.lean.flatten(-depth - 1, -2) if depth else self.lean.unsqueeze(-2)
        shape = torch.broadcast_shapes(value.shape, self.loc.shape)
        moved = (rows @ shared).squeeze(-1).reshape(shape)
        # The covariance of u given x is C^-1, of which the inverse factor is a root.
        lean = torch.linalg.solve_triangular(factor, rows.mT, upper=False).mT
        return LowRankNormal(
            self.loc + self.scale * moved,
            self.scale,
            lean.reshape(*self.loc.shape, rank),
            event_dim=depth,
            validate_args=False,
        )

    def _solved(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return d, V, w and the Cholesky factor of C, where what is not known is zero."""
        deviation, lean = value - self.loc, self.lean
        if self.observed is not None:
            deviation = torch.where(self.observed, deviation, 0.0)
            lean = torch.where(self.observed.unsqueeze(-1), lean, 0.0)
        deviation = self._flat(deviation / self.scale)
        depth = len(self.event_shape)
        lean = lean.flatten(-depth - 1, -2) if depth else lean.unsqueeze(-2)
        unit = torch.eye(lean.shape[-1], dtype=lean.dtype, device=lean.device)
        factor = torch.linalg.cholesky_ex(unit + lean.mT @ lean).L
        right = lean.mT @ deviation.unsqueeze(-1)
        batch = torch.broadcast_shapes(right.shape[:-2], factor.shape[:-2])
        shared = torch.cholesky_solve(right, factor.expand(*batch, *factor.shape[-2:]))
        return deviation, lean, shared, factor

    def _flat(self, value: Tensor) -> Tensor:
        """Return a value of events with each as a vector."""
        depth = len(self.event_shape)
        return value.flatten(-depth) if depth else value.unsqueeze(-1)

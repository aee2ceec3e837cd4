"""Counts with additional zeros."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from pyrovae.distributions.negative_binomial import DispersedNegativeBinomial
from pyrovae.distributions.poisson import LogPoisson

Sizes = torch.Size | list[int] | tuple[int, ...]


class ZeroInflated(TorchDistribution):
    r"""A count that is zero with probability `g`, and else one of another distribution f.

    `p(0) = g + (1 - g) f(0)` and `p(x) = (1 - g) f(x)` for x > 0. All is computed from the logit of
    g, so that no probability is rounded to zero or one.

    Arguments:
        counts: f, a distribution of this package over counts, of shape `[*batch]`.
        gate_logits: the logits of g, of a shape that goes with it.

    Example:
        >>> gate = torch.tensor(0.0)
        >>> made = ZeroInflated(LogPoisson(torch.tensor(0.0)), gate)
        >>> made.log_prob(torch.tensor(0.0)).exp()  # 1/2 + 1/2 e^-1
        tensor(0.6839)
        >>> made.icdf(torch.tensor([0.5, 0.7])).tolist()
        [0.0, 1.0]
    """

    arg_constraints = {"gate_logits": constraints.real}  # noqa: RUF012  (torch's own convention)
    support = constraints.nonnegative_integer

    def __init__(
        self,
        counts: LogPoisson | DispersedNegativeBinomial,
        gate_logits: Tensor,
        *,
        validate_args: bool | None = None,
    ) -> None:
        shape = torch.broadcast_shapes(counts.batch_shape, gate_logits.shape)
        self.counts = counts.expand(shape)
        self.gate_logits = gate_logits.expand(shape)
        super().__init__(shape, validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "ZeroInflated":
        """Return the distribution with its batch shape expanded."""
        new: ZeroInflated = type(self).__new__(type(self)) if _instance is None else _instance
        shape = torch.Size(batch_shape)
        new.counts, new.gate_logits = self.counts.expand(shape), self.gate_logits.expand(shape)
        TorchDistribution.__init__(new, shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def gate(self) -> Tensor:
        """The probability g of an additional zero."""
        return self.gate_logits.sigmoid()

    @property
    def mean(self) -> Tensor:
        """The mean, `(1 - g) m` with the mean m of f."""
        mean: Tensor = self.counts.mean
        return (-self.gate_logits).sigmoid() * mean

    @property
    def variance(self) -> Tensor:
        """The variance, `(1 - g) (v + g m^2)` with the variance v of f."""
        open_share = (-self.gate_logits).sigmoid()
        mean, variance = self.counts.mean, self.counts.variance
        return open_share * (variance + self.gate * mean.square())

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        shut = torch.rand(shape, dtype=self.gate.dtype, device=self.gate.device) < self.gate
        return torch.where(shut, 0.0, self.counts.sample(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats."""
        if self._validate_args:
            self._validate_sample(value)
        counted = logsigmoid(-self.gate_logits) + self.counts.log_prob(value)
        zero = torch.logaddexp(logsigmoid(self.gate_logits).expand(counted.shape), counted)
        return torch.where(value == 0, zero, counted)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of at most `value`."""
        reached = self.gate + (-self.gate_logits).sigmoid() * self.counts.cdf(value)
        return torch.where(value < 0, 0.0, reached)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest count whose cumulative probability reaches `value`."""
        logits = self.gate_logits.detach().double()
        left = (value.double() - logits.sigmoid()) / (-logits).sigmoid()
        wanted = (value >= 0.0) & (value <= 1.0)
        return self.counts.icdf(torch.where(wanted, left.clamp(0.0, 1.0), torch.nan))

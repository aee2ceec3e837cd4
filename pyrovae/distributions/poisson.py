"""The Poisson distribution by the logarithm of its rate."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyrovae.distributions.whole_numbers import least_count, poisson_draw

Sizes = torch.Size | list[int] | tuple[int, ...]


class LogPoisson(TorchDistribution):
    r"""A count of log-rate l, `log p(x) = x l - e^l - log x!`.

    It is `pyro.distributions.Poisson` by l in place of the rate, which would be zero, with an
    infinite log p of any count but none, from l = -104 down in float32. The three terms nearly
    cancel for large counts, so they are computed in float64: at a count of a million the error in
    float32 would be a nat.

    Arguments:
        log_rate: l, of shape `[*batch]`; in float32 the rate is finite below 88.

    Example:
        >>> LogPoisson(torch.tensor([0.0, -1e4])).log_prob(torch.tensor([1.0, 2.0])).tolist()
        [-1.0, -20000.693359375]
        >>> LogPoisson(torch.tensor(1.0)).icdf(torch.tensor([0.1, 0.5, 0.9])).tolist()
        [1.0, 3.0, 5.0]
    """

    arg_constraints = {"log_rate": constraints.real}  # noqa: RUF012  (torch's own convention)
    support = constraints.nonnegative_integer

    def __init__(self, log_rate: Tensor, *, validate_args: bool | None = None) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.shape, validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "LogPoisson":
        """Return the distribution with its batch shape expanded."""
        new: LogPoisson = type(self).__new__(type(self)) if _instance is None else _instance
        new.log_rate = self.log_rate.expand(torch.Size(batch_shape))
        TorchDistribution.__init__(new, new.log_rate.shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def rate(self) -> Tensor:
        """The rate, `e^l`."""
        return self.log_rate.exp()

    @property
    def mean(self) -> Tensor:
        """The mean, `e^l`."""
        return self.rate

    @property
    def variance(self) -> Tensor:
        """The variance, `e^l`."""
        return self.rate

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients."""
        return poisson_draw(self.rate.expand(self._extended_shape(torch.Size(sample_shape))))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats."""
        if self._validate_args:
            self._validate_sample(value)
        x, log_rate = value.double(), self.log_rate.double()
        score = x * log_rate - log_rate.exp() - torch.lgamma(x + 1.0)
        return score.to(self.log_rate.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of at most `value`."""
        return self._cdf(value.double()).to(self.log_rate.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest count whose cumulative probability reaches `value`."""
        rate = self.rate.detach().double()
        start = rate + 4.0 * rate.sqrt()
        return least_count(self._cdf, value.double(), start).to(self.log_rate.dtype)

    def _cdf(self, count: Tensor) -> Tensor:
        known = count.floor()
        reached = torch.special.gammaincc(known.clamp(min=0.0) + 1.0, self.rate.double())
        return torch.where(known < 0.0, 0.0, reached)

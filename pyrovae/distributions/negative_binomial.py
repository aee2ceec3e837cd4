"""The negative binomial distribution by its mean and its dispersion."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Gamma, constraints
from torch.nn.functional import softplus

from pyrovae.distributions.incomplete_beta import incomplete_beta
from pyrovae.distributions.whole_numbers import least_count, poisson_draw

Sizes = torch.Size | list[int] | tuple[int, ...]


class DispersedNegativeBinomial(TorchDistribution):
    r"""A count of mean `m = e^l` and variance `m + d m^2`, with dispersion d.

    With `r = 1 / d`, `p(x) = C(x + r - 1, x) (r / (r + m))^r (m / (r + m))^x`, which is
    `scipy.stats.nbinom(r, r / (r + m))`, and Poisson's for d to zero. It is the mixture of Poisson
    distributions over rates from a gamma distribution of mean m and shape r.

    `pyro.distributions.NegativeBinomial` has the same family by r and log-odds. In float32 its
    logarithms of gamma functions cancel: at d = 0.0001 nothing true is left of the gradient by d.
    Here they are computed in float64.

    References:
        Hilbe, 2011, Negative binomial regression, second edition (the family NB2).

    Arguments:
        log_mean: l, of shape `[*batch]`; in float32 the mean is finite below 88.
        dispersion: d, positive, likewise.

    Example:
        >>> made = DispersedNegativeBinomial(torch.tensor(1.0), torch.tensor(0.5))
        >>> made.mean, made.variance  # e, and e + e^2 / 2
        (tensor(2.7183), tensor(6.4128))
        >>> made.icdf(torch.tensor([0.1, 0.5, 0.9])).tolist()
        [0.0, 2.0, 6.0]
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "log_mean": constraints.real,
        "dispersion": constraints.positive,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self, log_mean: Tensor, dispersion: Tensor, *, validate_args: bool | None = None
    ) -> None:
        self.log_mean, self.dispersion = torch.broadcast_tensors(log_mean, dispersion)
        super().__init__(self.log_mean.shape, validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "DispersedNegativeBinomial":
        """Return the distribution with its batch shape expanded."""
        new: DispersedNegativeBinomial = (
            type(self).__new__(type(self)) if _instance is None else _instance
        )
        shape = torch.Size(batch_shape)
        new.log_mean, new.dispersion = self.log_mean.expand(shape), self.dispersion.expand(shape)
        TorchDistribution.__init__(new, shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        """The mean, `m = e^l`."""
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        """The variance, `m + d m^2`."""
        return self.mean + self.dispersion * self.mean.square()

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        unit = Gamma(1.0 / self.dispersion, 1.0 / self.dispersion, validate_args=False)
        return poisson_draw(self.mean * unit.expand(shape).sample())

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats."""
        if self._validate_args:
            self._validate_sample(value)
        x, size = value.double(), 1.0 / self.dispersion.double()
        odds = self.log_mean.double() - size.log()  # log m / r
        score = torch.lgamma(x + size) - torch.lgamma(size) - torch.lgamma(x + 1.0)
        score = score - size * softplus(odds) - x * softplus(-odds)
        return score.to(self.log_mean.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of at most `value`."""
        return self._cdf(value.double()).to(self.log_mean.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest count whose cumulative probability reaches `value`."""
        start = (self.mean + 4.0 * self.variance.sqrt()).detach()
        return least_count(self._cdf, value.double(), start).to(self.log_mean.dtype)

    def _cdf(self, count: Tensor) -> Tensor:
        known, size = count.floor(), 1.0 / self.dispersion.double()
        none = torch.finfo(torch.float64).tiny  # a mean of zero has odds without an end
        odds = (size / self.log_mean.double().exp().clamp(min=none)).clamp(max=1e100)
        more = known.clamp(min=0.0) + 1.0
        reached, _ = incomplete_beta(size, more, odds.log() - odds.log1p(), -odds.log1p())
        return torch.where(known < 0.0, 0.0, reached)

"""The continuous Bernoulli distribution by logits, sound at any of them."""

import math
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Sizes = torch.Size | list[int] | tuple[int, ...]

_NEAR = 1.0  # logits within it go by the series, whose error is then below 1e-14
_STRAIGHT = 0.01  # logits within it have quantiles by a polynomial
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B_2n
_SERIES = tuple(
    number / (2 * n * math.factorial(2 * n)) for n, number in enumerate(_BERNOULLI, start=1)
)


class LogitsContinuousBernoulli(TorchDistribution):
    r"""A number in [0, 1] with the density `p(x) = l e^(l x) / (e^l - 1)`, of logits l.

    torch's distribution of the name keeps probabilities away from 0 and 1, so that its density
    stays the same, and its gradient is zero, beyond logits of about 16. Here the density is written
    from the end e of the interval that the logits point to,

        log p(x) = -|l| |x - e| + log |l| - log(1 - e^-|l|),

    and near l = 0 by the series `log p(x) = l (x - 1/2) - l^2 / 24 + l^4 / 2880 - ...`, so that no
    digits cancel at any logits.

    References:
        Loaiza-Ganem and Cunningham, 2019, arXiv:1907.06845.

    Arguments:
        logits: l, of shape `[*batch]`.

    Example:
        >>> made = LogitsContinuousBernoulli(torch.tensor([0.0, 60.0, -1e4]))
        >>> made.log_prob(torch.tensor([0.3, 1.0, 0.0]))  # the last two: log |l|
        tensor([0.0000, 4.0943, 9.2103])
        >>> made.mean
        tensor([5.0000e-01, 9.8333e-01, 1.0000e-04])
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012  (torch's own convention)
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor, *, validate_args: bool | None = None) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "LogitsContinuousBernoulli":
        """Return the distribution with its batch shape expanded."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        shape = torch.Size(batch_shape)
        new.logits = self.logits.expand(shape)
        TorchDistribution.__init__(new, shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        near, small, size = self._split()
        curve = small.square() * _polynomial(small.square(), _SERIES)
        away = torch.where(self.logits > 0, 1.0 - value, value)
        far = size.log() - torch.log(-torch.expm1(-size)) - size * away
        return torch.where(near, small * (value - 0.5) - curve, far)

    @property
    def mean(self) -> Tensor:
        """The mean, `1 / (1 - e^-l) - 1 / l`."""
        near, small, size = self._split()
        series = [2 * n * c for n, c in enumerate(_SERIES, start=1)]
        middle = 0.5 + small * _polynomial(small.square(), series)
        away = size.reciprocal() - _odds(size)
        return torch.where(near, middle, torch.where(self.logits > 0, 1.0 - away, away))

    @property
    def variance(self) -> Tensor:
        """The variance, `1 / l^2 - 1 / (e^(l / 2) - e^(-l / 2))^2`."""
        near, small, size = self._split()
        series = [2 * n * (2 * n - 1) * c for n, c in enumerate(_SERIES, start=1)]
        odds = _odds(size)
        far = size.square().reciprocal() - odds * (1.0 + odds)
        return torch.where(near, _polynomial(small.square(), series), far)

    def entropy(self) -> Tensor:
        """Return the entropy in nats; the log-density is linear, so it is that at the mean."""
        score: Tensor = self.log_prob(self.mean)
        return -score

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of at most a value, `(e^(l x) - 1) / (e^l - 1)`."""
        if self._validate_args:
            self._validate_sample(value)
        near, small, size = self._split(within=_STRAIGHT)
        slope = value * (1.0 - value)  # of the integral of the density, expanded about l = 0
        square = small.square()
        middle = value - slope * small * (0.5 + small * (2 * value - 1) / 12 - square * slope / 24)
        below = torch.expm1(-size * value) / torch.expm1(-size)
        decayed = torch.exp(-size * (1.0 - value))
        above = decayed * torch.expm1(-size * value) / torch.expm1(-size)
        return torch.where(near, middle, torch.where(self.logits > 0, above, below))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile of a probability u, `log(1 + u (e^l - 1)) / l`."""
        if self._validate_args and not bool(constraints.unit_interval.check(value).all()):
            raise ValueError(f"icdf expects probabilities from 0 to 1; got {value}")
        near, small, size = self._split(within=_STRAIGHT)
        lean, tilt = value * (1.0 - value), 1.0 - 2.0 * value  # cumulants of a Bernoulli variable
        third, fourth = tilt / 6.0, (1.0 - 6.0 * lean) / 24.0
        middle = value + lean * small * (0.5 + small * (third + small * fourth))
        rising = self.logits > 0
        rest = torch.where(rising, 1.0 - value, value)  # the mass between the quantile and the end
        other = torch.where(rising, value, 1.0 - value)
        close = rest < 0.5
        short = torch.log1p(torch.where(close, rest, 0.0) * torch.expm1(-size))
        mass = torch.where(close | (other == 0), 1.0, other + rest * torch.exp(-size))
        away = (-torch.where(close, short, mass.log()) / size).clamp(0.0, 1.0)
        away = torch.where(other == 0, 1.0, away)
        return torch.where(near, middle, torch.where(rising, 1.0 - away, away))

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients, by the quantile of a uniform number."""
        shape = self._extended_shape(torch.Size(sample_shape))
        uniform = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        limits = torch.finfo(uniform.dtype)
        return self.icdf(uniform.clamp(limits.tiny, 1.0 - limits.eps))

    def _split(self, *, within: float = _NEAR) -> tuple[Tensor, Tensor, Tensor]:
        """Return which logits are near zero, those (else zero), and the size of the others.

        Each branch is given numbers at which it is sound, so that its gradient is finite where it
        is not taken.
        """
        near = self.logits.abs() < within
        small = torch.where(near, self.logits, 0.0)
        return near, small, torch.where(near, 1.0, self.logits.abs())


def _odds(size: Tensor) -> Tensor:
    """Return `1 / (e^a - 1)` of positive a, without the overflow of that form."""
    return -torch.exp(-size) / torch.expm1(-size)


def _polynomial(value: Tensor, coefficients: tuple[float, ...] | list[float]) -> Tensor:
    """Return `c_0 + c_1 v + c_2 v^2 + ...`."""
    total = torch.full_like(value, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * value + coefficient
    return total

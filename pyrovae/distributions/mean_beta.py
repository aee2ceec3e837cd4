"""The beta distribution by its mean, on the open unit interval, with quantiles."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pyrovae.distributions.bessel import precise
from pyrovae.distributions.elementwise import Elementwise, log_gamma_draws
from pyrovae.distributions.incomplete_beta import beta_quantile, log_beta


class _OpenUnitInterval(constraints.Constraint):
    """Numbers above 0 and below 1."""

    def check(self, value: Tensor) -> Tensor:
        return (value > 0.0) & (value < 1.0)

    def __repr__(self) -> str:
        return "numbers above 0 and below 1"


class MeanBeta(Elementwise):
    r"""The beta distribution of mean m and concentration n, on the open unit interval.

        log p(x) = (a - 1) log x + (b - 1) log(1 - x) - log B(a, b),    a = m n,  b = (1 - m) n

    Its variance is `m (1 - m) / (n + 1)`. The density is found in float64, where its terms cancel
    without loss. At 0 and 1 a density is nothing or infinite, so neither is in the support, and
    draws keep off them by the least step of their type. Where values are not checked, these two are
    scored as the nearest numbers inside.

    Arguments:
        average: m, above 0 and below 1, of shape `[*batch]`.
        concentration: n, positive, of shape `[*batch]`.

    Raises:
        ValueError: a parameter lies outside of its bounds.

    Example:
        >>> MeanBeta(torch.tensor(0.5), torch.tensor(2.0)).log_prob(torch.tensor(0.3)).item()
        0.0
        >>> MeanBeta(0.75, 4.0).icdf(torch.tensor(0.125)).item()  # a = 3, b = 1
        0.5
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "average": constraints.unit_interval,
        "concentration": constraints.positive,
    }
    support = _OpenUnitInterval()
    average: Tensor
    concentration: Tensor

    @property
    def mean(self) -> Tensor:
        """The expectation, m."""
        return self.average

    @property
    def variance(self) -> Tensor:
        """The variance, `m (1 - m) / (n + 1)`."""
        return self.average * (1.0 - self.average) / (self.concentration + 1.0)

    def icdf(self, value: Any) -> Tensor:
        """Return the number below which x falls with a probability; it carries no gradient."""
        with torch.no_grad():
            probability = precise(torch.as_tensor(value, device=self.average.device))
            a, b = self._shapes(precise(self.average), precise(self.concentration))
            log_x, _ = beta_quantile(a, b, probability, 1.0 - probability)
            return _inside(log_x.exp().to(self.average.dtype))

    def _drawn(self, shape: torch.Size) -> Tensor:
        a, b = self._shapes(self.average, self.concentration)
        log_odds = log_gamma_draws(a.expand(shape)) - log_gamma_draws(b.expand(shape))
        return _inside(torch.sigmoid(log_odds))

    def _score(self, value: Tensor) -> Tensor:
        x = precise(_inside(value))
        a, b = self._shapes(precise(self.average), precise(self.concentration))
        score = (a - 1.0) * x.log() + (b - 1.0) * torch.log1p(-x) - log_beta(a, b)
        return score.to(torch.promote_types(value.dtype, self.average.dtype))

    def _shapes(self, average: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
        return average * concentration, (1.0 - average) * concentration


def _inside(value: Tensor) -> Tensor:
    limits = torch.finfo(value.dtype)
    return value.clamp(limits.tiny, 1.0 - 0.5 * limits.eps)

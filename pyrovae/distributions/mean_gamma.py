"""The gamma distribution by its mean, with quantiles."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pyrovae.distributions.bessel import precise
from pyrovae.distributions.elementwise import Elementwise, log_gamma_draws
from pyrovae.distributions.solving import root

_LOWEST = -744.0  # the logarithm of the least positive number of float64


class MeanGamma(Elementwise):
    r"""The gamma distribution of concentration a and mean m, on the positive numbers.

        log p(x) = a log(a / m) - log Gamma(a) + (a - 1) log x - a x / m

    Its variance is `m^2 / a`. The density is found in float64, where its terms cancel without loss.
    A value below the least normal number of its type is scored as that, so that the score is finite
    for a below one; one above the square root of the largest is scored as that.

    Arguments:
        concentration: a, positive, of shape `[*batch]`.
        average: m, positive, of shape `[*batch]`.

    Raises:
        ValueError: a parameter is not positive.

    Example:
        >>> MeanGamma(torch.tensor(1.0), torch.tensor(2.0)).log_prob(torch.tensor(2.0)).item()
        -1.6931471824645996
        >>> MeanGamma(1.0, 2.0).icdf(torch.tensor(0.5)).item()  # 2 log 2
        1.3862943649291992
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "concentration": constraints.positive,
        "average": constraints.positive,
    }
    support = constraints.positive
    concentration: Tensor
    average: Tensor

    @property
    def mean(self) -> Tensor:
        """The expectation, m."""
        return self.average

    @property
    def variance(self) -> Tensor:
        """The variance, `m^2 / a`."""
        return self.average.square() / self.concentration

    def icdf(self, value: Any) -> Tensor:
        """Return the number below which x falls with a probability; it carries no gradient."""
        with torch.no_grad():
            probability, a = torch.broadcast_tensors(
                precise(torch.as_tensor(value, device=self.concentration.device)),
                precise(self.concentration),
            )
            found = _log_quantile(a, probability).exp() * precise(self.average) / a
            found = found.clamp(min=torch.finfo(self.average.dtype).tiny).to(self.average.dtype)
            return torch.where(probability == 1.0, torch.inf, found)

    def _drawn(self, shape: torch.Size) -> Tensor:
        a, m = self.concentration.expand(shape), self.average.expand(shape)
        limits = torch.finfo(m.dtype)
        return (log_gamma_draws(a) + (m / a).log()).exp().clamp(limits.tiny, limits.max)

    def _score(self, value: Tensor) -> Tensor:
        limits = torch.finfo(value.dtype)
        x = precise(value.clamp(limits.tiny, limits.max**0.5))
        a, m = precise(self.concentration), precise(self.average)
        score = a * (a / m).log() - torch.lgamma(a) + (a - 1.0) * x.log() - a * x / m
        return score.to(torch.promote_types(value.dtype, self.average.dtype))


def _log_quantile(a: Tensor, probability: Tensor) -> Tensor:
    """Return the logarithms of quantiles of Gamma(a, 1)."""
    upper = probability > 0.5
    target = torch.where(upper, 1.0 - probability, probability).log()
    constant = torch.lgamma(a)

    def excess(log_x: Tensor) -> tuple[Tensor, Tensor]:
        x = log_x.exp()
        mass = torch.where(
            upper, torch.special.gammaincc(a, x), torch.special.gammainc(a, x)
        ).clamp(min=1e-300)
        slope = torch.exp(a * log_x - x - constant) / mass
        distance = mass.log() - target
        return torch.where(upper, -distance, distance), slope

    low = torch.full_like(a, _LOWEST)
    start = torch.where(upper, a.log(), (target + torch.lgamma(a + 1.0)) / a)
    return root(excess, low=low, high=(a + 100.0 * a.sqrt() + 1000.0).log(), start=start)

"""The log-normal distribution, whose draws are finite and positive."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from pyrovae.distributions.bessel import precise
from pyrovae.distributions.elementwise import Elementwise


class FiniteLogNormal(Elementwise):
    r"""The distribution of e^y for a normal y, `p(x) = N(log x; mu, sigma^2) / x`.

    torch's draws zero and infinity, and scores neither, where e^y leaves its type. Here draws and
    the mean keep to the numbers that the type has, and a value below the least normal number is
    scored as that.

    Arguments:
        loc: mu, the mean of log x, of shape `[*batch]`.
        scale: sigma, the standard deviation of log x, of shape `[*batch]`.

    Raises:
        ValueError: a scale is not positive.

    Example:
        >>> FiniteLogNormal(torch.tensor(0.0), 1.0).log_prob(torch.tensor(1.0)).item()
        -0.9189385175704956
        >>> FiniteLogNormal(torch.tensor(1e4), 1.0).mean.isfinite().item()
        True
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.positive
    loc: Tensor
    scale: Tensor

    @property
    def mean(self) -> Tensor:
        """The expectation, `exp(mu + sigma^2 / 2)`."""
        return _exponential(self.loc + 0.5 * self.scale.square())

    @property
    def variance(self) -> Tensor:
        """The variance, `(exp(sigma^2) - 1) exp(2 mu + sigma^2)`."""
        return torch.expm1(self.scale.square()) * self.mean.square()

    def icdf(self, value: Any) -> Tensor:
        """Return the number below which x falls with a probability."""
        probability = precise(torch.as_tensor(value, device=self.loc.device))
        normal = torch.special.ndtri(probability).to(self.loc.dtype)
        found = _exponential(self.loc + self.scale * normal)
        return torch.where(probability == 1.0, torch.inf, found)

    def _drawn(self, shape: torch.Size) -> Tensor:
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return _exponential(self.loc + self.scale * noise)

    def _score(self, value: Tensor) -> Tensor:
        log_x = value.clamp(min=torch.finfo(value.dtype).tiny).log()
        distance = (log_x - self.loc) / self.scale
        constant = 0.5 * math.log(2.0 * math.pi)
        return -0.5 * distance.square() - self.scale.log() - log_x - constant


def _exponential(value: Tensor) -> Tensor:
    """Return the exponential, within the normal numbers of the type."""
    limits = torch.finfo(value.dtype)
    low, high = math.log(limits.tiny), math.log(limits.max)
    return value.clamp(low, high * (1.0 - limits.eps)).exp()

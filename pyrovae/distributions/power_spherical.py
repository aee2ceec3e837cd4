"""The power spherical distribution, on a sphere."""

import math

import torch
from torch import Tensor
from torch.distributions import Gamma

from pyrovae.distributions.about_a_direction import AboutADirection
from pyrovae.distributions.bessel import precise
from pyrovae.distributions.hyperspherical_uniform import (
    Sizes,
    log_area,
    turned,
    unexpanded,
)


class PowerSpherical(AboutADirection):
    r"""The power spherical distribution, `p(z) = (1 + m . z)^k / N`, on the unit sphere of R^dim.

    With `b = (dim - 1) / 2` and `a = b + k`, `N = 2^(a + b) pi^b Gamma(a) / Gamma(a + b)`, and
    `(1 + m . z) / 2` is of the law Beta(a, b). The Beta's second Gamma variable is half the square
    of a normal vector g of `dim - 1` elements, whose direction is the one left to draw. So z is a
    smooth function of m, of G ~ Gamma(a) and of g, the stereographic image of `g / sqrt(2 G)`:

        z = [ (G - |g|^2 / 2) m + sqrt(2 G) g' ] / (G + |g|^2 / 2),    g' : g turned to face m.

    The only gradient that is not plain differentiation is that of G in its shape, which torch
    gives by implicit reparameterisation. Densities and entropies are found in float64.

    References:
        De Cao and Aziz, 2020, arXiv:2006.04437.

    Arguments:
        loc: the mean direction m, of length one, of shape `[*batch, dim]`.
        concentration: k, positive, of shape `[*batch]`.

    Raises:
        ValueError: there is no such sphere, or a parameter lies outside its bounds.

    Example:
        >>> made = PowerSpherical(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(1.0))
        >>> made.log_prob(torch.tensor([0.0, 1.0, 0.0])).item()  # -log 4 pi
        -2.5310242176055908
        >>> made.rsample((5,)).shape
        torch.Size([5, 3])
    """

    @property
    def mean(self) -> Tensor:
        """The expectation, `k / (k + dim - 1) m`, which lies inside the sphere."""
        (dim,) = self.event_shape
        share = self.concentration / (self.concentration + (dim - 1))
        return share.unsqueeze(-1) * self.loc

    def entropy(self) -> Tensor:
        """Return the entropy in nats, `log area - KL(p || uniform)`."""
        (dim,) = self.event_shape
        return log_area(dim) - self.kl_from_uniform()

    def kl_from_uniform(self) -> Tensor:
        """Return KL(p || uniform on the sphere), `E log (1 + t) / 2` less what normalises it."""
        concentration = precise(unexpanded(self.concentration))
        a, b = self._beta(concentration)
        expected = torch.digamma(a) - torch.digamma(a + b)
        kl = concentration * expected - self._log_mean_power(concentration)
        return kl.to(self.concentration.dtype).expand(self.batch_shape)

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients in both parameters."""
        shape = torch.Size(sample_shape) + self.batch_shape
        (dim,) = self.event_shape
        a, _ = self._beta(self.concentration)
        gamma = Gamma(a.expand(shape), 1.0, validate_args=False).rsample().unsqueeze(-1)
        normal = torch.randn((*shape, dim - 1), dtype=self.loc.dtype, device=self.loc.device)
        half = 0.5 * normal.square().sum(-1, keepdim=True)
        ahead = (gamma - half) * self.loc
        return (ahead + (2.0 * gamma).sqrt() * turned(normal, self.loc)) / (gamma + half)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats with respect to area."""
        if self._validate_args:
            self._validate_sample(value)
        (dim,) = self.event_shape
        constant = self._log_mean_power(precise(unexpanded(self.concentration)))
        power = self.concentration * _log_half(value, self.loc)
        return power - constant.to(power.dtype) - log_area(dim)

    def _beta(self, concentration: Tensor) -> tuple[Tensor, float]:
        b = 0.5 * (self.event_shape[0] - 1)
        return concentration + b, b

    def _log_mean_power(self, concentration: Tensor) -> Tensor:
        """Return `log E ((1 + t) / 2)^k` under the uniform distribution, which normalises."""
        a, b = self._beta(concentration)
        constant = math.lgamma(2.0 * b) - math.lgamma(b)
        return torch.lgamma(a) - torch.lgamma(a + b) + constant


def _log_half(value: Tensor, loc: Tensor) -> Tensor:
    """Return `log (1 + m . z) / 2` by the shorter of the ways to m and to -m, where digits are.

    For unit vectors it is `log (1 - |z - m|^2 / 4) = log |z + m|^2 / 4`.
    """
    towards = 0.25 * (value - loc).square().sum(-1)
    away = 0.25 * (value + loc).square().sum(-1)
    near = towards < 0.5
    least = torch.finfo(value.dtype).tiny
    one = torch.log1p(-torch.where(near, towards, 0.0))
    other = torch.log(torch.where(near, 1.0, away.clamp(min=least)))
    return torch.where(near, one, other)

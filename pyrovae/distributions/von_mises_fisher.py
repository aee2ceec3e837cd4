"""The von Mises-Fisher distribution, on a sphere."""

import math

import torch
from torch import Tensor

from pyrovae.distributions.about_a_direction import AboutADirection
from pyrovae.distributions.bessel import bessel_i, precise
from pyrovae.distributions.hyperspherical_uniform import (
    Sizes,
    log_area,
    turned,
    unexpanded,
    unit,
)
from pyrovae.distributions.polar_angle import polar_angle


class VonMisesFisher(AboutADirection):
    r"""The von Mises-Fisher distribution, `p(z) = e^(k m . z) / N`, on the unit sphere of R^dim.

    With `v = dim / 2 - 1`, `N = (2 pi)^(v + 1) I_v(k) / k^v`. In dimension 2 it is von Mises's.

    A draw is `z = cos(theta) m + sin(theta) w`, w uniform among the directions orthogonal to m.
    The angle theta comes from its own distribution by inversion (see `polar_angle`), and carries
    its exact derivative in k. A sampler that rejects proposals and differentiates the accepted one
    lacks the term of the acceptance, and its gradient is biased in all dimensions but 3.

    References:
        Davidson et al., 2018, arXiv:1804.00891; the term of the acceptance: Naesseth et al., 2017,
        arXiv:1610.05683.

    Arguments:
        loc: the mean direction m, of length one, of shape `[*batch, dim]`.
        concentration: k, positive, of shape `[*batch]`.

    Raises:
        ValueError: there is no such sphere, or a parameter lies outside its bounds.

    Example:
        >>> made = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(2.0))
        >>> made.log_prob(torch.tensor([0.0, 1.0, 0.0])).item()  # log(k / 4 pi sinh k)
        -3.126244
        >>> made.rsample((5,)).shape
        torch.Size([5, 3])
    """

    @property
    def mean(self) -> Tensor:
        """The expectation, `I_{v+1}(k) / I_v(k) m`, which lies inside the sphere."""
        (dim,) = self.event_shape
        _, ratio = bessel_i(0.5 * dim - 1.0, unexpanded(self.concentration))
        return (self.concentration * ratio).unsqueeze(-1) * self.loc

    def entropy(self) -> Tensor:
        """Return the entropy in nats, `log area - KL(p || uniform)`."""
        (dim,) = self.event_shape
        return log_area(dim) - self.kl_from_uniform()

    def kl_from_uniform(self) -> Tensor:
        """Return KL(p || uniform on the sphere), `k E t - log E_uniform e^(k t)`."""
        (dim,) = self.event_shape
        concentration = precise(unexpanded(self.concentration))
        log_regular, ratio = bessel_i(0.5 * dim - 1.0, concentration)
        kl = concentration * (concentration * ratio - 1.0) - log_regular
        return kl.to(self.concentration.dtype).expand(self.batch_shape)

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients in both parameters."""
        (dim,) = self.event_shape
        shape = torch.Size(sample_shape) + self.batch_shape
        angle = self._angle(shape).unsqueeze(-1)
        normal = torch.randn((*shape, dim - 1), dtype=self.loc.dtype, device=self.loc.device)
        aside = turned(unit(normal), self.loc)
        return angle.cos() * self.loc + angle.sin() * aside

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats with respect to area."""
        if self._validate_args:
            self._validate_sample(value)
        (dim,) = self.event_shape
        constant, _ = bessel_i(0.5 * dim - 1.0, unexpanded(self.concentration))
        away = 0.5 * (value - self.loc).square().sum(-1)  # 1 - m . z, with all its digits
        return -self.concentration * away - constant - log_area(dim)

    def _angle(self, shape: torch.Size) -> Tensor:
        """Return a draw of the angle to the mean direction, with its gradient in k."""
        given = unexpanded(self.concentration)  # one row of the table serves all its draws
        exact = precise(given).detach().reshape(-1)
        draws = math.prod(shape[: len(shape) - given.dim()])
        uniform = torch.rand(exact.numel(), draws, dtype=exact.dtype, device=exact.device)
        (dim,) = self.event_shape
        angle, slope = (
            found.mT.reshape(shape).to(self.loc.dtype)
            for found in polar_angle(exact, uniform, dim=dim)
        )
        return angle + slope * (self.concentration - self.concentration.detach())

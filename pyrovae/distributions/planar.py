"""The planar map."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pyrovae.distributions.flow import Bijection
from pyrovae.distributions.tanh_root import sech_squared, tanh_root

_MOST = 0.999  # so the determinant is at least a thousandth
_UNIT = 0.541324854612918  # log(e - 1), where softplus is one
_LEAST = 1e-8  # of |w|^2, below which the map is as good as a shift


class Planar(Bijection):
    r"""The map `f(x) = x + u' tanh(w . x + b)`, whose determinant is `1 + w . u' tanh'`.

    It is invertible where `w . u' > -1`. So u' is u with its part along w replaced, such that

        w . u' = m(w . u),    m(s) = c (softplus(s + log(e - 1)) - 1),    c = 0.999,

    which is zero at zero, about s for large s, and nowhere below -c. The inverse is the root of an
    equation in the single number `w . x + b`, found to machine precision.

    References:
        Rezende and Mohamed, 2015, arXiv:1505.05770, section 4.1 and appendix A.1.

    Arguments:
        u: any vectors, of shape `[*batch, dim]`.
        w: likewise.
        b: of shape `[*batch]`.

    Example:
        >>> planar = Planar(torch.ones(3), torch.ones(3), torch.tensor(0.5))
        >>> y, log_det = planar.forward(torch.arange(3.0))
        >>> x, _ = planar.inverse(y)
        >>> bool((x - torch.arange(3.0)).abs().max() < 1e-5)
        True
    """

    def __init__(self, u: Tensor, w: Tensor, b: Tensor) -> None:
        product = (w * u).sum(-1)
        square = w.square().sum(-1)
        bounded = square.clamp(min=_LEAST)
        wanted = _MOST * (softplus(product + _UNIT) - 1.0)
        self.u = u + ((wanted - product) / bounded).unsqueeze(-1) * w
        self.w = w
        self.b = b
        share = square / bounded  # one, but for the smallest w
        self.slope = share * wanted + (1.0 - share) * product  # w . u', above -1

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        inner = (self.w * value).sum(-1) + self.b
        log_det = torch.log1p(self.slope * sech_squared(inner))
        return value + self.u * inner.tanh().unsqueeze(-1), log_det

    def inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        inner = tanh_root(self.slope, (self.w * value).sum(-1) + self.b)
        log_det = torch.log1p(self.slope * sech_squared(inner))
        return value - self.u * inner.tanh().unsqueeze(-1), log_det

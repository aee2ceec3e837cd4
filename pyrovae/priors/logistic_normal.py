"""The logistic-normal prior: a Dirichlet's Laplace approximation."""

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import SoftmaxNormal
from pyrovae.heads import positive
from pyrovae.priors.dirichlet import Concentration, concentrations
from pyrovae.priors.prior import Prior, dimension


class LogisticNormal(Prior):
    r"""The Laplace approximation of a Dirichlet, `z = softmax(h)`, `h_k ~ N(log a_k, 1 / a_k)`.

    The approximation is of the Dirichlet's density in the log-ratios `log(z_k / z_K)`, at its
    mode: a normal of mean `log(a_k / a_K)` and covariance `diag(1 / a_k) + 1 / a_K`, which is
    exactly that of the softmax of such h. Srivastava and Sutton keep of its covariance among the
    centred logarithms the diagonal alone; for equal a their covariance of the log-ratios is
    `1 - 1/K` times this one.

    References:
        Hennig, Stern, Herbrich and Graepel, 2012, arXiv:1110.4713; as a prior of a variational
        autoencoder: Srivastava and Sutton, 2017, arXiv:1703.01488.

    Arguments:
        dim: the number of coordinates of z, K, at least 2.
        concentration: a, one number for all coordinates, or "learned" for one of each, from 1 on.

    Raises:
        ValueError: the dimension is not an integer from 2 on, or the concentration no number of at
            least 1e-4.

    Example:
        >>> LogisticNormal(3, concentration=0.5)(Context()).sample((7,)).shape
        torch.Size([7, 3])
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, dim: int = 32, *, concentration: Concentration = 1.0) -> None:
        super().__init__()
        self.dim = dim
        self.concentration = concentration
        self.event_shape = dimension(self, dim)
        start = concentrations(self)
        if concentration == "learned":
            self.raw_concentration = nn.Parameter(start)
        else:
            self.register_buffer("loc", torch.zeros(dim), persistent=False)
            self.register_buffer("scale", start.rsqrt(), persistent=False)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        if self.concentration != "learned":
            return SoftmaxNormal(self.loc, self.scale)
        concentration = positive(self.raw_concentration)
        return SoftmaxNormal(concentration.log(), concentration.rsqrt())

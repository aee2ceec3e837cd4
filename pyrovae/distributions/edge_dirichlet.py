"""A Dirichlet that draws and scores at the edge of the simplex without overflow."""

import pyro.distributions as dist
import torch
from torch import Tensor

from pyrovae.distributions.softmax_normal import log_coordinates

Sizes = torch.Size | list[int] | tuple[int, ...]


class EdgeDirichlet(dist.Dirichlet):
    r"""A Dirichlet, `p(z) = Gamma(sum_k a_k) prod_k z_k^(a_k - 1) / Gamma(a_k)`.

    It is `pyro.distributions.Dirichlet`, but for numbers that were rounded to zero, which are
    scored at a floor (see `log_coordinates`), and for draws, which are made of the logarithms of
    Gamma variables, `log Gamma(a + 1) + log(U) / a` with U uniform, so that small concentrations
    give points at the edge and not NaN.

    Arguments:
        concentration: a, of shape `[*batch, K]`.

    Example:
        >>> made = EdgeDirichlet(torch.tensor([0.5, 0.5]))
        >>> made.log_prob(torch.tensor([0.0, 1.0])).isfinite().item()
        True
        >>> EdgeDirichlet(torch.full((3,), 1e-4)).sample().isfinite().all().item()
        True
    """

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        concentration = self.concentration.expand(shape)
        uniform = torch.rand(shape, dtype=concentration.dtype, device=concentration.device)
        boost = -torch.log1p(-uniform) / concentration  # of [0, 1), as log(0) is none
        return torch.softmax(torch._standard_gamma(concentration + 1.0).log() - boost, dim=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        powers = (self.concentration - 1.0) * log_coordinates(value)
        total = torch.lgamma(self.concentration.sum(-1))
        return powers.sum(-1) + total - torch.lgamma(self.concentration).sum(-1)

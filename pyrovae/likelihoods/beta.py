"""The beta likelihood, for shares above 0 and below 1."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import MeanBeta
from pyrovae.heads import Head
from pyrovae.likelihoods.learned import MOST, Choice, begun, learned, number_of, stacked
from pyrovae.likelihoods.likelihood import Likelihood, Shape, shape_of, spread_of

_EDGE = 1e-4  # the mean keeps off 0 and 1 by this


class Beta(Likelihood):
    r"""Independent beta elements of mean `m_i(z)` and concentration `n_i`.

        p(x | z) = prod_i x_i^(a_i - 1) (1 - x_i)^(b_i - 1) / B(a_i, b_i),
        a_i = m_i n_i,    b_i = (1 - m_i) n_i

    The mean is `m = 1e-4 + (1 - 2e-4) sigmoid(raw)`, the variance `m (1 - m) / (n + 1)`. The
    encoder sees 2 x - 1. Zero and one are outside of the support: the density there is nothing or
    infinite, so that a few exact ones would decide about the fit.

    References:
        Ferrari and Cribari-Neto, 2004, doi:10.1080/0266476042000214501; on zeros and ones, Smithson
        and Verkuilen, 2006, doi:10.1037/1082-989X.11.1.54.

    Arguments:
        event_shape: the shape of one x.
        concentration: n: a positive number, or "shared" for one learned number, "element" for one
            learned number for each element, "network" for one predicted for each element.

    Raises:
        ValueError: the shape is not one of positive integers, or the concentration none of the
            four.

    Example:
        >>> made = Beta((1,), concentration=2.0)(torch.zeros(1), Context())  # uniform
        >>> made.log_prob(torch.full((1,), 0.3)).item()
        0.0
    """

    fill = 0.5

    def __init__(
        self, event_shape: tuple[int, ...], *, concentration: float | Choice = "shared"
    ) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.concentration = concentration
        self.head = Head(mean=1, **learned(self, "concentration", concentration, most=MOST))

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        concentration = number_of(self, "concentration", parameters)
        mean = _EDGE + (1.0 - 2.0 * _EDGE) * torch.sigmoid(parameters["mean"])
        return self.over_elements(MeanBeta(mean, concentration), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean of the data, and at the concentration that its variance says."""
        mean, variance = spread_of(batch)
        mean = torch.where(mean > 0.0, mean, self.fill)  # of an element that is nowhere observed
        concentration = (mean * (1.0 - mean) / variance - 1.0).clamp(0.1, 1000.0)
        share = (mean - _EDGE) / (1.0 - 2.0 * _EDGE)
        raw = torch.logit(share.clamp(0.1 * _EDGE, 1.0 - 0.1 * _EDGE))
        return stacked(self, [raw, *begun(self, "concentration", concentration)])

    def inputs(self, x: Tensor) -> Tensor:
        """Return 2 x - 1; see `Likelihood`."""
        return 2.0 * x - 1.0

    def remedy(self) -> str:
        """Return what to do with zeros and ones; see `Likelihood`."""
        return (
            "bring shares of n units off the ends by (x * (n - 1) + 0.5) / n, or declare zeros and "
            "ones missing; for grey levels choose ContinuousBernoulli, whose support has both "
            "ends, or a discretised likelihood"
        )

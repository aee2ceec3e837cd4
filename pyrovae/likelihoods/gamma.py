"""The gamma likelihood, for positive numbers whose spread grows with their mean."""

from collections.abc import Mapping

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import MeanGamma
from pyrovae.heads import Head, positive, raw_of
from pyrovae.likelihoods.learned import MOST, Choice, begun, learned, number_of, stacked
from pyrovae.likelihoods.likelihood import (
    Likelihood,
    Shape,
    logarithm,
    relative_spread_of,
    shape_of,
    without_zeros,
)


class Gamma(Likelihood):
    r"""Independent gamma elements of mean `m_i(z)` and concentration `a_i`.

        p(x | z) = prod_i (a_i / m_i)^a_i / Gamma(a_i) x_i^(a_i - 1) exp(-a_i x_i / m_i)

    The mean is `m = 1e-4 + softplus(raw + log(e - 1))`, the variance `m^2 / a`; a concentration of
    one is the exponential distribution. The encoder sees log x. Zero is outside of the support,
    since below a concentration of one its density is infinite; a positive x too small for the
    precision is scored as the least normal number that there is.

    Arguments:
        event_shape: the shape of one x.
        concentration: a: a positive number, or "shared" for one learned number, "element" for one
            learned number for each element, "network" for one predicted for each element.

    Raises:
        ValueError: the shape is not one of positive integers, or the concentration none of the
            four.

    Example:
        >>> import torch
        >>> made = Gamma((1,), concentration=1.0)(torch.zeros(1), Context())
        >>> round(made.log_prob(torch.ones(1)).item(), 3)
        -1.0
    """

    fill = 1.0

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
        return self.over_elements(MeanGamma(concentration, positive(parameters["mean"])), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean of the data, and at the concentration that its variance says."""
        mean, relative = relative_spread_of(batch)
        concentration = relative.reciprocal().clamp(0.01, 100.0)
        return stacked(self, [raw_of(mean), *begun(self, "concentration", concentration)])

    def inputs(self, x: Tensor) -> Tensor:
        """Return log x; see `Likelihood`."""
        return logarithm(x)

    def remedy(self) -> str:
        """Return what to do with zeros; see `Likelihood`."""
        return without_zeros()

"""The negative binomial likelihood, for counts that vary more than Poisson's."""

from collections.abc import Mapping

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import DispersedNegativeBinomial
from pyrovae.heads import Head, raw_of
from pyrovae.likelihoods.count_parameters import (
    REMEDY,
    Dispersion,
    dispersion_of,
    dispersion_parameter,
    log1p_of,
    log_mean_of,
    raw_of_mean,
    stacked,
    start_dispersion,
)
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of, shape_of


class NegativeBinomial(Likelihood):
    r"""Independent counts of mean m and variance `m + d m^2`, of dispersion d.

    With `r = 1 / d`, the total count that others call inverse dispersion, it is
    `p(x | z) = prod_i C(x_i + r - 1, x_i) (r / (r + m_i))^r (m_i / (r + m_i))^x_i`, each element
    `scipy.stats.nbinom(r, r / (r + m_i))`; the smaller d is, the closer to Poisson's. The raw
    numbers of m are log m up to 20, which is a mean of 4.9e8; beyond, m grows in proportion to
    them. The encoder sees log(1 + x).

    References:
        Hilbe, 2011, Negative binomial regression, second edition (the family NB2).

    Arguments:
        event_shape: the shape of one x.
        dispersion: d: a number from 0.0001 to 10000, or "shared" for one learned number, "element"
            for one learned number for each element, "network" for one predicted for each element.

    Raises:
        ValueError: the shape is not one of positive integers, or the dispersion none of the four.

    Example:
        >>> import torch
        >>> counts = NegativeBinomial((2,), dispersion=1.0)(torch.zeros(2), Context())
        >>> counts.log_prob(torch.tensor([0.0, 1.0])).exp()  # 1/2 of none, 1/4 of one
        tensor(0.1250)
        >>> counts.variance
        tensor([2., 2.])
    """

    def __init__(
        self, event_shape: tuple[int, ...], *, dispersion: float | Dispersion = "element"
    ) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.dispersion = dispersion
        self.head = Head(mean=1, dispersion=1) if dispersion == "network" else Head(mean=1)
        self.raw_dispersion = dispersion_parameter("NegativeBinomial", dispersion, self.event_shape)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        dispersion = dispersion_of(self.dispersion, self.raw_dispersion, parameters)
        counts = DispersedNegativeBinomial(log_mean_of(parameters["mean"]), dispersion)
        return self.over_elements(counts, context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean and the dispersion of the data; see `Likelihood`."""
        dispersion = start_dispersion(batch, self.dispersion, self.raw_dispersion)
        raw = [raw_of_mean(mean_of(batch))]
        if self.dispersion == "network":
            raw.append(raw_of(dispersion))
        return stacked(raw, self.head.out_shape(self.event_shape))

    def inputs(self, x: Tensor) -> Tensor:
        """Return log(1 + x); see `Likelihood`."""
        return log1p_of(x)

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return REMEDY

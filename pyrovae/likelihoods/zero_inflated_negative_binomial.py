"""The zero-inflated negative binomial likelihood, for counts with too many zeros."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import DispersedNegativeBinomial, ZeroInflated
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

_GATES = 0.02, 0.9  # to start at


class ZeroInflatedNegativeBinomial(Likelihood):
    r"""Independent counts, zero with probability g and else negative binomial.

    `p(0) = g + (1 - g) f(0)` and `p(x) = (1 - g) f(x)` for x > 0, where f is the distribution of
    mean m and dispersion d that `NegativeBinomial` describes. The decoder predicts m and the
    logit of g. The encoder sees log(1 + x).

    References:
        In a variational autoencoder: Lopez, Regier, Cole, Jordan and Yosef, 2018, Deep generative
        modeling for single-cell transcriptomics, Nature Methods 15, arXiv:1709.02082 (its
        preliminary version). In a factor model: Risso, Perraudeau, Gribkova, Dudoit and Vert, 2018,
        A general and flexible method for signal extraction from single-cell RNA-seq data
        (ZINB-WaVE), Nature Communications 9.

    Arguments:
        event_shape: the shape of one x.
        dispersion: d: a number from 0.0001 to 10000, or "shared" for one learned number, "element"
            for one learned number for each element, "network" for one predicted for each element.

    Raises:
        ValueError: the shape is not one of positive integers, or the dispersion none of the four.

    Example:
        >>> likelihood = ZeroInflatedNegativeBinomial((1,), dispersion=1.0)
        >>> counts = likelihood(torch.zeros(2), Context())  # g = 1/2, m = 1
        >>> counts.log_prob(torch.zeros(1)).exp()
        tensor(0.7500)
        >>> counts.mean
        tensor([0.5000])
    """

    def __init__(
        self, event_shape: tuple[int, ...], *, dispersion: float | Dispersion = "element"
    ) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.dispersion = dispersion
        more = {"dispersion": 1} if dispersion == "network" else {}
        self.head = Head(mean=1, gate=1, **more)
        self.raw_dispersion = dispersion_parameter(
            "ZeroInflatedNegativeBinomial", dispersion, self.event_shape
        )

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        dispersion = dispersion_of(self.dispersion, self.raw_dispersion, parameters)
        counts = DispersedNegativeBinomial(log_mean_of(parameters["mean"]), dispersion)
        return self.over_elements(ZeroInflated(counts, parameters["gate"]), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the data's mean, dispersion, and zeros beyond these; see `Likelihood`."""
        dispersion = start_dispersion(batch, self.dispersion, self.raw_dispersion)
        mean = mean_of(batch)
        zeros = mean_of({**batch, "x": batch["x"] == 0})
        expected = torch.exp(-torch.log1p(dispersion * mean) / dispersion)
        beyond = (zeros - expected) / (1.0 - expected).clamp(min=1e-6)
        gate = beyond.clamp(*_GATES)
        raw = [raw_of_mean(mean / (1.0 - gate)), torch.logit(gate)]
        if self.dispersion == "network":
            raw.append(raw_of(dispersion))
        return stacked(raw, self.head.out_shape(self.event_shape))

    def inputs(self, x: Tensor) -> Tensor:
        """Return log(1 + x); see `Likelihood`."""
        return log1p_of(x)

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return REMEDY

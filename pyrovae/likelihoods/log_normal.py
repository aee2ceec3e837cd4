"""The log-normal likelihood, for positive numbers of any order of magnitude."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import FiniteLogNormal
from pyrovae.heads import Head
from pyrovae.likelihoods.learned import (
    Choice,
    begun,
    learned,
    number_of,
    settled_start,
    stacked,
)
from pyrovae.likelihoods.likelihood import (
    Likelihood,
    Shape,
    logarithm,
    relative_spread_of,
    shape_of,
    without_zeros,
)


class LogNormal(Likelihood):
    r"""Independent log-normal elements, `p(x | z) = prod_i N(log x_i; mu_i(z), sigma_i^2) / x_i`.

    The mean is `exp(mu + sigma^2 / 2)`, the median `exp(mu)`. The encoder sees log x. Zero is
    outside of the support; a positive x too small for the precision is scored as the least normal
    number that there is.

    Arguments:
        event_shape: the shape of one x.
        scale: sigma, the standard deviation of log x: a positive number, or "shared" for one
            learned number, "element" for one learned number for each element, "network" for one
            predicted for each element.

    Raises:
        ValueError: the shape is not one of positive integers, or the scale none of the four.

    Example:
        >>> made = LogNormal((2,), scale=1.0)(torch.zeros(2), Context())
        >>> made.log_prob(torch.ones(2)).item()
        -1.8378770351409912
    """

    fill = 1.0

    def __init__(self, event_shape: tuple[int, ...], *, scale: float | Choice = "shared") -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.scale = scale
        self.head = Head(loc=1, **learned(self, "scale", scale))

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        scale = number_of(self, "scale", parameters)
        return self.over_elements(FiniteLogNormal(parameters["loc"], scale), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean of the data, and at the spread that its variance says."""
        mean, relative = relative_spread_of(batch)
        scale = torch.log1p(relative).sqrt()
        raw = begun(self, "scale", scale)
        loc = mean.log() - 0.5 * settled_start(self, "scale", scale).square()
        return stacked(self, [loc, *raw])

    def inputs(self, x: Tensor) -> Tensor:
        """Return log x; see `Likelihood`."""
        return logarithm(x)

    def remedy(self) -> str:
        """Return what to do with zeros; see `Likelihood`."""
        return without_zeros()

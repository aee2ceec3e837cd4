"""The Poisson likelihood, for counts without a ceiling."""

from collections.abc import Mapping

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import LogPoisson
from pyrovae.heads import Head
from pyrovae.likelihoods.count_parameters import REMEDY, log1p_of, log_mean_of, raw_of_mean
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of, shape_of


class Poisson(Likelihood):
    r"""Independent counts, `p(x | z) = prod_i m_i^x_i e^(-m_i) / x_i!`.

    The raw numbers are log m up to 20, which is a mean of 4.9e8; beyond, m grows in proportion to
    them. The encoder sees log(1 + x).

    Arguments:
        event_shape: the shape of one x.

    Raises:
        ValueError: the shape is not one of positive integers.

    Example:
        >>> import torch
        >>> Poisson((2,))(torch.zeros(2), Context()).log_prob(torch.ones(2)).item()
        -2.0
    """

    head = Head(mean=1)

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        log_mean = log_mean_of(self.head.unpack(raw, self.event_shape)["mean"])
        return self.over_elements(LogPoisson(log_mean), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean of the data; see `Likelihood`."""
        return raw_of_mean(mean_of(batch))

    def inputs(self, x: Tensor) -> Tensor:
        """Return log(1 + x); see `Likelihood`."""
        return log1p_of(x)

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return REMEDY

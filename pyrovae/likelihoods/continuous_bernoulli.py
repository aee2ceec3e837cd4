"""The continuous Bernoulli likelihood, for numbers from 0 to 1."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import LogitsContinuousBernoulli
from pyrovae.heads import Head
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of, shape_of

_HALVINGS = 60  # of an interval of logits, which leaves nothing of it in float64
_STEEPEST = 1000.0  # the logits of a mean of 0.001 from an end


class ContinuousBernoulli(Likelihood):
    r"""Independent elements in [0, 1], `p(x | z) = prod_i l_i e^(l_i x_i) / (e^l_i - 1)`.

    The raw numbers are the logits l. It is what becomes of the Bernoulli likelihood of grey levels
    once it is normalised as a density.

    References:
        Loaiza-Ganem and Cunningham, 2019, arXiv:1907.06845.

    Arguments:
        event_shape: the shape of one x.

    Raises:
        ValueError: the shape is not one of positive integers.

    Example:
        >>> made = ContinuousBernoulli((2,))(torch.tensor([0.0, 60.0]), Context())
        >>> made.log_prob(torch.ones(2)).item()  # of the second element alone: log 60
        4.0943446159362793
    """

    head = Head(logits=1)

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        return self.over_elements(LogitsContinuousBernoulli(logits), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean of the data; see `Likelihood`."""
        mean = mean_of(batch)
        low = torch.full_like(mean, -_STEEPEST)
        high = -low
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            above = LogitsContinuousBernoulli(middle).mean > mean
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return 0.5 * (low + high)

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return (
            "divide grey levels by the largest one, score them as levels with "
            "DiscretizedLogisticMixture, or score real numbers with Normal"
        )

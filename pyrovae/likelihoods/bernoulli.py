"""The Bernoulli likelihood, for binary data."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import LogitsBernoulli
from pyrovae.heads import Head
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of, shape_of


class Bernoulli(Likelihood):
    r"""Independent binary elements, `p(x | z) = prod_i mu_i^x_i (1 - mu_i)^(1 - x_i)`.

    The raw numbers are the logits of mu, so that the log-likelihood is sound at any of them.

    Arguments:
        event_shape: the shape of one x.

    Raises:
        ValueError: the shape is not one of positive integers.

    Example:
        >>> Bernoulli((2,))(torch.zeros(2), Context()).log_prob(torch.ones(2)).item()
        -1.3862943649291992
    """

    head = Head(logits=1)

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        return self.over_elements(LogitsBernoulli(logits=logits), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean of the data; see `Likelihood`."""
        return torch.logit(mean_of(batch).clamp(0.001, 0.999))

    def remedy(self) -> str:
        """Return what to do with grey values; see `Likelihood`."""
        return (
            "binarise the data (binarize='dynamic' or 'fixed' of the MNIST source), score grey "
            "levels as counts with Binomial(total_count=the largest level), levels 0..255 with "
            "DiscretizedLogisticMixture, levels in [0, 1] with ContinuousBernoulli, or numbers "
            "with Normal"
        )

"""The Laplace likelihood, for real numbers with sharp peaks and some large errors."""

from collections.abc import Mapping

import pyro.distributions as dist
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.likelihoods.learned import Choice, begun, learned, number_of, stacked
from pyrovae.likelihoods.likelihood import Likelihood, Shape, shape_of, spread_of


class Laplace(Likelihood):
    r"""Independent Laplace elements, `p(x | z) = prod_i exp(-|x_i - mu_i(z)| / b_i) / (2 b_i)`.

    Its location is the median of x given z, so that a few large errors weigh less than under a
    normal. The standard deviation is `sqrt(2) b`.

    Arguments:
        event_shape: the shape of one x.
        scale: b: a positive number, or "shared" for one learned number, "element" for one learned
            number for each element, "network" for one predicted for each element.

    Raises:
        ValueError: the shape is not one of positive integers, or the scale none of the four.

    Example:
        >>> import torch
        >>> Laplace((2,))(torch.zeros(2), Context()).log_prob(torch.zeros(2)).item()  # -2 log 2
        -1.3862943649291992
    """

    def __init__(self, event_shape: tuple[int, ...], *, scale: float | Choice = 1.0) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.scale = scale
        self.head = Head(loc=1, **learned(self, "scale", scale))

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        scale = number_of(self, "scale", parameters)
        return self.over_elements(dist.Laplace(parameters["loc"], scale), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean and the spread of the data; see `Likelihood`."""
        loc, variance = spread_of(batch)
        return stacked(self, [loc, *begun(self, "scale", (0.5 * variance).sqrt())])

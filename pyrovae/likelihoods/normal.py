"""The normal likelihood, with its five kinds of scale."""

from collections.abc import Mapping
from typing import Literal

import pyro.distributions as dist
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.likelihoods.learned import Choice, begun, learned, number_of, stacked
from pyrovae.likelihoods.likelihood import Likelihood, Shape, shape_of, spread_of
from pyrovae.likelihoods.optimal import OptimalScale

Scale = Choice | Literal["optimal"]


class Normal(Likelihood):
    r"""Independent normal elements, `p(x | z) = prod_i N(x_i; mu_i(z), sigma_i^2)`.

    The optimal scale is one number that is not learned by gradients: in training it is the root of
    the batch's mean squared error over known entries, which maximises the likelihood; outside of
    training it is the one fitted last, which is saved with the model. See `OptimalScale`.

    References:
        A learned scale, and the optimal one: Rybkin, Daniilidis and Levine, 2021, arXiv:2006.13202.

    Arguments:
        event_shape: the shape of one x.
        scale: sigma: a positive number, or "shared" for one learned number, "element" for one
            learned number for each element, "network" for one predicted for each element,
            "optimal" for one in closed form.

    Raises:
        ValueError: the shape is not one of positive integers, or the scale none of the five.

    Example:
        >>> import torch
        >>> Normal((2,))(torch.zeros(2), Context()).log_prob(torch.zeros(2)).item()
        -1.8378770351409912
        >>> Normal((3, 8, 8), scale="network").head.out_shape((3, 8, 8))
        (6, 8, 8)
        >>> p = Normal((2,), scale="optimal")(torch.zeros(2), Context(x=torch.tensor([3.0, 4.0])))
        >>> p.variance
        tensor([12.5000, 12.5000])
    """

    def __init__(self, event_shape: tuple[int, ...], *, scale: float | Scale = 1.0) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.scale = scale
        self.fits_data = isinstance(scale, str) and scale == "optimal"
        if self.fits_data:
            self.optimal = OptimalScale()
            self.head = Head(loc=1)
        else:
            self.head = Head(loc=1, **learned(self, "scale", scale, also="optimal"))

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        loc = parameters["loc"]
        if self.fits_data:
            scale = self.optimal(loc, context)
        else:
            scale = number_of(self, "scale", parameters)
        return self.over_elements(dist.Normal(loc, scale), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean and the spread of the data; see `Likelihood`."""
        loc, variance = spread_of(batch)
        if self.fits_data:
            self.optimal.begin(variance.mean())
            return loc
        shared = self.scale == "shared"  # whose variance is the mean one
        start = (variance.mean().expand_as(variance) if shared else variance).sqrt()
        return stacked(self, [loc, *begun(self, "scale", start)])

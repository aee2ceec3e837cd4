"""The normal likelihood, with its four kinds of scale."""

from collections.abc import Mapping
from typing import Literal

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.heads import FLOOR, Head, positive, raw_of
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of, shape_of
from pyrovae.numeric import is_finite

Scale = Literal["shared", "element", "network"]


class Normal(Likelihood):
    r"""Independent normal elements, `p(x | z) = prod_i N(x_i; mu_i(z), sigma_i^2)`.

    References:
        A learned scale: Rybkin, Daniilidis and Levine, 2021, arXiv:2006.13202.

    Arguments:
        event_shape: the shape of one x.
        scale: sigma: a positive number, or "shared" for one learned number, "element" for one
            learned number for each element, "network" for one predicted for each element.

    Raises:
        ValueError: the shape is not one of positive integers, or the scale none of the four.

    Example:
        >>> Normal((2,))(torch.zeros(2), Context()).log_prob(torch.zeros(2)).item()
        -1.8378770351409912
        >>> Normal((3, 8, 8), scale="network").head.out_shape((3, 8, 8))
        (6, 8, 8)
    """

    def __init__(self, event_shape: tuple[int, ...], *, scale: float | Scale = 1.0) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.scale = scale
        self.head = Head(loc=1, scale=1) if scale == "network" else Head(loc=1)
        if scale in ("shared", "element"):
            shape = self.event_shape if scale == "element" else ()
            self.raw_scale = nn.Parameter(torch.zeros(shape))
        elif scale != "network" and (not is_finite(scale) or float(scale) < FLOOR):
            raise ValueError(
                f"Normal expects scale to be a number of at least {FLOOR}, 'shared', "
                f"'element' or 'network'; got {scale!r}"
            )

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        scale: Tensor | float
        if self.scale == "network":
            scale = positive(parameters["scale"])
        elif isinstance(self.scale, str):
            scale = positive(self.raw_scale)
        else:
            scale = float(self.scale)
        return self.over_elements(dist.Normal(parameters["loc"], scale), context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean and the spread of the data; see `Likelihood`."""
        loc = mean_of(batch)
        variance = (mean_of(batch, power=2) - loc.square()).clamp(min=1e-6)
        raw = [loc]
        if self.scale == "network":
            raw.append(raw_of(variance.sqrt()))
        elif self.scale in ("shared", "element"):
            spread = variance if self.scale == "element" else variance.mean()
            with torch.no_grad():
                self.raw_scale.copy_(raw_of(spread.sqrt()))
        flat = torch.cat([part.flatten() for part in raw])
        return flat.reshape(self.head.out_shape(self.event_shape))

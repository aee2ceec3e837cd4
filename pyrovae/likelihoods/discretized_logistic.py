"""The discretised logistic likelihood, for levels such as those of pixels."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae import distributions
from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.likelihoods.integer_levels import highest_level, in_levels, start, to_unit
from pyrovae.likelihoods.likelihood import Likelihood, Shape, shape_of


class DiscretizedLogistic(Likelihood):
    r"""Independent levels 0..n, each a logistic variable rounded and clipped.

        p(x | z) = prod_i [sigma((x_i + 1/2 - m_i) / s_i) - sigma((x_i - 1/2 - m_i) / s_i)],

    with m_i and s_i functions of z, where the first sigma is 1 at level n and the second 0 at
    level 0. The networks see, and predict m on, a scale on which the levels run from -1 to 1.

    References:
        Kingma, Salimans, Jozefowicz, Chen, Sutskever and Welling, 2016, arXiv:1606.04934.

    Arguments:
        event_shape: the shape of one x.
        total_count: the highest level, n.

    Raises:
        ValueError: the shape or the highest level is not of positive integers.

    Example:
        >>> made = DiscretizedLogistic((3, 8, 8))(torch.zeros(6, 8, 8), Context())
        >>> round(made.log_prob(torch.full((3, 8, 8), 127.0)).item() / 192, 4)  # -log 510
        -6.2345
    """

    head = Head(loc=1, scale=1)

    def __init__(self, event_shape: tuple[int, ...], *, total_count: int = 255) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.total_count = highest_level(self, total_count)
        self.fill = float(total_count // 2)  # in the middle: neither dark nor bright

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        loc, scale = in_levels(parameters["loc"], parameters["scale"], self.total_count)
        levels = distributions.DiscretizedLogistic(loc, scale, total_count=self.total_count)
        return self.over_elements(levels, context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean and the spread of the data; see `Likelihood`."""
        flat = torch.cat([part.flatten() for part in start(batch, self.total_count)])
        return flat.reshape(self.head.out_shape(self.event_shape))

    def inputs(self, x: Tensor) -> Tensor:
        """Return levels as numbers from -1 to 1; see `Likelihood`."""
        return to_unit(x, self.total_count)

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return (
            f"the data must be whole numbers from 0 to total_count={self.total_count}; "
            f"raise total_count, or score real numbers with Normal"
        )

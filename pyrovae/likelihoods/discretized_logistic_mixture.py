"""The mixture of discretised logistics, for levels such as those of pixels."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae import distributions
from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.likelihoods.integer_levels import highest_level, in_levels, start, to_unit
from pyrovae.likelihoods.likelihood import Likelihood, Shape, shape_of
from pyrovae.numeric import is_count, limit


class DiscretizedLogisticMixture(Likelihood):
    r"""Independent levels 0..n, each of a mixture of K logistics, rounded and clipped.

        p(x | z) = prod_i sum_k pi_ik(z) DiscretizedLogistic(x_i; m_ik(z), s_ik(z))

    A mixture can be narrow about its mode and still broad in its tails, and have several modes, as
    the levels of pixels do. The networks see, and predict m on, a scale on which the levels run
    from -1 to 1.

    References:
        Salimans, Karpathy, Chen and Kingma, 2017, arXiv:1701.05517, where the channels of a pixel
        share the weights and depend on one another; here elements are independent given z, so that
        a mask of any of them is exact.

    Arguments:
        event_shape: the shape of one x.
        total_count: the highest level, n.
        components: how many logistics each element has, K.

    Raises:
        ValueError: the shape, the highest level or the number of components is not of positive
            integers.

    Example:
        >>> DiscretizedLogisticMixture((3, 32, 32), components=5).head.out_shape((3, 32, 32))
        (45, 32, 32)
    """

    def __init__(
        self, event_shape: tuple[int, ...], *, total_count: int = 255, components: int = 5
    ) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        self.total_count = highest_level(self, total_count)
        if not is_count(components):
            raise ValueError(
                f"DiscretizedLogisticMixture expects components to be a positive "
                f"integer{limit(components)}; got {components!r}"
            )
        self.components = components
        self.head = Head(logits=components, loc=components, scale=components)
        self.fill = float(total_count // 2)  # in the middle: neither dark nor bright

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        parameters = self.head.unpack(raw, self.event_shape)
        if self.components == 1:  # which the head leaves without a dimension
            parameters = {name: part.unsqueeze(-1) for name, part in parameters.items()}
        logits, loc, raw_scale = parameters.values()
        loc, scale = in_levels(loc, raw_scale, self.total_count)
        levels = distributions.DiscretizedLogisticMixture(
            logits, loc, scale, total_count=self.total_count
        )
        return self.over_elements(levels, context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean and the spread of the data; see `Likelihood`."""
        loc, scale = start(batch, self.total_count, components=self.components)
        flat = torch.cat([torch.zeros_like(loc), loc, scale]).flatten()
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

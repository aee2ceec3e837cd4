"""The planar flow posterior."""

from functools import partial

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import FlowNormal, Planar
from pyrovae.heads import Head, positive
from pyrovae.posteriors.flow_arguments import count, dimensions, each_element, each_layer
from pyrovae.posteriors.posterior import Posterior


class PlanarFlow(Posterior):
    r"""A normal bent along planes, `z = f_L(... f_1(e))` with `e ~ N(mu(x), diag sigma(x)^2)`.

    Each `f(e) = e + u(x) tanh(w(x) . e + b(x))`, with u constrained so that it can be inverted:
    `w . u > -0.999`. All parameters come from the encoder. A draw is scored as it is made; any
    other z, such as a mixture of posteriors asks for, is taken back to machine precision.

    References:
        Rezende and Mohamed, 2015, arXiv:1505.05770.

    Arguments:
        layers: the number of planes, L.

    Raises:
        ValueError: the number is not a positive integer, or z is no vector.

    Example:
        >>> import torch
        >>> posterior = PlanarFlow(layers=3)
        >>> posterior.event_shape = (2,)
        >>> posterior(torch.zeros(5, 19), Context()).sample().shape
        torch.Size([5, 2])
    """

    def __init__(self, *, layers: int = 4) -> None:
        super().__init__()
        self.layers = count(self, "layers", layers)
        vectors, numbers = partial(each_element, layers), partial(each_layer, layers)
        self.head = Head(loc=1, scale=1, u=vectors, w=vectors, b=numbers)

    def bind(self, data_shape: tuple[int, ...]) -> None:
        """Refuse an event that is no vector."""
        dimensions(self)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        given = self.head.unpack(raw, self.event_shape)
        u, w, b = given["u"].unbind(-2), given["w"].unbind(-2), given["b"].unbind(-1)
        maps = [Planar(*each) for each in zip(u, w, b, strict=True)]
        return FlowNormal(given["loc"], positive(given["scale"]), maps)

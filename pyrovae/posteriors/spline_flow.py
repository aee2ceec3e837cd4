"""The neural spline flow posterior."""

from functools import partial

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import OUTPUTS, Affine, Autoregressive, FlowNormal
from pyrovae.heads import Head, positive
from pyrovae.posteriors.flow_arguments import conditioners, count, each_layer, widths
from pyrovae.posteriors.posterior import Posterior


class SplineFlow(Posterior):
    r"""A normal through splines, `z = mu(x) + sigma(x) s_L(... s_1(e))` with `e ~ N(0, I)`.

    Each s is a rational-quadratic spline of eight bins on [-5, 5] in each dimension, the identity
    outside, whose knots come from a masked network of the dimensions before and of a context c(x)
    that the encoder gives. Mean and scale stand behind the splines, and not in the base, so
    that these work where the noise is. The order of the dimensions is reversed from one map to
    the next. A draw is scored as it is made, in one pass through each network; any other z, such as
    a mixture of posteriors asks for, is taken back in dim passes.

    References:
        Durkan, Bekasov, Murray and Papamakarios, 2019, arXiv:1906.04032.

    Arguments:
        layers: the number of maps, L.
        hidden: the widths of each network's hidden layers; none at all is one linear map.
        context: how many numbers the encoder gives to all networks, zero for none.

    Raises:
        ValueError: a number is not a count, or z is no vector.

    Example:
        >>> posterior = SplineFlow(layers=2, hidden=(16,), context=4)
        >>> posterior.event_shape = (2,)
        >>> posterior.bind((1, 8, 8))
        >>> posterior(torch.zeros(5, 8), Context()).sample().shape
        torch.Size([5, 2])
    """

    networks: nn.ModuleList

    def __init__(
        self, *, layers: int = 2, hidden: tuple[int, ...] = (128,), context: int = 32
    ) -> None:
        super().__init__()
        self.layers = count(self, "layers", layers)
        self.hidden = widths(self, "hidden", hidden)
        self.context = count(self, "context", context, least=0)
        self.head = Head(loc=1, scale=1, context=partial(each_layer, context))

    def bind(self, data_shape: tuple[int, ...]) -> None:
        """Make the masked networks, of the size of z."""
        self.networks = conditioners(self, OUTPUTS["spline"])

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        given = self.head.unpack(raw, self.event_shape)
        told = given["context"] if self.context else None
        splines = [
            Autoregressive(network, told, kind="spline")  # type: ignore[arg-type]
            for network in self.networks
        ]
        loc, scale = given["loc"], positive(given["scale"])
        base = torch.zeros_like(loc), torch.ones_like(scale)
        return FlowNormal(*base, [*splines, Affine(loc, scale)])

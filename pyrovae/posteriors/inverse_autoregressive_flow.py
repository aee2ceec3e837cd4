"""The inverse autoregressive flow posterior."""

from functools import partial

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import OUTPUTS, Autoregressive, FlowNormal
from pyrovae.heads import Head, positive
from pyrovae.posteriors.flow_arguments import conditioners, count, each_layer, widths
from pyrovae.posteriors.posterior import Posterior


class InverseAutoregressiveFlow(Posterior):
    r"""A normal through affine maps, `z = f_L(... f_1(e))` with `e ~ N(mu(x), diag sigma(x)^2)`.

    Each `f_d(e) = exp(a_d) e_d + b_d` with `exp(a_d)` from 1/10 to 10, where a_d and b_d come from
    a masked network of `e_1, ..., e_(d-1)` and of a context c(x) that the encoder gives. The order
    of the dimensions is reversed from one map to the next. One map of `hidden=()` without scales is
    a full-rank normal. A draw is scored as it is made, in one pass through each network; any other
    z, such as a mixture of posteriors asks for, is taken back in dim passes.

    References:
        Kingma et al., 2016, arXiv:1606.04934.

    Arguments:
        layers: the number of maps, L.
        hidden: the widths of each network's hidden layers; none at all is one linear map.
        context: how many numbers the encoder gives to all networks, zero for none.

    Raises:
        ValueError: a number is not a count, or z is no vector.

    Example:
        >>> import torch
        >>> posterior = InverseAutoregressiveFlow(layers=2, hidden=(16,), context=4)
        >>> posterior.event_shape = (2,)
        >>> posterior.bind((1, 8, 8))
        >>> posterior(torch.zeros(5, 8), Context()).sample().shape
        torch.Size([5, 2])
    """

    networks: nn.ModuleList

    def __init__(
        self, *, layers: int = 4, hidden: tuple[int, ...] = (128,), context: int = 32
    ) -> None:
        super().__init__()
        self.layers = count(self, "layers", layers)
        self.hidden = widths(self, "hidden", hidden)
        self.context = count(self, "context", context, least=0)
        self.head = Head(loc=1, scale=1, context=partial(each_layer, context))

    def bind(self, data_shape: tuple[int, ...]) -> None:
        """Make the masked networks, of the size of z."""
        self.networks = conditioners(self, OUTPUTS["affine"])

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        given = self.head.unpack(raw, self.event_shape)
        told = given["context"] if self.context else None
        maps = [Autoregressive(network, told) for network in self.networks]  # type: ignore[arg-type]
        return FlowNormal(given["loc"], positive(given["scale"]), maps)

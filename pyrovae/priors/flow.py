"""The normalizing flow prior."""

from typing import Literal

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import nn

from pyrovae.context import Context
from pyrovae.distributions import (
    OUTPUTS,
    Affine,
    Autoregressive,
    Bijection,
    Conditioner,
    FlowNormal,
    Inverted,
)
from pyrovae.heads import positive
from pyrovae.numeric import as_counts
from pyrovae.priors.prior import Prior, count, dimension

Kind = Literal["coupling", "autoregressive", "spline"]
_KINDS = ("coupling", "autoregressive", "spline")


class FlowPrior(Prior):
    r"""A standard normal through learned maps, `p(z) = N(f(z); 0, I) |det df/dz|`.

    f is a stack of maps in which a dimension is transformed given earlier ones, by a masked
    network. The order of the dimensions is reversed from one map to the next.

    - "coupling": affine, the second half of the dimensions given the first, as in real NVP (the
      first half has constants of its own). A draw takes two passes through each network.
    - "autoregressive": affine, each dimension given all before. A draw takes dim passes.
    - "spline": rational-quadratic splines of eight bins on [-5, 5], each dimension given all
      before, of `(z - loc) / scale` with learned loc and scale. A draw takes dim passes.

    To score z, which is what training does, takes one pass for each kind. An affine map scales by
    1/10 to 10. In one dimension the affine kinds are a learned normal.

    References:
        Dinh, Sohl-Dickstein and Bengio, 2017, arXiv:1605.08803; Papamakarios, Pavlakou and Murray,
        2017, arXiv:1705.07057; Durkan, Bekasov, Murray and Papamakarios, 2019, arXiv:1906.04032.
        As a prior: Chen et al., 2017, arXiv:1611.02731.

    Arguments:
        dim: the number of latent dimensions.
        kind: which maps.
        layers: the number of maps.
        hidden: the widths of each network's hidden layers; none at all is one linear map.

    Raises:
        ValueError: a number is not a positive integer, or there is no such kind.

    Example:
        >>> prior = FlowPrior(3, kind="autoregressive", hidden=(16,))
        >>> prior(Context()).sample((7,)).shape
        torch.Size([7, 3])
    """

    def __init__(
        self,
        dim: int = 32,
        *,
        kind: Kind = "coupling",
        layers: int = 4,
        hidden: tuple[int, ...] = (128,),
    ) -> None:
        super().__init__()
        if kind not in _KINDS:
            raise ValueError(f"FlowPrior expects kind to be one of {list(_KINDS)}; got {kind!r}")
        checked = as_counts(hidden)
        if checked is None:
            raise ValueError(f"FlowPrior expects hidden to be positive integers; got {hidden!r}")
        self.dim = dim
        self.kind: Kind = kind
        self.layers = count(self, "layers", layers)
        self.hidden = checked
        self.event_shape = dimension(self, dim)
        self.networks = nn.ModuleList(
            Conditioner(
                dim,
                OUTPUTS["spline" if kind == "spline" else "affine"],
                hidden=checked,
                groups=2 if kind == "coupling" else None,
                reverse=layer % 2 == 1,
            )
            for layer in range(layers)
        )
        self.loc = nn.Parameter(torch.zeros(dim)) if kind == "spline" else None
        self.raw_scale = nn.Parameter(torch.zeros(dim)) if kind == "spline" else None
        self.register_buffer("zeros", torch.zeros(dim), persistent=False)
        self.register_buffer("ones", torch.ones(dim), persistent=False)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        each = "spline" if self.kind == "spline" else "affine"
        maps: list[Bijection] = [
            Inverted(Autoregressive(network, kind=each))  # type: ignore[arg-type]
            for network in self.networks
        ]
        if self.loc is not None and self.raw_scale is not None:
            maps.append(Affine(self.loc, positive(self.raw_scale)))
        return FlowNormal(self.zeros, self.ones, maps)  # type: ignore[arg-type]

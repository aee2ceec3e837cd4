"""The Sylvester flow posterior."""

from functools import partial

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import FlowNormal, Sylvester
from pyrovae.heads import Head, positive
from pyrovae.posteriors.flow_arguments import (
    count,
    dimensions,
    each_element,
    each_pair,
    each_reflection,
)
from pyrovae.posteriors.posterior import Posterior

_BOUND = 0.9995  # of a diagonal, so that a layer's determinant stays above a thousandth for each


class SylvesterFlow(Posterior):
    r"""A normal bent in all directions, `z = f_L(... f_1(e))`, `e ~ N(mu(x), diag sigma(x)^2)`.

    Each `f(e) = e + Q R tanh(S Q^T e + b)` with R and S upper triangular, their diagonals within
    +-0.9995, and Q orthogonal, a product of Householder reflections. All parameters come from the
    encoder: about `dim (dim + reflections + 2)` numbers for each layer. A draw is scored as it is
    made; any other z, such as a mixture of posteriors asks for, is taken back to machine precision,
    one dimension after the other, which is slow for many.

    References:
        van den Berg, Hasenclever, Tomczak and Welling, 2018, arXiv:1803.05649.

    Arguments:
        layers: the number of maps, L.
        householder: the number of reflections in each Q, of which no more than dim are used, since
            dim of them make any Q; with zero, Q reverses the dimensions in each second layer
            (the triangular variant).

    Raises:
        ValueError: a number is not a count, or z is no vector.

    Example:
        >>> posterior = SylvesterFlow(layers=2, householder=1)
        >>> posterior.event_shape = (2,)
        >>> posterior(torch.zeros(5, 24), Context()).sample().shape
        torch.Size([5, 2])
    """

    def __init__(self, *, layers: int = 4, householder: int = 8) -> None:
        super().__init__()
        self.layers = count(self, "layers", layers)
        self.householder = count(self, "householder", householder, least=0)
        self.head = Head(
            loc=1,
            scale=1,
            outer=partial(each_pair, layers),
            inner=partial(each_pair, layers),
            bias=partial(each_element, layers),
            reflections=partial(each_reflection, layers, householder),
        )

    def bind(self, data_shape: tuple[int, ...]) -> None:
        """Refuse an event that is no vector."""
        dimensions(self)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        given = self.head.unpack(raw, self.event_shape)
        (dim,) = self.event_shape
        outer, inner = (_triangular(given[name], dim) for name in ("outer", "inner"))
        vectors = given["reflections"]
        # raw numbers of zero are reflections along axes, so that those near zero are close together
        vectors = vectors + torch.eye(vectors.shape[-2], dim, dtype=raw.dtype, device=raw.device)
        parts = outer.unbind(-3), inner.unbind(-3), given["bias"].unbind(-2), vectors.unbind(-3)
        maps = [
            Sylvester(*each, reverse=self.householder == 0 and layer % 2 == 1)
            for layer, each in enumerate(zip(*parts, strict=True))
        ]
        return FlowNormal(given["loc"], positive(given["scale"]), maps)


def _triangular(raw: Tensor, dim: int) -> Tensor:
    """Return upper triangular matrices, `[*batch, layers, dim, dim]`, with bounded diagonals."""
    diagonal, above = raw[..., :dim], raw[..., dim:]
    matrix = torch.diag_embed(_BOUND * diagonal.tanh())
    rows, columns = torch.triu_indices(dim, dim, 1, device=raw.device)
    matrix[..., rows, columns] = above
    return matrix

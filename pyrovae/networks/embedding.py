"""The front of a network for tables, in which some columns are codes of categories."""

import math

import torch
from torch import Tensor, nn

from pyrovae.networks.conditioned import behind
from pyrovae.networks.levels import Columns, require_levels
from pyrovae.networks.mlp import MLP
from pyrovae.networks.network import Builder, Network, Shape, widths


class Embedding(Network):
    """A network behind a front that replaces each code of a category by a vector of its own.

    The vectors are learned, a set for each column of codes. Columns of plain numbers stay as they
    are. The network sees all of them as one vector, first the numbers and then the codes' vectors.
    A code that is unknown, because it is not among the levels or because `observed` says that it is
    missing, has a vector too, which starts at zero. A missing plain number stays what stands in its
    place; `SetEncoder` leaves it out.

    Arguments:
        levels: for each column how many levels its codes 0, 1, ... have, and 0 for a column of
            plain numbers; none at all leaves every column as it is. It is about what the
            encoder sees, `Likelihood.inputs(x)`: a scale, as of `Ordinal`, is a plain number there.
        width: the size of a code's vector.
        network: what stands behind the front, `MLP()` where none is given.

    Raises:
        ValueError: a level or the width is no such number, or, when built, there are not as many
            levels as columns.

    Example:
        >>> net = Embedding((0, 0, 5), width=8, network=MLP((16,)))((3,), (2,))
        >>> net(torch.tensor([[0.3, -1.2, 4.0], [0.1, 0.8, 7.0]])).shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        levels: tuple[int, ...] = (),
        *,
        width: int = 8,
        network: Network | Builder | None = None,
    ) -> None:
        self.levels = require_levels(self, levels)
        (self.width,) = widths(self, "width", (width,))
        self.network = MLP() if network is None else network

    def __call__(
        self, in_shape: Shape, out_shape: Shape, *, condition_shape: Shape | None = None
    ) -> nn.Module:
        """Build the module; see `Network`."""
        front = _Embedded(Columns(self, self.levels, in_shape, self.width))
        codes = sum(count > 0 for count in self.levels)
        return behind(
            front,
            self.network,
            width=math.prod(in_shape) + codes * (self.width - 1),
            out_shape=out_shape,
            condition_shape=condition_shape,
        )


class _Embedded(nn.Module):
    """Numbers as they are, and codes as vectors, in one vector."""

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.columns = columns
        self.takes_observed = bool(columns.counts[1])

    def forward(self, value: Tensor, *, observed: Tensor | None = None) -> Tensor:
        known = None if observed is None else observed.flatten(1)
        numbers, vectors = self.columns(value.flatten(1), known)
        return torch.cat([numbers, vectors.flatten(1)], dim=1)

"""The encoder of a set of known entries."""

from typing import Literal

import torch
from torch import Tensor, nn

from pyrovae.networks.conditioned import behind
from pyrovae.networks.levels import Columns, require_levels
from pyrovae.networks.mlp import MLP
from pyrovae.networks.network import (
    Activation,
    Builder,
    Network,
    Shape,
    activation_module,
    widths,
)

Pooling = Literal["sum", "mean"]


class SetEncoder(Network):
    r"""A network of the set of known entries of x, for data of which some are missing.

        h_i = act(a_i x_i + b_i),    s = sum over the known i of h_i / sqrt(n),    network(s)

    where a_i and b_i are learned vectors, which tell the n entries apart; for codes of a category
    `a_i x_i + b_i` is a learned vector of the code. No order of the entries plays a part. Entries
    that `observed` says are missing do not enter the sum, whatever stands in their place, so the
    output is that of the known ones alone. Without `observed` all are known.

    References:
        Zaheer et al., 2017, arXiv:1703.06114; for missing entries: Ma et al., 2019,
        arXiv:1809.11142.

    Arguments:
        width: the size of an entry's vector h_i.
        pooling: "sum", or "mean", over the known entries, which says nothing of how many there are.
        levels: for each entry how many levels its codes 0, 1, ... have, and 0 for a plain number;
            none at all is plain numbers alone. It is about what the
            encoder sees, `Likelihood.inputs(x)`: a scale, as of `Ordinal`, is a plain number there.
        network: what stands behind the sum, `MLP()` where none is given.
        activation: act, by torch's name in lower case.

    Raises:
        ValueError: the width or a level is no such number, the pooling or activation is unknown,
            or, when built, there are not as many levels as entries.

    Example:
        >>> net = SetEncoder(16, network=MLP((16,)))((3,), (2,))
        >>> x, observed = torch.randn(4, 3), torch.tensor([True, False, True])
        >>> known = net(x, observed=observed.expand(4, 3))
        >>> other = net(x * observed, observed=observed.expand(4, 3))
        >>> bool((known == other).all())
        True
    """

    def __init__(
        self,
        width: int = 64,
        *,
        pooling: Pooling = "sum",
        levels: tuple[int, ...] = (),
        network: Network | Builder | None = None,
        activation: Activation = "silu",
    ) -> None:
        (self.width,) = widths(self, "width", (width,))
        if pooling not in ("sum", "mean"):
            raise ValueError(f"SetEncoder expects pooling to be 'sum' or 'mean'; got {pooling!r}")
        self.pooling: Pooling = pooling
        self.levels = require_levels(self, levels)
        self.network = MLP() if network is None else network
        self.activation: Activation = activation
        activation_module(self, activation)  # an unknown name is refused here, not when built

    def __call__(
        self, in_shape: Shape, out_shape: Shape, *, condition_shape: Shape | None = None
    ) -> nn.Module:
        """Build the module; see `Network`."""
        front = _Pooled(
            Columns(self, self.levels, in_shape, self.width),
            self.width,
            mean=self.pooling == "mean",
            activation=activation_module(self, self.activation),
        )
        return behind(
            front,
            self.network,
            width=self.width,
            out_shape=out_shape,
            condition_shape=condition_shape,
        )


class _Pooled(nn.Module):
    """The sum of the vectors of all known entries."""

    takes_observed = True

    def __init__(self, columns: Columns, width: int, *, mean: bool, activation: nn.Module) -> None:
        super().__init__()
        self.columns = columns
        self.mean = mean
        self.activation = activation
        numbers, codes = columns.counts
        self.factor = (numbers + codes) ** -0.5
        if numbers:
            self.slope = nn.Parameter(torch.randn(numbers, width))
            self.shift = nn.Parameter(torch.randn(numbers, width))

    def forward(self, value: Tensor, *, observed: Tensor | None = None) -> Tensor:
        value = value.flatten(1)
        known = None if observed is None else observed.flatten(1)
        if known is not None:  # what is missing may be anything, and nan times zero is nan
            value = torch.where(known, value, 0.0)
        numbers, vectors = self.columns(value, known)
        if numbers.shape[1]:
            sloped = numbers.unsqueeze(-1) * self.slope + self.shift
            vectors = torch.cat([sloped, vectors], dim=1) if vectors.shape[1] else sloped
        entries = self.activation(vectors)
        if known is None:
            return entries.mean(1) if self.mean else entries.sum(1) * self.factor
        weight = self.columns.sorted(known).to(entries.dtype)
        pooled = (entries * weight.unsqueeze(-1)).sum(1)
        if self.mean:
            return pooled / weight.sum(1, keepdim=True).clamp(min=1.0)
        return pooled * self.factor

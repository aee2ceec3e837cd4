"""The posterior without an encoder: raw numbers of its own for each datum."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.posteriors.mean_field_normal import MeanFieldNormal
from pyrovae.posteriors.posterior import Posterior, Shape
from pyrovae.posteriors.refining import (
    LocalBound,
    refinement,
    require_count,
    require_inner,
    require_rate,
    settled,
)


class PerDatum(Posterior):
    r"""Raw numbers for each datum in place of an encoder, `q(z | x_i) = q(z; lambda_i)`.

    It is what amortisation replaces. In training the raw numbers are a table of parameters, whose
    rows a batch's `index` looks up; all begin at zero. New data, which are those in evaluation mode
    or without an index, get their own: steps of Adam up their bound from zeros, at fresh draws, so
    that two calls agree only as far as the steps have settled.

    An optimiser such as Adam moves a row that is not in a batch by what is left of the row's last
    gradients, as the gradient of the table is dense: with the usual decay of 0.9 the moves of a
    visit add up to about the same few steps, spread over the following ones. The table's memory
    grows with the data, as does that of the optimiser.

    References:
        Hoffman, Blei, Wang and Paisley, 2013, arXiv:1206.7051, on local parameters; Cremer, Li and
        Duvenaud, 2018, arXiv:1801.03558, on what amortisation costs.

    Arguments:
        inner: the family of each q(z; lambda_i), `MeanFieldNormal()` where none is given.
        data: how many training data there are, the rows of the table.
        steps: how many steps new data get.
        rate: by how much a raw number of new data moves in its first step.
        particles: how many draws of the bound a step looks at.

    Raises:
        TypeError: `inner` is no posterior.
        ValueError: a number is not positive, `inner` has nothing to set for each datum, an index is
            outside of the table, or there is neither an index nor a bound to go by.

    Example:
        >>> PerDatum(MeanFieldNormal(), data=1000).head
        Head()
    """

    head = Head()
    table: nn.Parameter

    def __init__(
        self,
        inner: Posterior | None = None,
        *,
        data: int,
        steps: int = 100,
        rate: float = 0.1,
        particles: int = 8,
    ) -> None:
        super().__init__()
        self.inner = require_inner(self, MeanFieldNormal() if inner is None else inner)
        self.data = require_count(self, "data", data)
        self.steps = require_count(self, "steps", steps)
        self.rate = require_rate(self, rate)
        self.particles = require_count(self, "particles", particles)

    def bind(self, data_shape: Shape) -> None:
        """Hand the shapes on to the inner posterior, and make the table."""
        self.inner.event_shape = self.event_shape
        self.inner.bind(data_shape)
        out_shape = self.inner.head.out_shape(self.event_shape)
        self.table = nn.Parameter(torch.zeros(self.data, *out_shape))

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Refuse training data that the table has no rows for."""
        if "index" not in batch:
            raise ValueError(
                f"{self!r} looks up the raw numbers of a training datum by its index; the data "
                f"have no 'index'"
            )
        self._require_rows(batch["index"])
        self.inner.prepare(batch)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        plain = replace(context, bound=None)
        if context.index is not None and (self.training or context.bound is None):
            return self.inner(self._rows(context.index), plain)
        if context.bound is None:
            raise ValueError(
                f"{self!r} has no encoder: it knows q(z | x) by the index of a training datum, or "
                f"by steps up the bound of x, and has neither here, as for the pseudo-inputs of a "
                f"prior that is made of posteriors; choose another prior, such as StandardNormal, "
                f"or a posterior with an encoder, such as {self.inner!r}"
            )
        bound = LocalBound(self.inner, context, particles=self.particles)
        start = self.table.new_zeros(*raw.shape[:-1], *self.table.shape[1:])
        with refinement():
            found = settled(bound, start, steps=self.steps, rate=self.rate)
        return self.inner(found, plain)

    def _rows(self, index: Tensor) -> Tensor:
        """Return the raw numbers of training data, nan outside of the table.

        A processor's index is looked at. An accelerator's would have to be waited for in each step,
        so there the loss becomes nan, which ends a training.
        """
        if index.device.type == "cpu" and not isinstance(index, torch._subclasses.FakeTensor):
            self._require_rows(index)
        known = (index >= 0) & (index < self.data)
        rows = self.table[index.clamp(0, self.data - 1)]
        return torch.where(known.reshape(-1, *(1,) * (rows.dim() - 1)), rows, torch.nan)

    def _require_rows(self, index: Tensor) -> None:
        if index.numel() and not bool(((index >= 0) & (index < self.data)).all()):
            low, high = (int(end) for end in index.aminmax())
            raise ValueError(
                f"{self!r} keeps raw numbers for data={self.data} training data, of index 0 to "
                f"{self.data - 1}; got index {low} to {high}: set data to the number of training "
                f"data"
            )

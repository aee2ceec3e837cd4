"""The binomial likelihood, for counts with a ceiling."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import LogitsBinomial
from pyrovae.heads import Head
from pyrovae.likelihoods.integer_levels import to_unit
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of, shape_of
from pyrovae.numeric import is_count, limit


class Binomial(Likelihood):
    r"""Independent counts out of n, `p(x | z) = prod_i C(n, x_i) mu_i^x_i (1 - mu_i)^(n - x_i)`.

    The raw numbers are the logits of mu. Grey levels 0..n are such counts.

    Arguments:
        event_shape: the shape of one x.
        total_count: the largest count, n.

    Raises:
        ValueError: the shape or the largest count is not of positive integers.

    Example:
        >>> Binomial((1,), total_count=2)(torch.zeros(1), Context()).log_prob(torch.ones(1)).exp()
        tensor(0.5000)
    """

    head = Head(logits=1)
    ceiling: Tensor

    def __init__(self, event_shape: tuple[int, ...], *, total_count: int) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        if not is_count(total_count):
            raise ValueError(
                f"Binomial expects total_count to be a positive integer{limit(total_count)}, the "
                f"largest count that the data can hold; got {total_count!r}"
            )
        self.total_count = total_count
        self.fill = float(total_count // 2)  # in the middle: neither dark nor bright
        self.register_buffer("ceiling", torch.tensor(float(total_count)), persistent=False)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        counts = LogitsBinomial(total_count=self.ceiling, logits=logits)
        return self.over_elements(counts, context)

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the mean of the data; see `Likelihood`."""
        return torch.logit((mean_of(batch) / self.total_count).clamp(0.001, 0.999))

    def inputs(self, x: Tensor) -> Tensor:
        """Return counts as numbers from -1 to 1; see `Likelihood`."""
        return to_unit(x, self.total_count)

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return (
            f"the data must be whole numbers from 0 to total_count={self.total_count}; "
            f"raise total_count, or score real numbers with Normal"
        )

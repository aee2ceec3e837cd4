"""The multinomial likelihood, for bags of words."""

from collections.abc import Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import LogitsMultinomial
from pyrovae.heads import Head
from pyrovae.likelihoods.likelihood import Likelihood, Shape, mean_of, shape_of
from pyrovae.numeric import is_count, limit


class Multinomial(Likelihood):
    r"""Counts given their sum, `p(x | z, n) = n! prod_k p_k^x_k / x_k!` with `n = sum_k x_k`.

    All of x is one bag, of as many draws as it holds: the total of each datum is given, not
    modelled, and a bag of nothing has probability one. The raw numbers are logits,
    `p = softmax(raw)`, so a linear decoder of a z on the simplex is a product of experts.

    Where some entries are missing, the others are scored given their own total.

    A draw from the model has no datum to take its total from. It has `total` counts, and the mean
    of p(x | z) is `total * p`.

    References:
        Srivastava and Sutton, 2017, arXiv:1703.01488; Liang, Krishnan, Hoffman and Jebara, 2018,
        arXiv:1802.05814.

    Arguments:
        event_shape: the shape of one x.
        total: how many counts a draw from the model has; None for the mean total of the training
            data (one, before training). Where that is no integer, draws have one of its two
            neighbours. Nothing else depends on it.

    Raises:
        ValueError: the shape is not one of positive integers, or the total no positive integer.

    Example:
        >>> bag = Multinomial((3,))(torch.zeros(3), Context())
        >>> bag.log_prob(torch.tensor([1.0, 1.0, 1.0])).exp()  # 3! / 3^3
        tensor(0.2222)
    """

    head = Head(logits=1)
    words: Tensor

    def __init__(self, event_shape: tuple[int, ...], *, total: int | None = None) -> None:
        super().__init__()
        self.event_shape: Shape = shape_of(self, event_shape)
        if total is not None and not is_count(total):
            raise ValueError(
                f"Multinomial expects total to be a positive integer{limit(total)}, how many "
                f"counts a draw has, or None for the mean of the training data; got {total!r}"
            )
        self.total = total
        self.register_buffer("words", torch.tensor(float(total or 1)), persistent=total is None)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        return LogitsMultinomial(
            self.head.unpack(raw, self.event_shape)["logits"],
            total_count=self.words,
            observed=context.observed,
            event_dim=len(self.event_shape),
        )

    def given(self, raw: Tensor, x: Tensor, context: Context) -> TorchDistributionMixin:
        """Return the missing counts, which share what the known ones leave of the mean total.

        The data do not tell the total where some counts are missing; see `Likelihood`.
        """
        logits, known = self.head.unpack(raw, self.event_shape)["logits"], context.observed
        if known is None:
            return self(raw, context)
        event = tuple(range(-len(self.event_shape), 0))
        left = self.words - torch.where(known, x, 0.0).sum(event)
        return LogitsMultinomial(
            torch.where(known, -1e30, logits),
            total_count=left.clamp(min=0.0),
            event_dim=len(self.event_shape),
        )

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Begin at the shares in the data, half a count for what they lack; see `Likelihood`."""
        mean = mean_of(batch)
        if self.total is None:
            with torch.no_grad():
                self.words.copy_(mean.sum())
        return mean.clamp(min=0.5 / max(1, len(batch["x"]))).log()

    def inputs(self, x: Tensor) -> Tensor:
        """Return log(1 + x); see `Likelihood`."""
        return x.log1p()

    def remedy(self) -> str:
        """Return what to do with other data; see `Likelihood`."""
        return (
            "the data must be counts, whole numbers from 0 on, and each x one bag of them; "
            "score real numbers with Normal"
        )

"""The multinomial by logits, whose total is that of the value scored."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Sizes = torch.Size | list[int] | tuple[int, ...]


class LogitsMultinomial(TorchDistribution):
    r"""Counts x of K elements given their sum, with probabilities `p = softmax(l)` over the event.

        log p(x | n) = log n! - sum_k log x_k! + sum_k x_k log p_k,    n = sum_k x_k

    So a value of any total is scored, each as one of that total. Where only some elements are
    observed, these are scored given their own total, by `p_k / sum_(j observed) p_j`, which is the
    multinomial without the others.

    Draws and moments are those of all elements at `total_count`. A draw divides the total among
    halves of the elements, halves of halves, and so on, so its cost does not grow with the total;
    a total between two integers is drawn as one of them, so that its mean is exact.

    It differs from `pyro.distributions.Multinomial` in the totals of draws, in events of several
    dimensions, in the mask, and in that no probability underflows to a logarithm of zero.

    Arguments:
        logits: unnormalised logarithms l of the probabilities, of shape `[*batch, *event]`.
        total_count: the total n of a draw, a number or a tensor that broadcasts to the batch.
        observed: which elements are known, boolean, broadcasting with the logits; None for all.
        event_dim: how many dimensions an event has.

    Example:
        >>> words = LogitsMultinomial(torch.zeros(3), total_count=2.0)
        >>> words.log_prob(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])).exp()
        tensor([0.2222, 1.0000])
        >>> words.sample((5,)).sum(-1)
        tensor([2., 2., 2., 2., 2.])
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012  (torch's own convention)

    def __init__(
        self,
        logits: Tensor,
        *,
        total_count: float | Tensor = 1.0,
        observed: Tensor | None = None,
        event_dim: int = 1,
        validate_args: bool | None = None,
    ) -> None:
        if observed is not None:
            logits, observed = torch.broadcast_tensors(logits, observed)
        depth = logits.dim() - event_dim
        self.logits = logits
        self.observed = observed
        total = torch.as_tensor(total_count, dtype=logits.dtype, device=logits.device)
        self.total_count = total.expand(logits.shape[:depth])
        super().__init__(logits.shape[:depth], logits.shape[depth:], validate_args=validate_args)

    @property
    def support(self) -> Any:
        """Whole numbers from 0 on, of any total."""
        return constraints.independent(constraints.nonnegative_integer, len(self.event_shape))

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "LogitsMultinomial":
        """Return the distribution with its batch shape expanded."""
        new: LogitsMultinomial = type(self).__new__(type(self)) if _instance is None else _instance
        batch = torch.Size(batch_shape)
        new.logits = self.logits.expand(batch + self.event_shape)
        new.observed = None if self.observed is None else self.observed.expand(new.logits.shape)
        new.total_count = self.total_count.expand(batch)
        super(LogitsMultinomial, new).__init__(batch, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def probs(self) -> Tensor:
        """The probabilities of all elements, observed or not."""
        return self._flat(self.logits).softmax(-1).reshape(self.logits.shape)

    @property
    def mean(self) -> Tensor:
        """`n p`."""
        return self._each(self.total_count) * self.probs

    @property
    def variance(self) -> Tensor:
        """`n p (1 - p)`, and what the drawing of a total between two integers adds."""
        share = self.total_count - self.total_count.floor()
        probs = self.probs
        spread = self._each(share * (1.0 - share)) * probs.square()
        return self._each(self.total_count) * probs * (1.0 - probs) + spread

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats, given the total of the observed elements."""
        counts, logits = value.to(self.logits.dtype), self.logits
        if self.observed is not None:
            counts = torch.where(self.observed, counts, torch.zeros_like(counts))
            logits = logits.masked_fill(~self.observed, torch.finfo(logits.dtype).min)
        if self._validate_args:
            self._validate_sample(counts)
        flat = self._flat(counts)
        ways = torch.lgamma(flat.sum(-1, dtype=torch.float64) + 1.0)
        ways = ways - torch.lgamma(flat + 1.0).sum(-1, dtype=torch.float64)
        terms = (flat * self._flat(logits).log_softmax(-1)).sum(-1)
        return (ways + terms).to(logits.dtype)  # both are large where totals are, and cancel

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        probs = self._flat(self.logits).double().softmax(-1)
        levels = [probs]  # of a binary tree: the elements, sums of two, of four, ..., of all
        while levels[-1].shape[-1] > 1:
            whole = levels[-1]
            if whole.shape[-1] % 2:
                whole = levels[-1] = torch.nn.functional.pad(whole, (0, 1))
            levels.append(whole.unflatten(-1, (-1, 2)).sum(-1))
        total = self.total_count.double().expand(shape[: len(shape) - len(self.event_shape)])
        least = total.floor()
        counts = (least + (torch.rand_like(total) < total - least)).unsqueeze(-1)
        for level in reversed(levels[:-1]):
            left, right = level.unflatten(-1, (-1, 2)).unbind(-1)
            share = left / (left + right).clamp(min=torch.finfo(level.dtype).tiny)
            counts = counts[..., : left.shape[-1]]  # without what stands behind an odd number
            taken = torch.binomial(counts.contiguous(), share.expand_as(counts).contiguous())
            counts = torch.stack([taken, counts - taken], -1).flatten(-2)
        return counts[..., : probs.shape[-1]].reshape(shape).to(self.logits.dtype)

    def _flat(self, value: Tensor) -> Tensor:
        """Return the elements of each event in one last dimension."""
        return value.flatten(-len(self.event_shape)) if len(self.event_shape) > 1 else value

    def _each(self, value: Tensor) -> Tensor:
        """Return a number of each event as one for each of its elements."""
        return value.reshape(value.shape + (1,) * len(self.event_shape))

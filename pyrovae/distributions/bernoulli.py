"""Bernoulli by logits, scored within the cache where no gradient is asked for."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

_LARGE = 80.0  # its exponential is a float32, and log(1 + e^l) is l from far below on
_ELEMENTS = 2**19  # of one part: 2 MiB in float32


class LogitsBernoulli(dist.Bernoulli):  # type: ignore[misc]
    r"""A Bernoulli variable of logits l, `log p(x) = x l - log(1 + e^l)`.

    It is `pyro.distributions.Bernoulli`, but for an event of several, as `to_event` makes it. Where
    no gradient is recorded, as in an evaluation, that is scored a part at a time that stays in the
    cache, by `log(1 + e^l) = max(l, log(1 + e^min(l, 80)))`, so that no further tensor of the shape
    of l is made. An element's error is at most 1e-7 nats, or that of l in its type.

    Example:
        >>> bits = LogitsBernoulli(logits=torch.tensor([-1e4, 0.0, 1e4])).to_event(1)
        >>> with torch.no_grad():
        ...     bits.log_prob(torch.tensor([0.0, 1.0, 1.0])).item()
        -0.6931471824645996
    """

    def icdf(self, value: Any) -> Tensor:
        """Return the smaller of 0 and 1 whose cumulative probability reaches a given one."""
        probability = torch.as_tensor(value, device=self.logits.device)
        zero = torch.sigmoid(-self.logits)
        return (probability > zero).to(self.logits.dtype)

    def to_event(self, reinterpreted_batch_ndims: int | None = None) -> Any:
        """Return the variables of the last dimensions as one event."""
        depth = len(self.batch_shape)
        if reinterpreted_batch_ndims is None:
            reinterpreted_batch_ndims = depth
        if not 0 < reinterpreted_batch_ndims <= depth:
            return super().to_event(reinterpreted_batch_ndims)
        return IndependentBernoulli(self, reinterpreted_batch_ndims)


class IndependentBernoulli(dist.Independent):
    """Independent Bernoulli variables as one event; `LogitsBernoulli` says how they are scored."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats."""
        logits = self.base_dist.logits
        exact = logits.dtype in (torch.float32, torch.float64) and value.dtype == logits.dtype
        if torch.is_grad_enabled() or not exact:
            return super().log_prob(value)  # type: ignore[no-untyped-call]
        if self._validate_args:
            self.base_dist._validate_sample(value)
        value, logits = torch.broadcast_tensors(value, logits)
        event = len(self.event_shape)
        if logits.dim() == event or logits.numel() == 0:
            value, logits = value.unsqueeze(0), logits.unsqueeze(0)
            return _scores(value, logits, event).squeeze(0)
        step = max(1, _ELEMENTS * len(logits) // logits.numel())
        parts = zip(value.split(step), logits.split(step), strict=True)
        return torch.cat([_scores(x, part, event) for x, part in parts])


def _scores(x: Tensor, logits: Tensor, event_dim: int) -> Tensor:
    """Return `sum x l - log(1 + e^l)` over the event."""
    soft = logits.clamp(max=_LARGE).exp_().add_(1.0).log_()
    torch.maximum(soft, logits, out=soft)
    return torch.mul(x, logits).sub_(soft).sum(tuple(range(-event_dim, 0)))

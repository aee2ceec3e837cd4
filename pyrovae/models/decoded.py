"""Decoded: p(x | z) at many draws of z, decoded a part at a time when it is scored."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.context import Context

Decode = Callable[[Tensor, Context], Distribution]

_ELEMENTS = 2**20  # of x in a part, for each thread: what a cache holds a few times over
_ROWS = 2**11  # of a part, for each thread, where an x is small but the decoder's layers are wide
_ACCELERATED = 2**7  # times as many where no cache is to be minded


class Score(Protocol):
    """How a part is scored: by decoding it, or by a compiled function that does the same."""

    def __call__(self, decode: Decode, z: Tensor, x: Tensor, context: Context) -> Tensor:
        """Return log p(x | z) in nats, of shape `[particles, batch]`."""


def plain(decode: Decode, z: Tensor, x: Tensor, context: Context) -> Tensor:
    """Return log p(x | z) in nats, of shape `[particles, batch]`."""
    scored: Tensor = decode(z, context).log_prob(x)
    return scored


class Decoded(TorchDistribution):
    """The likelihood at draws of z, of batch shape `[particles, batch]`.

    The decoder and the log-density run on a few draws of all data at a time, so that what they pass
    over stays in the cache, and memory does not grow with the draws. It is for scoring only.

    Arguments:
        decode: returns p(x | z) of batch shape `[*, batch]` for z of shape `[*, batch, ...]`, given
            the context.
        z: the draws, of shape `[particles, batch, *latent_shape]`.
        context: what the likelihood is told of the data.
        score: scores a part, by default as it is.

    Example:
        >>> import pyro.distributions as dist
        >>> z = torch.randn(1000, 5, 3)
        >>> likelihood = Decoded(lambda z, context: dist.Normal(z, 1.0).to_event(1), z, Context())
        >>> likelihood.log_prob(torch.zeros(5, 3)).shape
        torch.Size([1000, 5])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)

    def __init__(
        self, decode: Decode, z: Tensor, context: Context, *, score: Score | None = None
    ) -> None:
        self.decode = decode
        self.z = z
        self.context = context
        self.score = plain if score is None else score
        self.base_dist = decode(z[:1], context)
        batch = torch.Size((len(z), *self.base_dist.batch_shape[1:]))
        super().__init__(batch, self.base_dist.event_shape, validate_args=False)

    @property
    def support(self) -> Any:
        """The likelihood's support."""
        return self.base_dist.support

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats of x of shape `[batch, *event_shape]`."""
        rows = self.batch_shape[1:].numel()
        most = min(_ROWS, max(1, _ELEMENTS // self.event_shape.numel()))
        if self.z.device.type == "cpu":
            most *= torch.get_num_threads()
        else:
            most *= _ACCELERATED
        parts = self.z.split(max(1, most // max(1, rows)))
        return torch.cat([self.score(self.decode, part, value, self.context) for part in parts])

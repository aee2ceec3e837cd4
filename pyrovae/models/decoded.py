"""Decoded: p(x | z) at many draws of z, decoded a part at a time when it is scored."""

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution

_ELEMENTS = 2**19  # of x in a part, for each thread: what a cache holds a few times over
_ROWS = 2**10  # of a part, for each thread, where an x is small but the decoder's layers are wide
_ACCELERATED = 2**7  # times as many where no cache is to be minded


class Decoded(TorchDistribution):
    """The likelihood at draws of z, of batch shape `[particles, batch]`.

    The decoder and the log-density run on a few draws of all data at a time, so that what they pass
    over stays in the cache, and memory does not grow with the draws. It is for scoring only.

    Arguments:
        decode: returns p(x | z) of batch shape `[*, batch]` for z of shape `[*, batch, ...]`.
        z: the draws, of shape `[particles, batch, *latent_shape]`.

    Example:
        >>> import pyro.distributions as dist
        >>> z = torch.randn(1000, 5, 3)
        >>> likelihood = Decoded(lambda z: dist.Normal(z, 1.0).to_event(1), z)
        >>> likelihood.log_prob(torch.zeros(5, 3)).shape
        torch.Size([1000, 5])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)

    def __init__(self, decode: Callable[[Tensor], Distribution], z: Tensor) -> None:
        self.decode = decode
        self.z = z
        self.base_dist = decode(z[:1])
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
        return torch.cat([self.decode(part).log_prob(value) for part in parts])

"""A distribution whose score counts by a weight in each row."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor

Sizes = torch.Size | list[int] | tuple[int, ...]


class Weighted(TorchDistribution):
    r"""Another distribution, of which a row's log-density is multiplied by a weight.

        w log p(y)

    For terms of a bound that are no part of a joint density, such as that of a classifier. A weight
    of zero leaves a row out.

    Arguments:
        base_dist: p, of batch shape `[*batch]`.
        weight: w, of shape `[*batch]`, without gradient.

    Example:
        >>> import pyro.distributions as dist
        >>> made = Weighted(dist.Normal(torch.zeros(2), 1.0), torch.tensor([2.0, 0.0]))
        >>> made.log_prob(torch.tensor([0.0, 7.0]))
        tensor([-1.8379,  0.0000])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)

    def __init__(self, base_dist: TorchDistribution, weight: Tensor) -> None:
        batch = torch.broadcast_shapes(base_dist.batch_shape, weight.shape)
        self.base_dist = base_dist if base_dist.batch_shape == batch else base_dist.expand(batch)
        self.weight = weight.expand(batch)
        super().__init__(batch, base_dist.event_shape, validate_args=False)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "Weighted":
        """Return the distribution with its batch shape expanded."""
        batch = torch.Size(batch_shape)
        return Weighted(self.base_dist.expand(batch), self.weight.expand(batch))

    @property
    def support(self) -> Any:
        """The support of p."""
        return self.base_dist.support

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw from p, without gradients."""
        drawn: Tensor = self.base_dist.sample(torch.Size(sample_shape))
        return drawn

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the weighted log-density in nats."""
        score = self.base_dist.log_prob(value)
        return torch.where(self.weight == 0.0, torch.zeros_like(score), self.weight * score)

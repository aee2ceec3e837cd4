"""The mixture over the enumerated values of a label that another variable is drawn given."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor

Sizes = torch.Size | list[int] | tuple[int, ...]


class LabelMixture(TorchDistribution):
    r"""A mixture over the leading dimension of a batch, `sum_y m_y q(z | y)`.

    So a record of a run holds what is enumerated: the values of y on a dimension at -3 of the
    batch, the data on its last one, and one particle between them.

    Arguments:
        base_dist: q(z | y), of batch shape `[values, 1, rows]`, or one that broadcasts with it.
        log_mass: log m, of shape `[values, 1, rows]`.

    Example:
        >>> import pyro.distributions as dist
        >>> q = dist.Normal(torch.tensor([0.0, 4.0]).reshape(2, 1, 1), torch.ones(5))
        >>> mass = torch.tensor([0.25, 0.75]).reshape(2, 1, 1)
        >>> made = LabelMixture(q, mass.log().expand(2, 1, 5))
        >>> made.batch_shape, made.mean.round(decimals=3)
        (torch.Size([5]), tensor([3., 3., 3., 3., 3.]))
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)

    def __init__(self, base_dist: TorchDistribution, log_mass: Tensor) -> None:
        self.log_mass = log_mass
        shape = torch.broadcast_shapes(base_dist.batch_shape, log_mass.shape)
        self.base_dist = base_dist.expand(shape)
        super().__init__(shape[-1:], base_dist.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Draws carry no gradient."""
        return False

    @property
    def support(self) -> Any:
        """The support of q(z | y)."""
        return self.base_dist.support

    @property
    def mean(self) -> Tensor:
        """The mean over y of the means."""
        mass = self.log_mass.exp().reshape(self.log_mass.shape + (1,) * self.event_dim)
        found: Tensor = (mass * self.base_dist.mean).sum(0).squeeze(0)
        return found

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw y, and z given y."""
        sizes = torch.Size(sample_shape)
        logits = self.log_mass[:, 0].expand(self.base_dist.batch_shape[0], *self.batch_shape).T
        chosen = torch.distributions.Categorical(logits=logits).sample(sizes)
        drawn = self.base_dist.sample(sizes).squeeze(len(sizes) + 1)  # [*sizes, values, rows, ...]
        at = chosen.unsqueeze(len(sizes)).reshape(
            *sizes, 1, *self.batch_shape, *(1,) * self.event_dim
        )
        at = at.expand(*sizes, 1, *self.batch_shape, *self.event_shape)
        return drawn.gather(len(sizes), at).squeeze(len(sizes))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats of values of shape `[*left, rows, *event_shape]`."""
        left = value.shape[: value.dim() - 1 - self.event_dim]
        rows = value.shape[value.dim() - 1 - self.event_dim]
        flat = value.reshape(-1, rows, *self.event_shape)
        score: Tensor = (self.base_dist.log_prob(flat) + self.log_mass).logsumexp(0)
        return score.reshape(*left, score.shape[-1])

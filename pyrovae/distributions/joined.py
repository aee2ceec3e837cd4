"""Joined: independent distributions of several kinds as one, side by side."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Sizes = torch.Size | list[int] | tuple[int, ...]


class Joined(TorchDistribution):
    r"""The law of `x = (x_1, ..., x_n)` of independent groups, `log p(x) = sum_j log p_j(x_j)`.

    The groups lie side by side along the first dimension of the event.

    Arguments:
        groups: the laws of the groups, of one batch shape, and of event shapes that differ in the
            first dimension alone.

    Example:
        >>> import pyro.distributions as dist
        >>> groups = [dist.Normal(torch.zeros(2), 1.0), dist.Bernoulli(torch.full((1,), 0.5))]
        >>> made = Joined([group.to_event(1) for group in groups])
        >>> made.event_shape, made.log_prob(torch.zeros(3)).shape
        (torch.Size([3]), torch.Size([]))
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)

    def __init__(self, groups: Sequence[Any]) -> None:
        self.groups = tuple(groups)
        first = self.groups[0]
        self.sizes = [group.event_shape[0] for group in self.groups]
        event = torch.Size((sum(self.sizes), *first.event_shape[1:]))
        super().__init__(first.batch_shape, event, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether draws carry gradients: only where those of all groups do."""
        return all(group.has_rsample for group in self.groups)

    @property
    def support(self) -> Any:
        """Each group's support on its part of x."""
        return constraints.independent(
            constraints.cat(
                [_elementwise(group.support) for group in self.groups],
                dim=-len(self.event_shape),
                lengths=self.sizes,
            ),
            len(self.event_shape),
        )

    @property
    def mean(self) -> Tensor:
        """The mean of each element, nan in groups that have none."""
        return self._moment("mean")

    @property
    def variance(self) -> Tensor:
        """The variance of each element, nan in groups that have none."""
        return self._moment("variance")

    def each(self, value: Callable[[Any], Tensor]) -> Tensor:
        """Return what a function gives for each group, of its event shape, side by side."""
        return self.joined([value(group) for group in self.groups])

    def _moment(self, name: str) -> Tensor:
        found: list[Tensor | None] = []
        for group in self.groups:
            try:
                found.append(getattr(group, name))
            except NotImplementedError:
                found.append(None)
        known = next((value for value in found if value is not None), None)
        if known is None:
            raise NotImplementedError(f"no group has a {name}")
        shapes = [torch.Size(g.batch_shape) + torch.Size(g.event_shape) for g in self.groups]
        return self.joined(
            [
                known.new_full(shape, torch.nan) if value is None else value
                for value, shape in zip(found, shapes, strict=True)
            ]
        )

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Return values of the groups side by side."""
        kind = torch.result_type(parts[0], parts[-1]) if len(parts) > 1 else parts[0].dtype
        return torch.cat([part.to(kind) for part in parts], -len(self.event_shape))

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        return self.each(lambda group: group.rsample(torch.Size(sample_shape)))

    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw without gradients."""
        return self.each(lambda group: group.sample(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density, or log-mass, in nats."""
        parts = value.split(self.sizes, -len(self.event_shape))
        scores = [g.log_prob(part) for g, part in zip(self.groups, parts, strict=True)]
        return torch.stack(torch.broadcast_tensors(*scores)).sum(0)

    def expand(self, batch_shape: Sizes, _instance: object = None) -> "Joined":
        """Return the distribution with its batch shape expanded."""
        return Joined([group.expand(torch.Size(batch_shape)) for group in self.groups])


def _elementwise(support: Any) -> Any:
    """Return the constraint on each element, behind those that only count dimensions."""
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support

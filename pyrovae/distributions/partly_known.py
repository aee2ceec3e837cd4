"""Values that are known in some rows of a batch, and random in the others."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor

Sizes = torch.Size | list[int] | tuple[int, ...]

_NO_MASS = -1e4  # as a logarithm: its exponential is zero in every precision, and no sum is lost


class PartlyKnown(TorchDistribution):
    r"""A point mass at a known value in some rows, another distribution in the rest.

        q(y) = [y = v] in known rows, r(y) in the others

    A draw of a known row is its value, without gradient, and scores zero. Where the values can be
    enumerated, all others of a known row have no mass.

    Arguments:
        base_dist: r, of batch shape `[*batch]`.
        value: v, of shape `[*batch, *event_shape]`; in rows that are not known any value of the
            support.
        known: which rows are, boolean, of shape `[*batch]`.

    Example:
        >>> import pyro.distributions as dist
        >>> known = torch.tensor([True, False])
        >>> q = PartlyKnown(dist.Normal(torch.zeros(2), 1.0), torch.tensor([5.0, 0.0]), known)
        >>> draws = q.sample((100,))
        >>> bool((draws[:, 0] == 5.0).all()), q.log_prob(torch.tensor([5.0, 0.0]))
        (True, tensor([ 0.0000, -0.9189]))
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)

    def __init__(self, base_dist: TorchDistribution, value: Tensor, known: Tensor) -> None:
        batch = torch.broadcast_shapes(base_dist.batch_shape, known.shape)
        self.base_dist = base_dist if base_dist.batch_shape == batch else base_dist.expand(batch)
        self.known = known.expand(batch)
        self.value = value.expand(*batch, *base_dist.event_shape)
        super().__init__(batch, base_dist.event_shape, validate_args=False)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "PartlyKnown":
        """Return the distribution with its batch shape expanded."""
        batch = torch.Size(batch_shape)
        value = self.value.expand(*batch, *self.event_shape)
        return PartlyKnown(self.base_dist.expand(batch), value, self.known.expand(batch))

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether draws of the rows that are not known carry a gradient."""
        return bool(self.base_dist.has_rsample)

    @property
    def has_enumerate_support(self) -> bool:  # type: ignore[override]
        """Whether all values can be listed."""
        return bool(self.base_dist.has_enumerate_support)

    @property
    def support(self) -> Any:
        """The support of r, in which known values lie too."""
        return self.base_dist.support

    @property
    def mean(self) -> Tensor:
        """The known value, or the mean of r."""
        return torch.where(self._rows(), self.value, self.base_dist.mean)

    @property
    def variance(self) -> Tensor:
        """Zero in known rows, the variance of r in the others."""
        variance = self.base_dist.variance
        return torch.where(self._rows(), torch.zeros_like(variance), variance)

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, with the gradient of r."""
        drawn = self.base_dist.rsample(torch.Size(sample_shape))
        return torch.where(self._rows(), self.value, drawn)

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients."""
        drawn = self.base_dist.sample(torch.Size(sample_shape))
        return torch.where(self._rows(), self.value, drawn)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density of r in nats; in known rows zero at their value, else no mass."""
        score = self.base_dist.log_prob(value)
        if not self.has_enumerate_support:  # a draw of a known row is its value
            return torch.where(self.known, torch.zeros_like(score), score)
        right = (
            (value == self.value).flatten(value.dim() - len(self.event_shape))
            if (self.event_shape)
            else (value == self.value).unsqueeze(-1)
        )
        return torch.where(self.known, (~right.all(-1)).to(score.dtype) * _NO_MASS, score)

    def enumerate_support(self, expand: bool = True) -> Tensor:  # noqa: FBT001, FBT002
        """Return all values of r."""
        values: Tensor = self.base_dist.enumerate_support(expand=expand)
        return values

    def _rows(self) -> Tensor:
        return self.known.reshape(self.known.shape + (1,) * len(self.event_shape))

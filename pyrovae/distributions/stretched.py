"""Stretched: a distribution moved and stretched, element by element."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution, TorchDistributionMixin
from torch import Tensor

Sizes = torch.Size | list[int] | tuple[int, ...]


class Stretched(TorchDistribution):
    r"""The law of `x = a + s u` for u of another law.

    Its log-density is `log p_u((x - a) / s) - sum_i log s_i`.

    The stretch is counted for known elements alone, as the wrapped distribution scores no others.

    Arguments:
        base: the law of u, a density over real or, with a of zero, positive numbers.
        loc: a, of the event's shape.
        scale: s, positive, of the event's shape.
        observed: which elements of x are known; by default all.

    Example:
        >>> import pyro.distributions as dist
        >>> base = dist.Normal(torch.zeros(2), 1.0).to_event(1)
        >>> made = Stretched(base, torch.ones(2), torch.full((2,), 3.0))
        >>> made.log_prob(torch.ones(2)).item() == dist.Normal(1.0, 3.0).log_prob(
        ...     torch.ones(2)).sum().item()
        True
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)

    def __init__(
        self,
        base: TorchDistributionMixin,
        loc: Tensor,
        scale: Tensor,
        *,
        observed: Tensor | None = None,
    ) -> None:
        self.base_dist: Any = base
        self.loc = loc
        self.scale = scale
        self.observed = observed
        batch, event = self.base_dist.batch_shape, self.base_dist.event_shape
        super().__init__(batch, event, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether draws carry gradients."""
        return bool(self.base_dist.has_rsample)

    @property
    def support(self) -> Any:
        """The support of u, which the map leaves as it is."""
        return self.base_dist.support

    @property
    def mean(self) -> Tensor:
        """The mean, `a + s E[u]`."""
        return self._moved(self.base_dist.mean)

    @property
    def variance(self) -> Tensor:
        """The variance of each element, `s^2 Var[u]`."""
        variance: Tensor = self.scale.square() * self.base_dist.variance
        return variance

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        return self._moved(self.base_dist.rsample(torch.Size(sample_shape)))

    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw without gradients."""
        with torch.no_grad():
            return self._moved(self.base_dist.sample(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        stretch = self.scale.log()
        if self.observed is not None:
            stretch = torch.where(self.observed, stretch, 0.0)
        event = tuple(range(-len(self.event_shape), 0))
        scored: Tensor = self.base_dist.log_prob((value - self.loc) / self.scale)
        return scored - (stretch.sum(event) if event else stretch)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile of each element at a probability."""
        return self._moved(self.base_dist.icdf(value))

    def expand(self, batch_shape: Sizes, _instance: object = None) -> "Stretched":
        """Return the distribution with its batch shape expanded."""
        base = self.base_dist.expand(torch.Size(batch_shape))
        return Stretched(base, self.loc, self.scale, observed=self.observed)

    def _moved(self, u: Tensor) -> Tensor:
        return self.loc + self.scale * u

"""Foreign: any torch or Zuko distribution as a Pyro distribution."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution

Sizes = torch.Size | list[int] | tuple[int, ...]


class Foreign(TorchDistribution):
    """A distribution of torch, of Zuko or of your own, as one that `pyro.sample` takes.

    Draws are the wrapped distribution's own. Where it can score its draws as it makes them
    (`rsample_and_log_prob`, as Zuko's flows can), that score is kept for the next `log_prob` of
    the very same tensor, which spares a flow its slow direction. Importing Zuko switches the
    validation of torch's distributions off for the whole process; that is Zuko's doing.

    Arguments:
        wrapped: the distribution.

    Example:
        >>> import pyro, torch
        >>> normal = Foreign(torch.distributions.Normal(torch.zeros(3), 1.0))
        >>> with pyro.plate("data", 3):
        ...     pyro.sample("z", normal).shape
        torch.Size([3])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)

    def __init__(self, wrapped: Distribution) -> None:
        self.wrapped = wrapped
        self._scored: tuple[Tensor, Tensor] | None = None
        super().__init__(wrapped.batch_shape, wrapped.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether draws carry gradients."""
        return bool(self.wrapped.has_rsample)

    @property
    def support(self) -> Any:
        """The wrapped distribution's support."""
        return self.wrapped.support

    @property
    def mean(self) -> Tensor:
        """The wrapped distribution's mean."""
        return self.wrapped.mean

    @property
    def variance(self) -> Tensor:
        """The wrapped distribution's variance."""
        return self.wrapped.variance

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        if hasattr(self.wrapped, "rsample_and_log_prob"):
            self._scored = self.wrapped.rsample_and_log_prob(torch.Size(sample_shape))
            return self._scored[0]
        return self.wrapped.rsample(torch.Size(sample_shape))

    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw without gradients."""
        return self.wrapped.sample(torch.Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._scored is not None and value is self._scored[0]:
            kept = self._scored[1]
            if kept.requires_grad or not torch.is_grad_enabled():  # drawn under no_grad: no use
                return kept
        depth = value.dim() - len(self.event_shape)
        batch = torch.broadcast_shapes(value.shape[:depth], self.batch_shape)
        # flows take a value of a batch dimension of one badly, as a mixture of them hands it over
        return self.wrapped.log_prob(value.expand(batch + value.shape[depth:]))

    def expand(self, batch_shape: Sizes, _instance: object = None) -> "Foreign":
        """Return the distribution with its batch shape expanded."""
        return Foreign(self.wrapped.expand(torch.Size(batch_shape)))

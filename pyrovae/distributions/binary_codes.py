"""Binary codes whose values can be visited."""

from torch import Tensor

from pyrovae.distributions.bernoulli import IndependentBernoulli, LogitsBernoulli
from pyrovae.distributions.every_word import every_word


class BinaryCodes(IndependentBernoulli):
    """Independent Bernoulli variables as one event, whose joint values can be enumerated.

    Example:
        >>> import torch
        >>> codes = BinaryCodes.of(torch.zeros(5, 3))
        >>> codes.enumerate_support(expand=False).shape
        torch.Size([8, 1, 3])
        >>> codes.log_prob(codes.enumerate_support()).exp().sum(0)
        tensor([1., 1., 1., 1., 1.])
    """

    @classmethod
    def of(cls, logits: Tensor, *, event_dim: int = 1) -> "BinaryCodes":
        """Return the codes of some logits.

        Arguments:
            logits: log-odds, of shape `[*batch, *event_shape]`.
            event_dim: how many dimensions an event has.
        """
        return cls(LogitsBernoulli(logits=logits), event_dim)

    @property
    def has_enumerate_support(self) -> bool:  # type: ignore[override]
        """Whether all values can be listed."""
        return True

    def enumerate_support(self, expand: bool = True) -> Tensor:  # noqa: FBT001, FBT002
        """Return all values, of shape `[values, *batch, *event_shape]`, or with a batch of ones.

        Raises:
            ValueError: there are more than 4096.
        """
        logits, event = self.base_dist.logits, self.event_shape
        words = every_word(2, event.numel(), like=logits)
        ones = (1,) * len(self.batch_shape)
        values = words.to(logits.dtype).reshape(len(words), *ones, *event)
        return values.expand(len(words), *self.batch_shape, *event) if expand else values

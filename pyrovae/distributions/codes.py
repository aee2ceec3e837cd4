"""Codes: a category as a number."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyrovae.distributions.gumbel import gumbels

Sizes = torch.Size | list[int] | tuple[int, ...]


class Codes(TorchDistribution):
    r"""A code x from 0 to K - 1 as a number, `log p(x) = l_x - log sum_k e^l_k`.

    It is `pyro.distributions.Categorical`, with these differences: codes are of the logits' dtype;
    there are a mean, a variance and quantiles; and what is no code has log-probability minus
    infinity, where an index out of range would end the process on an accelerator.

    Arguments:
        logits: unnormalised logarithms l of the probabilities, of shape `[*batch, K]`.

    Example:
        >>> made = Codes(torch.tensor([0.0, 1.0, -1.0]), validate_args=False)
        >>> made.log_prob(torch.tensor([0.0, 1.0, 3.0]))
        tensor([-1.4076, -0.4076,    -inf])
        >>> made.mode.item(), made.icdf(torch.tensor(0.95)).item()
        (1.0, 2.0)
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012  (torch's own convention)
    has_enumerate_support = True

    def __init__(self, logits: Tensor, *, validate_args: bool | None = None) -> None:
        self.logits = logits.log_softmax(-1)
        if logits.numel() == 0:  # torch's check of no rows raises
            validate_args = False
        super().__init__(logits.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "Codes":
        """Return the distribution with its batch shape expanded."""
        new: Codes = type(self).__new__(type(self)) if _instance is None else _instance
        shape = torch.Size(batch_shape)
        new.logits = self.logits.expand(*shape, self.levels)
        TorchDistribution.__init__(new, shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def levels(self) -> int:
        """The number of codes, K."""
        return self.logits.shape[-1]

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The codes."""
        return constraints.integer_interval(0, self.levels - 1)

    @property
    def probs(self) -> Tensor:
        """The probabilities, of shape `[*batch, K]`."""
        return self.logits.exp()

    @property
    def mean(self) -> Tensor:
        """The mean code."""
        return (self.probs * self._codes()).sum(-1)

    @property
    def variance(self) -> Tensor:
        """The variance of the code."""
        return (self.probs * (self._codes() - self.mean.unsqueeze(-1)).square()).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The likeliest code."""
        return self.logits.argmax(-1).to(self.logits.dtype)

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = gumbels(torch.Size((*shape, self.levels)), self.logits)
        return (self.logits + noise).argmax(-1).to(self.logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats."""
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        index = value.clamp(0, self.levels - 1).nan_to_num(0.0).long()
        logits = self.logits.expand(*shape, self.levels)
        score = logits.gather(-1, index.expand(shape).unsqueeze(-1)).squeeze(-1)
        return torch.where(value == index, score, -torch.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of at most `value`."""
        return (self.probs * (self._codes() <= value.unsqueeze(-1))).sum(-1)

    @torch.no_grad()
    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest code whose cumulative probability reaches `value`, or nearly."""
        below = self.probs.double().cumsum(-1)[..., :-1] + 4.0 * torch.finfo(self.logits.dtype).eps
        reached = (below < value.double().unsqueeze(-1)).sum(-1).to(self.logits.dtype)
        return torch.where((value >= 0.0) & (value <= 1.0), reached, torch.nan)

    def enumerate_support(self, expand: bool = True) -> Tensor:  # noqa: FBT001, FBT002
        """Return all K codes, of shape `[K, *batch]`, or with a batch of ones."""
        codes = self._codes().reshape(-1, *(1 for _ in self.batch_shape))
        return codes.expand(-1, *self.batch_shape) if expand else codes

    def _codes(self) -> Tensor:
        return torch.arange(self.levels, dtype=self.logits.dtype, device=self.logits.device)

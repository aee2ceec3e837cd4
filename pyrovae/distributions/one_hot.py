"""One-hot codes whose values can be visited, drawn, or drawn with a relaxed gradient."""

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyrovae.distributions.every_word import every_word
from pyrovae.distributions.gumbel import gumbels

Sizes = torch.Size | list[int] | tuple[int, ...]


class OneHot(TorchDistribution):
    r"""A one-hot vector z of K classes, `log p(z) = sum_k z_k l_k - log sum_k e^l_k`.

    It is `pyro.distributions.OneHotCategorical`, with three differences: `to_event` makes codes of
    several vectors, whose values can be enumerated; log p is linear in z, so that gradients with
    respect to a relaxed z exist; and no probability is rounded to zero in a divergence.

    Arguments:
        logits: unnormalised logarithms l of the probabilities, of shape `[*batch, K]`.

    Example:
        >>> OneHot(torch.tensor([0.0, 1e4])).log_prob(torch.eye(2)).tolist()
        [-10000.0, 0.0]
        >>> OneHot(torch.zeros(5, 2, 3)).to_event(1).enumerate_support(expand=False).shape
        torch.Size([9, 1, 2, 3])
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012  (torch's own convention)
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, logits: Tensor, *, validate_args: bool | None = None) -> None:
        self.logits = logits.log_softmax(-1)
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "OneHot":
        """Return the distribution with its batch shape expanded."""
        new: OneHot = type(self).__new__(type(self)) if _instance is None else _instance
        new.logits = self.logits.expand(*batch_shape, *self.event_shape)
        super(OneHot, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def to_event(self, reinterpreted_batch_ndims: int | None = None) -> Any:
        """Return the vectors of the last batch dimensions as one event."""
        depth = len(self.batch_shape)
        given = depth if reinterpreted_batch_ndims is None else reinterpreted_batch_ndims
        return OneHotCodes(self, given) if 0 < given <= depth else super().to_event(given)  # type: ignore[no-untyped-call]

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self.logits.exp()

    @property
    def mean(self) -> Tensor:
        """The probabilities."""
        return self.probs

    @property
    def variance(self) -> Tensor:
        """The variance of each entry."""
        return self.probs * (1.0 - self.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats."""
        if self._validate_args:
            self._validate_sample(value)
        return (value * self.logits).sum(-1)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return -(self.probs * self.logits).sum(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients."""
        return _hard(self._scores(sample_shape))

    def enumerate_support(self, expand: bool = True) -> Tensor:  # noqa: FBT001, FBT002
        """Return all K values, of shape `[K, *batch, K]`, or with a batch of ones."""
        return _enumerated(self, expand=expand)

    def _scores(self, sample_shape: Sizes) -> Tensor:
        """Return logits with noise, of which the largest is a draw."""
        return self.logits + gumbels(self._extended_shape(torch.Size(sample_shape)), self.logits)


class StraightThroughOneHot(OneHot):
    r"""A one-hot vector that is drawn exactly and has the gradient of a relaxed draw.

    The draw is the place of the largest of `l + g`, with Gumbel noise g, and its gradient that of
    `softmax((l + g) / t)`. The gradient is biased.

    References:
        Jang, Gu and Poole, 2017, arXiv:1611.01144; Bengio, Leonard and Courville, 2013,
        arXiv:1308.3432.

    Arguments:
        logits: unnormalised logarithms l of the probabilities, of shape `[*batch, K]`.
        temperature: t, positive.

    Example:
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> z = StraightThroughOneHot(logits, 0.5).rsample()
        >>> sorted(z.tolist()), z.requires_grad
        ([0.0, 0.0, 1.0], True)
    """

    has_rsample = True

    def __init__(
        self, logits: Tensor, temperature: float, *, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        super().__init__(logits, validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "StraightThroughOneHot":
        """Return the distribution with its batch shape expanded."""
        new: StraightThroughOneHot = (
            type(self).__new__(type(self)) if _instance is None else _instance
        )
        new.temperature = self.temperature
        super().expand(batch_shape, _instance=new)
        return new

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, with the gradient of the relaxed draw."""
        scores = self._scores(sample_shape)
        soft = (scores / self.temperature).softmax(-1)
        return _hard(scores) + (soft - soft.detach())


class OneHotCodes(dist.Independent):
    """Independent one-hot vectors as one event, such as `OneHot(logits).to_event(1)` makes.

    Unlike other independent variables their joint values can be enumerated, up to 4096 of them.

    Example:
        >>> codes = OneHotCodes(OneHot(torch.zeros(2, 3)), 1)
        >>> codes.log_prob(codes.enumerate_support()).exp().sum().item()
        1.0
    """

    @property
    def has_enumerate_support(self) -> bool:  # type: ignore[override]
        """Whether all values can be listed."""
        return True

    def enumerate_support(self, expand: bool = True) -> Tensor:  # noqa: FBT001, FBT002
        """Return all values, of shape `[values, *batch, *event_shape]`, or with a batch of ones.

        Raises:
            ValueError: there are more than 4096.
        """
        return _enumerated(self, expand=expand)


def _hard(scores: Tensor) -> Tensor:
    """Return the one-hot vectors of the largest."""
    places = torch.arange(scores.shape[-1], device=scores.device)
    return (scores.argmax(-1, keepdim=True) == places).to(scores.dtype)


def _enumerated(codes: Any, *, expand: bool) -> Tensor:
    """Return every value of one-hot vectors, in the order of their joint number."""
    logits = codes.base_dist.logits if isinstance(codes, OneHotCodes) else codes.logits
    event, classes = codes.event_shape, codes.event_shape[-1]
    words = every_word(classes, event[:-1].numel(), like=logits)
    hot = words.unsqueeze(-1) == torch.arange(classes, device=logits.device)
    ones = (1,) * len(codes.batch_shape)
    values = hot.to(logits.dtype).reshape(len(words), *ones, *event)
    return values.expand(len(words), *codes.batch_shape, *event) if expand else values

"""Relaxed codes: densities between the corners, scored from what the draws were made of."""

import math
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import softplus

from pyrovae.distributions.gumbel import gumbels, keep, kept, logistics, temperature_of

Sizes = torch.Size | list[int] | tuple[int, ...]


class _Relaxed(TorchDistribution):
    """What both relaxations share: logits, a temperature, and a draw that is remembered."""

    has_rsample = True
    logits: Tensor
    temperature: float

    def to_event(self, reinterpreted_batch_ndims: int | None = None) -> Any:
        """Return the variables of the last batch dimensions as one event."""
        return super().to_event(reinterpreted_batch_ndims)  # type: ignore[no-untyped-call]

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> Any:
        """Return the distribution with its batch shape expanded."""
        new: _Relaxed = type(self).__new__(type(self)) if _instance is None else _instance
        new.logits = self.logits.expand(*batch_shape, *self.event_shape)
        new.temperature = self.temperature
        super(_Relaxed, new).__init__(
            torch.Size(batch_shape), self.event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new


class RelaxedOneHot(_Relaxed):
    r"""A relaxed one-hot vector of K classes, `z = softmax((l + g) / t)` with Gumbel noise g.

    Its density on the simplex is
    `(K - 1)! t^(K - 1) prod_k e^l_k z_k^(-t - 1) / (sum_k e^l_k z_k^-t)^K`.

    It is `pyro.distributions.RelaxedOneHotCategorical`, scored in terms of log z. A draw carries
    its log z, so that its density is finite in float32 where entries of z are rounded to zero. Of
    any other value an entry of zero counts as the smallest normal number.

    References:
        Maddison, Mnih and Teh, 2017, arXiv:1611.00712; Jang, Gu and Poole, 2017, arXiv:1611.01144.

    Arguments:
        logits: unnormalised logarithms l of the probabilities, of shape `[*batch, K]`.
        temperature: t, from 0.001 to 1000.

    Example:
        >>> relaxed = RelaxedOneHot(torch.tensor([0.0, 1e4]), 0.5)
        >>> z = relaxed.sample()
        >>> z.tolist(), relaxed.log_prob(z).isfinite().item()
        ([0.0, 1.0], True)
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012  (torch's own convention)
    support = constraints.simplex

    def __init__(
        self, logits: Tensor, temperature: float, *, validate_args: bool | None = None
    ) -> None:
        self.logits = logits.log_softmax(-1)
        self.temperature = temperature_of("RelaxedOneHot", temperature)
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        scores = self.logits + gumbels(shape, self.logits)
        logarithm = (scores / self.temperature).log_softmax(-1)
        return keep(logarithm.exp(), logarithm)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        logarithm = kept(value)
        if logarithm is None:
            logarithm = value.clamp(min=torch.finfo(value.dtype).tiny).log()
        classes = self.event_shape[-1]
        scores = self.logits - self.temperature * logarithm
        constant = math.lgamma(classes) + (classes - 1) * math.log(self.temperature)
        return (scores.log_softmax(-1) - logarithm).sum(-1) + constant


class RelaxedBit(_Relaxed):
    r"""A relaxed bit, `z = sigmoid((l + e) / t)` with logistic noise e.

    Its density on (0, 1) is `t e^l (z (1 - z))^(-t - 1) / (e^l z^-t + (1 - z)^-t)^2`.

    It is `pyro.distributions.RelaxedBernoulli`, scored in terms of logit z. A draw carries its
    logit, so that its density is finite in float32 where z is rounded to zero or one. Of any other
    value zero and one count as the numbers next to them.

    References:
        Maddison, Mnih and Teh, 2017, arXiv:1611.00712; Jang, Gu and Poole, 2017, arXiv:1611.01144.

    Arguments:
        logits: log-odds l, of shape `[*batch]`.
        temperature: t, from 0.001 to 1000.

    Example:
        >>> relaxed = RelaxedBit(torch.tensor([-1e4, 1e4]), 0.5)
        >>> z = relaxed.sample()
        >>> z.tolist(), relaxed.log_prob(z).isfinite().tolist()
        ([0.0, 1.0], [True, True])
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012  (torch's own convention)
    support = constraints.unit_interval

    def __init__(
        self, logits: Tensor, temperature: float, *, validate_args: bool | None = None
    ) -> None:
        self.logits = logits
        self.temperature = temperature_of("RelaxedBit", temperature)
        super().__init__(logits.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        logit = (self.logits + logistics(shape, self.logits)) / self.temperature
        return keep(logit.sigmoid(), logit)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        logit = kept(value)
        if logit is None:
            info = torch.finfo(value.dtype)
            logit = value.clamp(min=info.tiny).log() - (1.0 - value).clamp(min=info.eps / 2).log()
        score = self.logits - self.temperature * logit
        jacobian = softplus(logit) + softplus(-logit)  # -log z (1 - z)
        return math.log(self.temperature) + score - 2.0 * softplus(score) + jacobian


class RelaxedMixture(dist.MixtureSameFamily):  # type: ignore[misc]
    """A mixture of relaxed codes, which hands what a draw was made of on to its components."""

    def _pad(self, x: Tensor) -> Tensor:
        padded: Tensor = super()._pad(x)
        unconstrained = kept(x)
        return padded if unconstrained is None else keep(padded, super()._pad(unconstrained))


def is_relaxed(distribution: Distribution) -> bool:
    """Return whether a distribution is one of relaxed codes, or several of them as one event."""
    base = getattr(distribution, "base_dist", distribution)
    return isinstance(base, RelaxedOneHot | RelaxedBit)

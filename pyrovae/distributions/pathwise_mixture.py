"""A mixture of diagonal normals whose draws carry gradients, those of the weights included."""

import math
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyrovae.distributions.mixture_paths import Pathwise, component_scores

Sizes = torch.Size | list[int] | tuple[int, ...]


class PathwiseNormalMixture(TorchDistribution):
    r"""The mixture `q(z) = sum_k pi_k N(z; m_k, diag s_k^2)`, with reparameterised draws.

    **Gradients.** A draw moves with the parameters along a velocity field that carries q's mass as
    its density changes, so the gradient of every expectation is unbiased. With `r_k(z)`, the
    probability of component k given z, the field of `m_k` is `r_k` and that of `s_k` is
    `r_k (z - m_k) / s_k`; the one of the weights is in `pyrovae.distributions.mixture_paths`. Mass
    that passes from one component to another crosses what lies between them. Where that is all but
    empty few draws see it, and the weights' gradient has a large variance: by `exp(d^2 / 8)` for
    two components d standard deviations apart. So weights learn while components overlap.

    **Stratified draws.** The components of several draws for one datum, on leading dimensions that
    `expand` or a sample shape have added, are drawn systematically: with one offset u, uniform,
    draw j of n takes the component at `(u + j / n) mod 1` of the cumulative weights. So each
    component gets its share of the n draws to within one. The law of each draw is q, so an average
    over draws keeps its expectation, but the draws of one datum are not independent.

    References:
        Jankowiak and Karaletsos, 2019, arXiv:1806.01856; stratified draws of a mixture posterior:
        Morningstar et al., 2021, arXiv:2003.01687.

    Arguments:
        logits: the weights' unnormalised logarithms, of shape `[*batch, K]`.
        loc: the means m, of shape `[*batch, K, dim]`.
        scale: the standard deviations s, likewise.

    Example:
        >>> mixture = PathwiseNormalMixture(torch.zeros(4), torch.zeros(4, 2), torch.ones(4, 2))
        >>> mixture.log_prob(torch.zeros(2)).item()  # -log 2 pi
        -1.837877035140991
        >>> mixture.rsample((7,)).shape
        torch.Size([7, 2])
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "logits": constraints.real_vector,
        "loc": constraints.independent(constraints.real, 2),
        "scale": constraints.independent(constraints.positive, 2),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, logits: Tensor, loc: Tensor, scale: Tensor, *, validate_args: bool | None = None
    ) -> None:
        self.logits, self.loc, self.scale = torch.log_softmax(logits, dim=-1), loc, scale
        self._data_dims = loc.dim() - 2
        super().__init__(loc.shape[:-2], loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "PathwiseNormalMixture":
        """Return the distribution with its batch shape expanded, by draws for the same data."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        shape = torch.Size(batch_shape)
        new.logits, new.loc, new.scale = self._expanded(shape)
        new._data_dims = self._data_dims
        TorchDistribution.__init__(new, shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return (self.logits.exp().unsqueeze(-1) * self.loc).sum(-2)

    @property
    def variance(self) -> Tensor:
        """The variance of each dimension."""
        spread = self.scale.square() + (self.loc - self.mean.unsqueeze(-2)).square()
        return (self.logits.exp().unsqueeze(-1) * spread).sum(-2)

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        shape = torch.Size(sample_shape) + self.batch_shape
        logits, loc, scale = self._expanded(shape)
        with torch.no_grad():
            chosen = self._components(shape)[..., None, None]
            chosen = chosen.expand(*shape, 1, *self.event_shape)
            noise = torch.randn(chosen.shape, dtype=loc.dtype, device=loc.device)
            draw = (loc.gather(-2, chosen) + scale.gather(-2, chosen) * noise).squeeze(-2)
        if not torch.is_grad_enabled():
            return draw
        moved: Tensor = Pathwise.apply(draw, logits, loc, scale)  # type: ignore[no-untyped-call]
        return moved

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        return component_scores(value, self.logits, self.loc, self.scale).logsumexp(-1)

    def _expanded(self, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
        matrix = self.loc.shape[-2:]
        logits = self.logits.expand(shape + matrix[:1])
        return logits, self.loc.expand(shape + matrix), self.scale.expand(shape + matrix)

    def _components(self, shape: torch.Size) -> Tensor:
        """Return the number of each draw's component, drawn systematically for each datum."""
        leading = shape[: len(shape) - self._data_dims]
        data = shape[len(leading) :]
        count = math.prod(leading)
        offset = torch.rand(data, dtype=self.loc.dtype, device=self.loc.device)
        step = torch.arange(count, dtype=self.loc.dtype, device=self.loc.device) / max(count, 1)
        place = (offset + step.reshape(leading + (1,) * len(data))) % 1.0
        cumulative = self.logits.exp().cumsum(-1)[..., :-1]
        return (place.unsqueeze(-1) >= cumulative).sum(-1)

"""A normal pushed through invertible maps, and what such a map has to offer."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Sizes = torch.Size | list[int] | tuple[int, ...]


class Bijection(ABC):
    """An invertible map of vectors, `y = f(x)`, with the logarithm of `|det df/dx|`.

    Its parameters broadcast against leading dimensions of what it is called on.
    """

    @abstractmethod
    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return `f(x)` and `log |det df/dx|` at x."""

    @abstractmethod
    def inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the x of which y is the image, and `log |det df/dx|` at that x."""


class Inverted(Bijection):
    """The inverse of a map, as a map.

    Arguments:
        wrapped: the map.
    """

    def __init__(self, wrapped: Bijection) -> None:
        self.wrapped = wrapped

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        found, log_det = self.wrapped.inverse(value)
        return found, -log_det

    def inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        found, log_det = self.wrapped.forward(value)
        return found, -log_det


class Affine(Bijection):
    """The map `y_d = loc_d + scale_d x_d`.

    Arguments:
        loc: the shift, of shape `[*batch, dim]`.
        scale: the positive factor, likewise.
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.loc = loc
        self.scale = scale

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return self.loc + self.scale * value, self.scale.log().sum(-1)

    def inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        return (value - self.loc) / self.scale, self.scale.log().sum(-1)


class FlowNormal(TorchDistribution):
    r"""The distribution of `z = f_L(... f_1(e))` where `e ~ N(loc, diag scale^2)`.

    By the change of variables, `log p(z) = log N(e; loc, scale) - sum_l log |det df_l|`. A draw is
    scored as it is made, and `log_prob` of that very tensor is the kept score, so that it needs no
    inverse. Any other value is taken back through the maps. A score kept without a gradient is
    not used where gradients are wanted.

    References:
        Rezende and Mohamed, 2015, arXiv:1505.05770.

    Arguments:
        loc: the mean of the base, of shape `[*batch, dim]`.
        scale: the standard deviation of the base, likewise.
        bijections: the maps, the one next to the base first.

    Example:
        >>> flow = FlowNormal(torch.zeros(2), torch.ones(2), [Affine(torch.ones(2), torch.ones(2))])
        >>> round(flow.log_prob(torch.ones(2)).item(), 5)  # -log 2 pi
        -1.83788
        >>> z = flow.rsample((3,))
        >>> bool((flow.log_prob(z) - flow.log_prob(z.clone())).abs().max() < 1e-5)
        True
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "loc": constraints.real_vector,
        "scale": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        bijections: Sequence[Bijection],
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        self.bijections = tuple(bijections)
        self._kept: tuple[Tensor, Tensor, bool] | None = None  # a draw, its score, with gradient?
        super().__init__(self.loc.shape[:-1], self.loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: object = None) -> "FlowNormal":
        """Return the distribution with its batch shape expanded; the maps broadcast."""
        shape = torch.Size(batch_shape) + self.event_shape
        new = FlowNormal(
            self.loc.expand(shape), self.scale.expand(shape), self.bijections, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        return self.rsample_and_log_prob(sample_shape)[0]

    def rsample_and_log_prob(self, sample_shape: Sizes = ()) -> tuple[Tensor, Tensor]:
        """Draw with gradients, and score the draws."""
        shape = torch.Size(sample_shape) + self.batch_shape + self.event_shape
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        value = self.loc + self.scale * noise
        score = self._base(noise)
        for bijection in self.bijections:
            value, log_det = bijection.forward(value)
            score = score - log_det
        self._kept = value, score, torch.is_grad_enabled()
        return value, score

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        if self._kept is not None and value is self._kept[0]:
            _, score, differentiable = self._kept
            if differentiable or not torch.is_grad_enabled():
                return score
        batch = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        value = value.expand(batch + self.event_shape)
        log_dets: Tensor | float = 0.0
        for bijection in reversed(self.bijections):
            value, log_det = bijection.inverse(value)
            log_dets = log_dets + log_det
        return self._base((value - self.loc) / self.scale) - log_dets

    def _base(self, noise: Tensor) -> Tensor:
        """Return the log-density of the base at `loc + scale noise`."""
        each = 0.5 * noise.square() + self.scale.log() + 0.5 * math.log(2.0 * math.pi)
        return -each.sum(-1)

    def __repr__(self) -> str:
        maps: Any = ", ".join(type(bijection).__name__ for bijection in self.bijections)
        return f"FlowNormal(batch_shape={tuple(self.batch_shape)}, maps=({maps}))"

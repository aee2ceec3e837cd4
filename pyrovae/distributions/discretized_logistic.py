"""The logistic distribution of integer levels, of which the outermost take the tails."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import softplus

Sizes = torch.Size | list[int] | tuple[int, ...]

_ELEMENTS = 2**15  # of a part whose moments are summed at once: 128 KiB in float32


class DiscretizedLogistic(TorchDistribution):
    r"""A level out of 0..n, which is a logistic variable rounded and clipped.

    With the lower and upper edges `a = (x - 1/2 - m) / s` and `b = (x + 1/2 - m) / s` of a level,
    its mass is `sigma(b) - sigma(a)`, where a is -infinity at level 0 and b infinity at level n. As

        sigma(b) - sigma(a) = sigma(b) sigma(-a) (1 - e^-(b - a)),   b - a = 1 / s,

    its logarithm is a sum in which nothing cancels, however far in the tails the level lies.

    References:
        Kingma, Salimans, Jozefowicz, Chen, Sutskever and Welling, 2016, arXiv:1606.04934; Salimans,
        Karpathy, Chen and Kingma, 2017, arXiv:1701.05517.

    Arguments:
        loc: m, in levels, of shape `[*batch]`.
        scale: s, in levels, likewise.
        total_count: the highest level, n.

    Example:
        >>> made = DiscretizedLogistic(torch.tensor(2.0), torch.tensor(0.5), total_count=4)
        >>> made.log_prob(torch.arange(5.0)).exp()
        tensor([0.0474, 0.2215, 0.4621, 0.2215, 0.0474])
        >>> made.mean.item(), made.icdf(torch.tensor(0.9)).item()
        (2.0, 3.0)
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        *,
        total_count: int,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        self.total_count = total_count
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "DiscretizedLogistic":
        """Return the distribution with its batch shape expanded."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        shape = torch.Size(batch_shape)
        new.loc, new.scale = self.loc.expand(shape), self.scale.expand(shape)
        new.total_count = self.total_count
        TorchDistribution.__init__(new, shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The levels."""
        return constraints.integer_interval(0, self.total_count)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the logarithm of the mass, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        return log_mass(value, self.loc, self.scale, self.total_count)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the mass of the levels up to a value."""
        return mass_up_to(value, self.loc, self.scale, self.total_count)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the lowest level up to which there is at least a mass."""
        found = torch.ceil(self.loc + self.scale * torch.logit(value) - 0.5)
        return found.clamp(0, self.total_count)

    @torch.no_grad()
    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw, without gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return rounded(self.loc.expand(shape), self.scale.expand(shape), self.total_count)

    @property
    def mean(self) -> Tensor:
        """The mean, summed over all levels."""
        return moment(self.loc, self.scale, self.total_count)

    @property
    def variance(self) -> Tensor:
        """The variance, summed over all levels."""
        given = self.loc.double(), self.scale.double(), self.total_count
        first, second = (moment(*given, power=power) for power in (1, 2))
        return (second - first.square()).clamp(min=0.0).to(self.loc.dtype)


def log_mass(value: Tensor, loc: Tensor, scale: Tensor, total_count: int) -> Tensor:
    """Return the logarithm of the mass of a level, in nats; shapes are broadcast."""
    width = scale.reciprocal()
    middle = (value - loc) * width
    upper = softplus(-middle - 0.5 * width)  # -log sigma(b)
    lower = softplus(middle - 0.5 * width)  # -log sigma(-a)
    bottom, top = value <= 0, value >= total_count
    between = torch.log(-torch.expm1(-width))
    score = torch.where(bottom | top, 0.0, between)
    return score - torch.where(top, 0.0, upper) - torch.where(bottom, 0.0, lower)


def mass_up_to(value: Tensor, loc: Tensor, scale: Tensor, total_count: int) -> Tensor:
    """Return the mass of the levels up to a value; shapes are broadcast."""
    level = value.floor()
    mass = torch.sigmoid((level + 0.5 - loc) / scale)
    mass = torch.where(level >= total_count, 1.0, mass)
    return torch.where(level < 0, 0.0, mass)


def rounded(loc: Tensor, scale: Tensor, total_count: int) -> Tensor:
    """Return a logistic draw for each location and scale, rounded and clipped to the levels."""
    limits = torch.finfo(loc.dtype)
    uniform = torch.rand_like(loc).clamp(limits.tiny, 1.0 - limits.eps)
    return (loc + scale * torch.logit(uniform)).round().clamp(0, total_count)


def moment(loc: Tensor, scale: Tensor, total_count: int, *, power: int = 1) -> Tensor:
    """Return E[x] or E[x^2]: `sum_k P(x >= k)` or `sum_k (2 k - 1) P(x >= k)`, k = 1..n.

    All levels are added up for a part of the elements at a time, which stays in the cache.
    """
    parts = zip(loc.flatten().split(_ELEMENTS), scale.flatten().split(_ELEMENTS), strict=True)
    sums = []
    for middle, spread in parts:
        width = spread.reciprocal()
        total = torch.zeros_like(middle)
        for level in range(1, total_count + 1):
            reached = torch.sigmoid((middle - (level - 0.5)) * width)
            total = total + (reached if power == 1 else (2 * level - 1) * reached)
        sums.append(total)
    return torch.cat(sums).reshape(loc.shape)

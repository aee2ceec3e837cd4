"""The softmax of independent normals: a logistic-normal on the simplex."""

import math
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

Sizes = torch.Size | list[int] | tuple[int, ...]


def log_coordinates(value: Tensor) -> Tensor:
    """Return the logarithm of points of a simplex, with a floor under numbers rounded to zero.

    The floor is the smallest normal number to the power 3/4: 4e-29 in float32, 1e-230 in float64.
    It leaves a gradient by `1 / z` room below the largest number. Under it the gradient is zero.

    Example:
        >>> log_coordinates(torch.tensor([0.0, 1.0]))
        tensor([-65.5024,   0.0000])
    """
    return value.clamp(min=torch.finfo(value.dtype).tiny ** 0.75).log()


class SoftmaxNormal(TorchDistribution):
    r"""The point `z = softmax(h)` of a simplex for `h_k ~ N(m_k, s_k^2)`, k from 1 to K.

    A shift common to all h leaves z as it is, and is integrated out. With the precisions
    `w_k = 1 / s_k^2` and `r_k = log z_k - m_k`, whose mean weighed by w is `c`, the density by the
    Lebesgue measure of the first K - 1 coordinates, which is also that of torch's Dirichlet, is

        log p(z) = -1/2 sum_k w_k (r_k - c)^2 - sum_k log(s_k z_k)
                   - 1/2 log(sum_k w_k) - 1/2 (K - 1) log(2 pi).

    The log-ratios `log(z_k / z_K)` are normal, of mean `m_k - m_K` and covariance
    `diag(s_k^2) + s_K^2`. No coordinate is singled out, and the cost is linear in K.

    Numbers that were rounded to zero are scored at a floor; see `log_coordinates`.

    References:
        Atchison and Shen, 1980, Logistic-normal distributions, Biometrika 67(2).

    Arguments:
        loc: the means m of h, of shape `[*batch, K]`.
        scale: the standard deviations s of h, likewise.

    Example:
        >>> made = SoftmaxNormal(torch.zeros(3), torch.ones(3))
        >>> made.log_prob(torch.full((3,), 1 / 3)).item()  # log(27 / (2 pi sqrt(3)))
        0.908653736114502
        >>> made.sample((5,)).sum(-1).shape
        torch.Size([5])
    """

    arg_constraints = {  # noqa: RUF012  (torch's own convention)
        "loc": constraints.real_vector,
        "scale": constraints.independent(constraints.positive, 1),
    }
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape[:-1], self.loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "SoftmaxNormal":
        """Return the distribution with its batch shape expanded."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        shape = torch.Size(batch_shape) + self.event_shape
        new.loc, new.scale = self.loc.expand(shape), self.scale.expand(shape)
        TorchDistribution.__init__(
            new, torch.Size(batch_shape), self.event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw with gradients."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return torch.softmax(self.loc + self.scale * noise, dim=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        logs = log_coordinates(value)
        dim = self.event_shape[0]
        constant = 0.5 * (dim - 1) * math.log(2.0 * math.pi)
        volume = 0.5 * self.log_determinant() + constant
        return -0.5 * self.distance(logs - self.loc) - logs.sum(-1) - volume

    def log_precision(self) -> Tensor:
        """Return `log w`, of shape `[*batch, K]`."""
        return -2.0 * self.scale.log()

    def log_determinant(self) -> Tensor:
        """Return the log-determinant of the log-ratios' covariance, of the batch shape."""
        return 2.0 * self.scale.log().sum(-1) + self.log_precision().logsumexp(-1)

    def distance(self, difference: Tensor) -> Tensor:
        """Return `sum_k w_k (r_k - c)^2`, the squared distance by the log-ratios' covariance.

        Arguments:
            difference: r, of shape `[*batch, K]`; a shift common to all its entries is nothing.
        """
        weights = torch.softmax(self.log_precision(), dim=-1)
        centred = difference - (weights * difference).sum(-1, keepdim=True)
        return (centred / self.scale).square().sum(-1)

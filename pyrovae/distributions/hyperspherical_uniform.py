"""The uniform distribution on a sphere, and the geometry that the others on it share."""

import math
from typing import Any

import torch
from pyro.distributions import constraints
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor

Sizes = torch.Size | list[int] | tuple[int, ...]


def unit(vector: Tensor) -> Tensor:
    """Return vectors scaled to length one, and the first axis for a vector of zeros.

    The largest element is divided out first, so that no square overflows or vanishes.

    Example:
        >>> unit(torch.tensor([[3e30, 4e30], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [1.0, 0.0]]
    """
    largest = vector.detach().abs().amax(-1, keepdim=True)
    some = largest >= torch.finfo(vector.dtype).tiny
    vector = torch.where(some, vector, _first_axis(vector)) / torch.where(some, largest, 1.0)
    return vector / torch.linalg.vector_norm(vector, dim=-1, keepdim=True)


def turned(tangent: Tensor, loc: Tensor) -> Tensor:
    r"""Turn vectors that are orthogonal to the first axis into vectors orthogonal to `loc`.

    Lengths and angles stay. With s the sign of loc_1, it is the rotation, or reflection, that takes
    the axis `s e_1` to `loc`, smooth in `loc` and far from its only singularity, at `-s e_1`:

        v - (v . loc) / (1 + |loc_1|) (s e_1 + loc).

    Arguments:
        tangent: the vectors without their first element, which is 0, of shape `[..., dim - 1]`.
        loc: unit vectors, of shape `[..., dim]`.

    Example:
        >>> turned(torch.tensor([2.0]), torch.tensor([0.0, 1.0])).tolist()
        [-2.0, 0.0]
    """
    first, others = loc[..., :1], loc[..., 1:]
    sign = torch.where(first.detach() < 0.0, -1.0, 1.0).to(loc)
    share = (tangent * others).sum(-1, keepdim=True) / (1.0 + first.abs())
    return torch.cat([-share * (sign + first), tangent - share * others], dim=-1)


def log_area(dim: int) -> float:
    """Return the logarithm of the area of the unit sphere in R^dim, `2 pi^(dim/2) / Gamma(dim/2)`.

    Example:
        >>> math.exp(log_area(3)) / math.pi
        4.0
    """
    return math.log(2.0) + 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim)


def unexpanded(tensor: Tensor) -> Tensor:
    """Return a tensor without leading dimensions along which it is only repeated.

    What depends on it alone is then found once, and broadcasts.

    Example:
        >>> unexpanded(torch.ones(3).expand(500, 3)).shape
        torch.Size([3])
    """
    while tensor.dim() and (tensor.shape[0] == 1 or (tensor.shape[0] > 1 and not tensor.stride(0))):
        tensor = tensor[0]
    return tensor


def require_sphere(name: str, dim: object) -> None:
    """Raise ValueError unless there is a sphere of vectors of so many elements."""
    if isinstance(dim, bool) or not isinstance(dim, int) or dim < 2:
        raise ValueError(
            f"{name} expects vectors of two elements or more, for the sphere in one dimension is "
            f"two points; got dimension {dim!r}"
        )


class HypersphericalUniform(TorchDistribution):
    r"""The uniform distribution on the unit sphere of R^dim, `log p(z) = -log area`.

    The area is `2 pi^(dim/2) / Gamma(dim/2)`. Draws are normal vectors scaled to length one.

    Arguments:
        dim: the number of elements of z, from 2 on.
        batch_shape: the batch shape.
        dtype: of the draws; None for torch's default.
        device: of the draws; None for torch's default.

    Raises:
        ValueError: there is no such sphere.

    Example:
        >>> uniform = HypersphericalUniform(3)
        >>> uniform.log_prob(torch.tensor([0.0, 0.0, 1.0])).item()  # -log 4 pi
        -2.5310242176055908
        >>> uniform.sample((5,)).shape
        torch.Size([5, 3])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own convention)
    support = constraints.sphere
    has_rsample = True

    def __init__(
        self,
        dim: int,
        *,
        batch_shape: Sizes = (),
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        validate_args: bool | None = None,
    ) -> None:
        require_sphere("HypersphericalUniform", dim)
        self.dim = dim
        self.dtype = dtype
        self.device = device
        batch = torch.Size(batch_shape)
        super().__init__(batch, torch.Size((dim,)), validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> "HypersphericalUniform":
        """Return the distribution with its batch shape expanded."""
        made = HypersphericalUniform(
            self.dim,
            batch_shape=torch.Size(batch_shape),
            dtype=self.dtype,
            device=self.device,
            validate_args=False,
        )
        made._validate_args = self._validate_args
        return made

    @property
    def mean(self) -> Tensor:
        """The expectation, zero, which lies inside the sphere."""
        shape = self.batch_shape + self.event_shape
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    @property
    def variance(self) -> Tensor:
        """The variance of each element, `1 / dim`."""
        return torch.full_like(self.mean, 1.0 / self.dim)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, the logarithm of the area."""
        return torch.full(
            self.batch_shape, log_area(self.dim), dtype=self.dtype, device=self.device
        )

    def rsample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw; there is no parameter to carry a gradient to."""
        shape = torch.Size(sample_shape) + self.batch_shape + self.event_shape
        return unit(torch.randn(shape, dtype=self.dtype, device=self.device))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats with respect to area."""
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return value.new_full(shape, -log_area(self.dim))


def _first_axis(like: Tensor) -> Tensor:
    """Return the first axis, of the type of a tensor and the size of its last dimension."""
    axis = torch.zeros_like(like)
    axis[..., 0] = 1.0
    return axis

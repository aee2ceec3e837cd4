"""The Sylvester map."""

import torch
from torch import Tensor

from pyrovae.distributions.flow import Bijection
from pyrovae.distributions.tanh_root import sech_squared, tanh_root

_LEAST = 1e-30  # of |v|^2, so that a reflection at zero is none


class Sylvester(Bijection):
    r"""The map `f(x) = x + Q R tanh(S Q^T x + b)`, R and S upper triangular, Q orthogonal.

    Its determinant is the product of `1 + R_ii S_ii tanh'_i`, and it is invertible where each
    `R_ii S_ii > -1`. Q is a product of Householder reflections `I - 2 v v^T / |v|^2`, behind which
    the order of the dimensions may be reversed. The inverse goes from the last dimension to
    the first, and for each solves one equation in one number, to machine precision.

    References:
        van den Berg, Hasenclever, Tomczak and Welling, 2018, arXiv:1803.05649.

    Arguments:
        outer: R, of shape `[*batch, dim, dim]`.
        inner: S, likewise.
        bias: b, of shape `[*batch, dim]`.
        reflections: the vectors v, of shape `[*batch, count, dim]`.
        reverse: whether the dimensions are reversed.

    Example:
        >>> half = 0.5 * torch.eye(3)
        >>> sylvester = Sylvester(half, half, torch.zeros(3), torch.ones(2, 3))
        >>> y, log_det = sylvester.forward(torch.arange(3.0))
        >>> x, _ = sylvester.inverse(y)
        >>> bool((x - torch.arange(3.0)).abs().max() < 1e-5)
        True
    """

    def __init__(
        self,
        outer: Tensor,
        inner: Tensor,
        bias: Tensor,
        reflections: Tensor,
        *,
        reverse: bool = False,
    ) -> None:
        self.outer = outer
        self.inner = inner
        self.bias = bias
        length = reflections.square().sum(-1, keepdim=True).clamp(min=_LEAST).sqrt()
        self.units = (reflections / length).unbind(-2)
        self.reverse = reverse
        self.diagonals = outer.diagonal(dim1=-2, dim2=-1), inner.diagonal(dim1=-2, dim2=-1)

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        turned = self._turned(value)
        argument = _times(self.inner, turned) + self.bias
        moved = value + self._turned_back(_times(self.outer, argument.tanh()))
        return moved, self._log_det(argument)

    def inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        outer_diagonal, inner_diagonal = self.diagonals
        slopes = outer_diagonal * inner_diagonal
        rest = self._turned(value)  # less what the dimensions done so far add to the others
        offset = self.bias.expand(rest.shape)
        arguments = []
        for at in reversed(range(value.shape[-1])):
            target = inner_diagonal[..., at] * rest[..., at] + offset[..., at]
            argument = tanh_root(slopes[..., at], target)
            arguments.append(argument)
            bent = argument.tanh().unsqueeze(-1)
            found = rest[..., at, None] - outer_diagonal[..., at, None] * bent
            rest = rest[..., :at] - self.outer[..., :at, at] * bent
            offset = offset[..., :at] + self.inner[..., :at, at] * found
        argument = torch.stack(arguments[::-1], dim=-1)
        moved = value - self._turned_back(_times(self.outer, argument.tanh()))
        return moved, self._log_det(argument)

    def _log_det(self, argument: Tensor) -> Tensor:
        outer_diagonal, inner_diagonal = self.diagonals
        return torch.log1p(outer_diagonal * inner_diagonal * sech_squared(argument)).sum(-1)

    def _turned(self, value: Tensor) -> Tensor:
        """Return `Q^T x`."""
        for unit in self.units:
            value = _reflected(value, unit)
        return value.flip(-1) if self.reverse else value

    def _turned_back(self, value: Tensor) -> Tensor:
        """Return `Q x`."""
        value = value.flip(-1) if self.reverse else value
        for unit in reversed(self.units):
            value = _reflected(value, unit)
        return value


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return `A x`; for many vectors of one matrix it makes no copies of the matrix."""
    return torch.einsum("...ij,...j->...i", matrix, vector)


def _reflected(value: Tensor, unit: Tensor) -> Tensor:
    """Return a vector reflected at the plane that a unit vector stands on."""
    return value - 2.0 * (value * unit).sum(-1, keepdim=True) * unit

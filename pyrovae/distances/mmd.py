"""The maximum mean discrepancy."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from pyrovae.distances.distance import Distance
from pyrovae.distances.inverse_multiquadratic import InverseMultiquadratic
from pyrovae.distances.kernel import Kernel

_DEFAULT = InverseMultiquadratic()


class MMD(Distance):
    r"""The squared maximum mean discrepancy, `E k(x, x') + E k(y, y') - 2 E k(x, y)`.

    The estimate is the U-statistic, which leaves out the pairs of a draw with itself:

        sum_{i != j} k(x_i, x_j) / n (n - 1) + sum_{i != j} k(y_i, y_j) / m (m - 1)
            - 2 sum_ij k(x_i, y_j) / n m

    It is unbiased, and so may be negative where the laws are close.

    References:
        Gretton, Borgwardt, Rasch, Schoelkopf and Smola, 2012, A kernel two-sample test.

    Arguments:
        kernel: the kernel k, or any function of two samples `[n, d]`, `[m, d]` to the matrix of its
            values, `[n, m]`.

    Raises:
        TypeError: the kernel is nothing that can be called so.
        ValueError: when it is called, a sample has fewer than two draws, or the kernel returns no
            matrix of theirs.

    Example:
        >>> import torch
        >>> from pyrovae.distances import RBF
        >>> round(MMD(kernel=RBF(scale=1.0))(torch.zeros(2, 1), torch.ones(2, 1)).item(), 4)
        0.7869
    """

    unbiased: ClassVar[bool] = True
    least: ClassVar[int] = 2

    def __init__(self, *, kernel: Kernel | Callable[[Tensor, Tensor], Tensor] = _DEFAULT) -> None:
        if not callable(kernel) or isinstance(kernel, Distance | type):
            raise TypeError(
                f"MMD expects kernel to be a Kernel such as RBF(), or a function of two samples to "
                f"the matrix of its values; got {kernel!r}"
            )
        self.kernel = kernel

    @property
    def cost(self) -> str:
        """How the work grows."""
        return "n^2 d"

    def between(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the U-statistic; see `Distance`."""
        within = self._within(x) + self._within(y)
        return within - 2.0 * self._matrix(x, y).mean()

    def _within(self, x: Tensor) -> Tensor:
        """Return the mean of the kernel over the pairs of different draws."""
        matrix = self._matrix(x, x)
        return (matrix.sum() - matrix.diagonal().sum()) / (len(x) * (len(x) - 1))

    def _matrix(self, x: Tensor, y: Tensor) -> Tensor:
        matrix = self.kernel(x, y)
        expected = (len(x), len(y))
        if not isinstance(matrix, Tensor) or tuple(matrix.shape) != expected:
            got = f"shape {tuple(matrix.shape)}" if isinstance(matrix, Tensor) else repr(matrix)
            raise ValueError(
                f"MMD expects its kernel to return the matrix of its values, of shape {expected} "
                f"for these samples; {self.kernel!r} returned {got}"
            )
        return matrix

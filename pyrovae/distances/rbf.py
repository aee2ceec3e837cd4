"""The Gaussian kernel."""

from torch import Tensor

from pyrovae.distances.kernel import Kernel, checked_scale, euclidean, squares

_DEFAULT = (0.5,)  # of 2 d: a length of sqrt(d)


class RBF(Kernel):
    r"""The Gaussian kernel, `k(x, y) = sum_i exp(-|x - y|^2 / (2 l_i^2))`.

    It sees little of draws that are many lengths apart, so far off its gradient is small.

    References:
        Gretton, Borgwardt, Rasch, Schoelkopf and Smola, 2012, A kernel two-sample test.

    Arguments:
        scale: the length l, or several whose kernels are added; None takes `sqrt(d)` for vectors of
            d numbers.

    Raises:
        ValueError: a length is not a positive finite number.

    Example:
        >>> import torch
        >>> RBF(scale=2.0)(torch.zeros(1, 1), torch.tensor([[0.0], [2.0]]))
        tensor([[1.0000, 0.6065]])
        >>> RBF(scale=(1.0, 2.0))(torch.zeros(1, 1), torch.zeros(1, 1))
        tensor([[2.]])
    """

    def __init__(self, *, scale: float | tuple[float, ...] | None = None) -> None:
        self.scale = checked_scale(self, scale)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the kernel matrix; see `Kernel`."""
        away = euclidean(x, y).square()
        first, *rest = [
            (away / (-2.0 * square)).exp() for square in squares(self.scale, _DEFAULT, x.shape[-1])
        ]
        return sum(rest, first)

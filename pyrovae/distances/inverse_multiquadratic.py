"""The inverse multiquadratic kernel."""

from torch import Tensor

from pyrovae.distances.kernel import Kernel, checked_scale, euclidean, squares

_DEFAULT = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class InverseMultiquadratic(Kernel):
    r"""The inverse multiquadratic kernel, `k(x, y) = sum_i l_i^2 / (l_i^2 + |x - y|^2)`.

    Its tails are heavy, so it has a gradient where draws are still far from the other sample.

    References:
        Tolstikhin, Bousquet, Gelly and Schoelkopf, 2018, arXiv:1711.01558.

    Arguments:
        scale: the length l, or several whose kernels are added; None takes the seven of the paper
            for a standard normal prior, `l_i^2 = s_i 2 d` with s_i of 0.1, 0.2, 0.5, 1, 2, 5 and 10
            for vectors of d numbers.

    Raises:
        ValueError: a length is not a positive finite number.

    Example:
        >>> import torch
        >>> InverseMultiquadratic(scale=2.0)(torch.zeros(1, 1), torch.tensor([[0.0], [2.0]]))
        tensor([[1.0000, 0.5000]])
        >>> InverseMultiquadratic()(torch.zeros(1, 1), torch.zeros(1, 1))
        tensor([[7.]])
    """

    def __init__(self, *, scale: float | tuple[float, ...] | None = None) -> None:
        self.scale = checked_scale(self, scale)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the kernel matrix; see `Kernel`."""
        away = euclidean(x, y).square()
        first, *rest = [
            square / (square + away) for square in squares(self.scale, _DEFAULT, x.shape[-1])
        ]
        return sum(rest, first)

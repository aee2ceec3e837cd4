"""No network: what stands in for an encoder where a posterior needs none."""

from torch import Tensor, nn

from pyrovae.networks.network import Shape


def nothing(in_shape: Shape, out_shape: Shape) -> nn.Module:
    """Return a module that makes no numbers of any input.

    Example:
        >>> import torch
        >>> nothing((3,), (0,))(torch.zeros(5, 3)).shape
        torch.Size([5, 0])
    """
    return _Nothing()


class _Nothing(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return value.new_zeros(len(value), 0)

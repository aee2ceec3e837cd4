"""What networks of images share: which way they go, the sizes of their stages, and a cut."""

from torch import Tensor, nn

from pyrovae.networks.network import Network, Shape

_IMAGE = 3  # channels, height, width


def from_image(network: Network, in_shape: Shape, out_shape: Shape) -> bool:
    """Return whether a network goes from an image to a vector, and not from a vector to an image.

    Raises:
        ValueError: neither or both of the shapes are images.
    """
    if len(in_shape) == _IMAGE and len(out_shape) < _IMAGE:
        return True
    if len(out_shape) == _IMAGE and len(in_shape) < _IMAGE:
        return False
    raise ValueError(
        f"{network!r} goes from an image (channels, height, width) to a vector or back; "
        f"got {in_shape} to {out_shape}; MLP takes any shapes"
    )


def halved(shape: Shape, times: int) -> list[tuple[int, int]]:
    """Return height and width before the first halving, which rounds up, and behind each one.

    Example:
        >>> halved((1, 28, 5), 2)
        [(28, 5), (14, 3), (7, 2)]
    """
    sizes = [(shape[1], shape[2])]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


class Crop(nn.Module):
    """Cut an image to a height and a width.

    Example:
        >>> import torch
        >>> Crop((3, 2))(torch.zeros(1, 4, 4)).shape
        torch.Size([1, 3, 2])
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, image: Tensor) -> Tensor:
        """Return the upper left part of `[..., height, width]`."""
        return image[..., : self.size[0], : self.size[1]]

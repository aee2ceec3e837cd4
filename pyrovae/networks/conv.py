"""Convolutional networks, from images and to images of any size."""

import math
from itertools import pairwise

from torch import Tensor, nn

from pyrovae.networks.network import (
    Activation,
    Network,
    Shape,
    activation_module,
    linear,
    widths,
)


class Conv(Network):
    """A convolutional network: from an image to a vector, or from a vector to an image.

    Each stage halves the image, rounding up (towards an image: doubles it), and what a doubled
    image has too much is cut off, so any height and width will do. Which way it goes follows from
    the shapes: an image is `(channels, height, width)`.

    Arguments:
        channels: the channels behind each halving; towards an image they are gone through
            backwards.
        hidden: the width of the dense layer between the smallest images and the vector.
        activation: what stands behind each layer but the last, by torch's name in lower case.

    Raises:
        ValueError: a width is not positive, the activation is unknown, or, when built, neither or
            both of the shapes are images.

    Example:
        >>> import torch
        >>> Conv((8, 16), hidden=32)((1, 28, 20), (6,))(torch.zeros(5, 1, 28, 20)).shape
        torch.Size([5, 6])
        >>> Conv((8, 16), hidden=32)((3,), (2, 28, 20))(torch.zeros(5, 3)).shape
        torch.Size([5, 2, 28, 20])
    """

    def __init__(
        self,
        channels: tuple[int, ...] = (32, 64),
        *,
        hidden: int = 256,
        activation: Activation = "relu",
    ) -> None:
        self.channels = widths(self, "channels", channels)
        (self.hidden,) = widths(self, "hidden", (hidden,))
        self.activation: Activation = activation
        activation_module(self, activation)  # an unknown name is refused here, not when built

    def __call__(self, in_shape: Shape, out_shape: Shape) -> nn.Module:
        """Build the module; see `Network`."""
        image = 3
        if len(in_shape) == image and len(out_shape) < image:
            return self._from_image(in_shape, out_shape)
        if len(out_shape) == image and len(in_shape) < image:
            return self._to_image(in_shape, out_shape)
        raise ValueError(
            f"{self!r} goes from an image (channels, height, width) to a vector or back; "
            f"got {in_shape} to {out_shape}; MLP takes any shapes"
        )

    def _from_image(self, in_shape: Shape, out_shape: Shape) -> nn.Module:
        sizes = self._sizes(in_shape)
        layers: list[nn.Module] = []
        for before, after in pairwise((in_shape[0], *self.channels)):
            layers.append(nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1))
            layers.append(activation_module(self, self.activation))
        smallest = (sizes[-1][0] * sizes[-1][1]) * (self.channels or in_shape[:1])[-1]
        return nn.Sequential(
            *layers,
            nn.Flatten(),
            linear(smallest, self.hidden),
            activation_module(self, self.activation),
            linear(self.hidden, math.prod(out_shape)),
            nn.Unflatten(1, out_shape),
        )

    def _to_image(self, in_shape: Shape, out_shape: Shape) -> nn.Module:
        sizes = self._sizes(out_shape)[::-1]
        channels = (*self.channels[::-1], out_shape[0])
        smallest = (channels[0], *sizes[0])
        layers: list[nn.Module] = [
            nn.Flatten(),
            linear(math.prod(in_shape), self.hidden),
            activation_module(self, self.activation),
            linear(self.hidden, math.prod(smallest)),
            nn.Unflatten(1, smallest),
        ]
        for (before, after), size in zip(pairwise(channels), sizes[1:], strict=True):
            layers.append(activation_module(self, self.activation))
            layers.append(nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1))
            layers.append(_Crop(size))
        return nn.Sequential(*layers)

    def _sizes(self, shape: Shape) -> list[tuple[int, int]]:
        """Return height and width before the first stage and behind each one."""
        sizes = [(shape[1], shape[2])]
        for _ in self.channels:
            height, width = sizes[-1]
            sizes.append(((height + 1) // 2, (width + 1) // 2))
        return sizes


class _Crop(nn.Module):
    """Cut an image to a height and a width."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, image: Tensor) -> Tensor:
        return image[..., : self.size[0], : self.size[1]]

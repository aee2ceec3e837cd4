"""Residual convolutional networks, from images and to images of any size."""

import math
from itertools import pairwise

from torch import Tensor, nn

from pyrovae.networks.conditioned import assembled
from pyrovae.networks.images import Crop, from_image, halved
from pyrovae.networks.network import (
    Activation,
    Network,
    Shape,
    activation_module,
    linear,
    widths,
)
from pyrovae.networks.normalization import (
    Normalization,
    normalization_layers,
    require_normalization,
)


class ResNet(Network):
    """A residual network of convolutions: from an image to a vector, or from a vector to an image.

    Each stage halves the image, rounding up, and then adds to it what its residual blocks make of
    it, `h + conv(act(conv(act(h))))`. Towards an image the stages are gone through backwards, each
    doubling what its blocks made, and a last convolution makes the output of the full image. What a
    doubled image has too much is cut off, so any height and width will do.

    References:
        He, Zhang, Ren and Sun, 2016, arXiv:1603.05027.

    Arguments:
        channels: the channels of each stage.
        blocks: how many residual blocks a stage has.
        hidden: the width of the dense layer between the smallest images and the vector.
        activation: what stands before each layer but the first of an input, by torch's name in
            lower case.
        normalization: what stands before each activation: "none"; "batch", for each channel over
            all rows and pixels; "layer", for each row over all channels and pixels.

    A condition adds a number to each channel of the first stage; towards an image it joins the
    vector.

    Raises:
        ValueError: a width is not positive, the activation or normalization is unknown, or, when
            built, neither or both of the shapes are images.

    Example:
        >>> import torch
        >>> ResNet((8, 16), hidden=32)((3, 33, 47), (6,))(torch.zeros(5, 3, 33, 47)).shape
        torch.Size([5, 6])
        >>> ResNet((8, 16), hidden=32)((3,), (2, 28, 20))(torch.zeros(5, 3)).shape
        torch.Size([5, 2, 28, 20])
    """

    def __init__(
        self,
        channels: tuple[int, ...] = (32, 64),
        *,
        blocks: int = 1,
        hidden: int = 256,
        activation: Activation = "silu",
        normalization: Normalization = "none",
    ) -> None:
        self.channels = widths(self, "channels", channels)
        (self.blocks,) = widths(self, "blocks", (blocks,))
        (self.hidden,) = widths(self, "hidden", (hidden,))
        self.activation: Activation = activation
        activation_module(self, activation)  # an unknown name is refused here, not when built
        self.normalization = require_normalization(self, normalization)

    def __call__(
        self, in_shape: Shape, out_shape: Shape, *, condition_shape: Shape | None = None
    ) -> nn.Module:
        """Build the module; see `Network`."""
        if from_image(self, in_shape, out_shape):
            layers = self._from_image(in_shape, out_shape)
            staged = bool(self.channels)
        else:
            layers = self._to_image(in_shape, out_shape)
            staged = False
        return assembled(
            layers,
            first=1 if staged else 2,
            joint=(self.channels[0], 1, 1) if staged else (self.hidden,),
            condition_shape=condition_shape,
        )

    def _from_image(self, in_shape: Shape, out_shape: Shape) -> list[nn.Module]:
        height, width = halved(in_shape, len(self.channels))[-1]
        layers: list[nn.Module] = []
        for before, after in pairwise((in_shape[0], *self.channels)):
            layers.append(
                nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1, bias=self._shifted)
            )
            layers += self._residuals(after)
        if self.channels:
            layers += self._activated(self.channels[-1])
        smallest = height * width * (self.channels or in_shape[:1])[-1]
        return [
            *layers,
            nn.Flatten(),
            linear(smallest, self.hidden, bias=self._shifted),
            *self._activated(self.hidden),
            linear(self.hidden, math.prod(out_shape)),
            nn.Unflatten(1, out_shape),
        ]

    def _to_image(self, in_shape: Shape, out_shape: Shape) -> list[nn.Module]:
        sizes = halved(out_shape, len(self.channels))[::-1]
        channels = (*self.channels[::-1], *(self.channels or out_shape)[:1])
        smallest = (channels[0], *sizes[0])
        layers: list[nn.Module] = [
            nn.Flatten(),
            linear(math.prod(in_shape), self.hidden, bias=self._shifted),
            *self._activated(self.hidden),
            linear(self.hidden, math.prod(smallest)),
            nn.Unflatten(1, smallest),
        ]
        for (before, after), size in zip(pairwise(channels), sizes[1:], strict=True):
            layers += self._residuals(before)
            layers.append(
                nn.ConvTranspose2d(
                    before, after, kernel_size=4, stride=2, padding=1, bias=self._shifted
                )
            )
            layers.append(Crop(size))
        if self.channels:
            layers += self._activated(channels[-1])
            layers.append(nn.Conv2d(channels[-1], out_shape[0], kernel_size=3, padding=1))
        return layers

    def _residuals(self, channels: int) -> list[nn.Module]:
        """Return the residual blocks of a stage."""
        return [
            _Residual(
                *self._activated(channels),
                nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=self._shifted),
                *self._activated(channels),
                nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=self._shifted),
            )
            for _ in range(self.blocks)
        ]

    @property
    def _shifted(self) -> bool:
        """Whether layers that are normalised later have a bias, which a batch's would take off."""
        return self.normalization != "batch"

    def _activated(self, channels: int) -> list[nn.Module]:
        """Return what stands before a layer."""
        normalized = normalization_layers(self.normalization, channels)
        return [*normalized, activation_module(self, self.activation)]


class _Residual(nn.Sequential):
    """Layers whose output is added to their input."""

    def forward(self, image: Tensor) -> Tensor:
        hidden = image
        for layer in self:
            hidden = layer(hidden)
        return image + hidden

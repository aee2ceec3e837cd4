"""Convolutional networks, from images and to images of any size."""

import math
from itertools import pairwise

from torch import nn

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
        normalization: what stands before each activation: "none"; "batch", for each channel over
            all rows and pixels; "layer", for each row over all channels and pixels.

    A condition adds a number to each channel of the first stage; towards an image it joins the
    vector.

    Raises:
        ValueError: a width is not positive, the activation or normalization is unknown, or, when
            built, neither or both of the shapes are images.

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
        normalization: Normalization = "none",
    ) -> None:
        self.channels = widths(self, "channels", channels)
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
            layers += self._activated(after)
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
        channels = (*self.channels[::-1], out_shape[0])
        smallest = (channels[0], *sizes[0])
        layers: list[nn.Module] = [
            nn.Flatten(),
            linear(math.prod(in_shape), self.hidden, bias=self._shifted),
            *self._activated(self.hidden),
            linear(self.hidden, math.prod(smallest)),
            nn.Unflatten(1, smallest),
        ]
        for at, (before, after) in enumerate(pairwise(channels), start=1):
            last = at == len(self.channels)
            layers += [
                *self._activated(before),
                nn.ConvTranspose2d(
                    before, after, kernel_size=4, stride=2, padding=1, bias=last or self._shifted
                ),
                Crop(sizes[at]),
            ]
        return layers

    @property
    def _shifted(self) -> bool:
        """Whether layers before an activation have a bias, which batch normalisation takes off."""
        return self.normalization != "batch"

    def _activated(self, channels: int) -> list[nn.Module]:
        """Return what stands behind a layer."""
        normalized = normalization_layers(self.normalization, channels)
        return [*normalized, activation_module(self, self.activation)]

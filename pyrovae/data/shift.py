"""Shift: images moved by a few pixels at random each time they are read."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.data.transforms import Transform
from pyrovae.numeric import is_count


@dataclass(frozen=True, repr=False, kw_only=True)
class Shift(Transform):
    """Random translation: every access moves each image by up to so many pixels, and fills with 0.

    Both numbers of pixels, down and to the right, are uniform on `-pixels .. pixels`, drawn for
    each image from torch's global random state on the device of the batch. What is moved out is
    lost. Entries that are not observed move along; the filled ones count as observed.

    Arguments:
        pixels: the largest number of pixels, along the last two dimensions of x.

    Raises:
        ValueError: `pixels` is no count, or the x of a batch have fewer than two dimensions.

    Example:
        >>> moved = Shift(pixels=1)({"x": torch.ones(2, 1, 3, 3)})["x"]
        >>> moved.shape, set(moved.sum((1, 2, 3)).tolist()) <= {4.0, 6.0, 9.0}
        (torch.Size([2, 1, 3, 3]), True)
    """

    pixels: int = 2

    def __post_init__(self) -> None:
        if not is_count(self.pixels, least=0):
            raise ValueError(
                f"Shift expects pixels to be how many pixels an image is moved by at most, 0 or "
                f"more; got {self.pixels!r}"
            )

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        x = batch["x"]
        if x.dim() < 3:
            raise ValueError(
                f"Shift expects images, x of shape [batch, ..., height, width]; got {list(x.shape)}"
            )
        span = 2 * self.pixels + 1
        down, right = torch.randint(span, (2, len(x), 1), device=x.device)
        moved = {**batch, "x": _moved(x, down, right, self.pixels)}
        if "observed" in batch:
            moved["observed"] = ~_moved(~batch["observed"], down, right, self.pixels)
        return moved


def _moved(x: Tensor, down: Tensor, right: Tensor, most: int) -> Tensor:
    """Return images cut out of themselves in a frame of zeros, each at its own place.

    Arguments:
        x: images of shape `[batch, ..., height, width]`.
        down: by how many pixels each is moved down, plus `most`, of shape `[batch, 1]`.
        right: the same to the right.
        most: the width of the frame.
    """
    height, width = x.shape[-2:]
    images = x.reshape(len(x), math.prod(x.shape[1:-2]), height, width)
    framed = images.new_zeros(*images.shape[:2], height + 2 * most, width + 2 * most)
    framed[:, :, most : most + height, most : most + width] = images
    # the pixel of row i comes from row i - shift, which is row i + 2 most - down of the frame
    rows = torch.arange(2 * most, 2 * most + height, device=x.device) - down
    columns = torch.arange(2 * most, 2 * most + width, device=x.device) - right
    places = rows.unsqueeze(-1) * framed.shape[-1] + columns.unsqueeze(-2)
    places = places.flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1)
    return framed.flatten(2).gather(2, places).reshape(x.shape)

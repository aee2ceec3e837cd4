"""Images: a batch of them, or of pairs of them, as one picture."""

import math
from typing import Any

import numpy as np
from PIL import Image

_SMALLEST = 512  # small pictures are enlarged, since viewers blur them
_LARGEST = 2**24  # pixels; larger pictures are hardly opened anywhere
_GREY = 0.5  # of the lines between images, and where there is none

Array = np.ndarray[Any, Any]


def is_image(shape: tuple[int, ...]) -> bool:
    """Return whether a shape is that of a grey or a coloured image, channels first."""
    return len(shape) == 3 and shape[0] in (1, 3)


def most_images(shape: tuple[int, ...]) -> int:
    """Return how many images of a shape one picture holds, at least one.

    Example:
        >>> most_images((1, 28, 28))
        19949
    """
    return max(1, _LARGEST // ((shape[1] + 1) * (shape[2] + 1)))


def grid(images: Array, *, columns: int | None = None, group: int = 1) -> Image.Image:
    """Return images `[n, channels, height, width]` side by side as one picture.

    Arguments:
        images: their values, white at 1 and black at 0; what lies beyond is cut off.
        columns: how many stand in a row; by default the picture is about as high as it is wide.
        group: how many rows belong together: wider gaps keep them from the next ones.

    Example:
        >>> grid(np.ones((5, 1, 8, 8))).mode
        'L'
    """
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    rows = math.ceil(count / columns)
    gap = 1 if group == 1 else max(4, height // 4)
    tops = [row * (height + 1) + row // group * (gap - 1) for row in range(rows)]
    canvas = np.full((tops[-1] + height, columns * (width + 1) - 1, channels), _byte(_GREY))
    for at, image in enumerate(images):
        top, left = tops[at // columns], at % columns * (width + 1)
        canvas[top : top + height, left : left + width] = _byte(image).transpose(1, 2, 0)
    times = max(1, _SMALLEST // max(canvas.shape))
    pixels = canvas.repeat(times, axis=0).repeat(times, axis=1)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def pairs(upper: Array, lower: Array) -> Image.Image:
    """Return images above their partners as one picture, in as many double rows as it takes.

    Arguments:
        upper: images `[n, channels, height, width]`, with values as in `grid`.
        lower: their partners, likewise.

    Example:
        >>> pairs(np.zeros((3, 1, 8, 8)), np.ones((3, 1, 8, 8))).size
        (494, 323)
    """
    count = len(upper)
    columns = min(count, math.ceil(math.sqrt(2 * count)))
    blocks = math.ceil(count / columns)
    both = np.full((blocks, 2, columns, *upper.shape[1:]), _GREY)
    for row, images in enumerate((upper, lower)):
        for at, image in enumerate(images):
            both[at // columns, row, at % columns] = image
    return grid(both.reshape(-1, *upper.shape[1:]), columns=columns, group=2)


def in_unit(images: Array, likelihood: Any, *, like: Array | None = None) -> Array:
    """Return images between 0 and 1: counts by their ceiling, numbers as they are or stretched.

    Arguments:
        images: the images.
        likelihood: the model's; its `total_count` is what is white.
        like: images that decide how numbers are stretched, by default the same ones.
    """
    count = getattr(likelihood, "total_count", None)
    if isinstance(count, int):
        return images / count
    values = images if like is None else like
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= -0.5 and high <= 1.5:  # a unit interval with noise around it
        return images
    return (images - low) / ((high - low) or 1.0)


def _byte(values: Any) -> Any:
    return (np.nan_to_num(values).clip(0.0, 1.0) * 255.0).round().astype(np.uint8)

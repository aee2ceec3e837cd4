"""Images: a batch of them as one picture."""

import math
from typing import Any

import numpy as np
from PIL import Image

_SMALLEST = 512  # small pictures are enlarged, since viewers blur them

Array = np.ndarray[Any, Any]


def is_image(shape: tuple[int, ...]) -> bool:
    """Return whether a shape is that of a grey or a coloured image, channels first."""
    return len(shape) == 3 and shape[0] in (1, 3)


def grid(images: Array) -> Image.Image:
    """Return images `[n, channels, height, width]` side by side as one picture.

    Arguments:
        images: their values, white at 1 and black at 0; what lies beyond is cut off.

    Example:
        >>> grid(np.ones((5, 1, 8, 8))).mode
        'L'
    """
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 0.5)
    for at, image in enumerate(np.nan_to_num(images)):
        top, left = at // columns * (height + 1), at % columns * (width + 1)
        canvas[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    picture = (canvas.clip(0.0, 1.0) * 255.0).round().astype(np.uint8)
    times = max(1, _SMALLEST // max(picture.shape))
    pixels = picture.repeat(times, axis=0).repeat(times, axis=1)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)

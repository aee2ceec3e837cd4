"""Images: a batch of them as one picture, and the picture as a PNG file."""

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SMALLEST = 512  # small pictures are enlarged, since viewers blur them
_KINDS = {1: 0, 3: 2}  # channels -> PNG's colour type

Array = np.ndarray[Any, Any]


def is_image(shape: tuple[int, ...]) -> bool:
    """Return whether a shape is that of a grey or a coloured image, channels first."""
    return len(shape) == 3 and shape[0] in _KINDS


def grid(images: Array) -> Array:
    """Return images `[n, channels, height, width]` as one `[height, width, channels]`, in bytes.

    Arguments:
        images: their values, white at 1 and black at 0; what lies beyond is cut off.

    Example:
        >>> grid(np.ones((5, 1, 8, 8))).shape[2]
        1
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
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def write_png(picture: Array, file: Path) -> None:
    """Write a picture `[height, width, channels]` of bytes, with one or three channels.

    The format is short enough to write here (ISO/IEC 15948), without a library for images.
    """
    height, width, channels = picture.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _KINDS[channels], 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in picture)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    file.write_bytes(_SIGNATURE + body)

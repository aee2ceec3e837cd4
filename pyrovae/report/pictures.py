"""Pictures: sheets of small images as PNG or JPEG inside the page, of a limited size."""

import base64
import io
from html import escape

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pyrovae.report.drawing import Picture

BUDGET = 300_000  # bytes of one sheet

_WIDEST = 460  # pixels on the page
_GREY = 0.5  # between tiles
_MISSING = (0.25, 0.42, 0.65)  # where x is not known
_SMALLEST = 0.3  # a sheet is made smaller down to this share before it is taken as it is


def sheet(tiles: Tensor, columns: int) -> Tensor:
    """Return tiles side by side as one image `[height, width, channels]`, a grey line between.

    Arguments:
        tiles: `[n, channels, height, width]` with values in [0, 1], nan where they are missing.
        columns: how many stand in a row.

    Example:
        >>> sheet(torch.zeros(5, 1, 8, 8), 3).shape
        torch.Size([17, 26, 1])
    """
    count, channels, height, width = tiles.shape
    missing = ~tiles.isfinite()
    if bool(missing.any()):
        tiles = tiles.expand(-1, 3, -1, -1) if channels == 1 else tiles
        hue = torch.tensor(_MISSING).reshape(1, 3, 1, 1)
        tiles = torch.where(tiles.isfinite(), tiles, hue)
        channels = 3
    columns = min(columns, count)
    rows = -(-count // columns)
    line = max(1, min(height, width) // 24)
    canvas = torch.full(
        (rows * (height + line) - line, columns * (width + line) - line, channels), _GREY
    )
    for at, tile in enumerate(tiles):
        top, left = at // columns * (height + line), at % columns * (width + line)
        canvas[top : top + height, left : left + width] = tile.movedim(0, -1)
    return canvas


def paired(above: Tensor, below: Tensor, columns: int) -> list[Tensor]:
    """Return two sets of tiles as sheets of two rows, each pair one above the other."""
    sheets = []
    for first in range(0, len(above), columns):
        rows = [tiles[first : first + columns] for tiles in (above, below)]
        empty = columns - len(rows[0])
        filled = [
            torch.cat([row, row.new_full((empty, *row.shape[1:]), _GREY)]) if empty else row
            for row in rows
        ]
        sheets.append(sheet(torch.cat(filled), columns))
    return sheets


def image(
    pixels: Tensor,
    *,
    alt: str,
    caption: str = "",
    label: str = "",
    strip: bool = False,
    budget: int = BUDGET,
) -> Picture:
    """Return an image for the inside of a page.

    Arguments:
        pixels: `[height, width, channels]` with values in [0, 1].
        alt: what it shows.
        caption: what is said below it.
        label: what stands above it.
        strip: whether it belongs to one figure with the strips before and behind it.
        budget: how many bytes it may take; a larger one is compressed with losses, and made
            smaller, until it fits.
    """
    array = (pixels.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).numpy()
    picture = Image.fromarray(np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array))
    kind, content = _encoded(picture, budget)
    height, width = pixels.shape[:2]
    times = max(1, _WIDEST // width)
    shown = f' width="{width * times}" height="{height * times}"'
    sharp = ' class="pixels"' if times > 1 else ""
    data = base64.b64encode(content).decode("ascii")
    html = f'<img{sharp}{shown} alt="{escape(alt)}" src="data:image/{kind};base64,{data}">'
    return Picture(html, alt, caption, label, strip)


def _encoded(picture: Image.Image, budget: int) -> tuple[str, bytes]:
    found = _bytes(picture, "png", optimize=True)
    if len(found) <= budget:
        return "png", found
    share = 1.0
    while True:
        size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        found = _bytes(picture.resize(size), "jpeg", quality=80)
        if len(found) <= budget or share <= _SMALLEST:
            return "jpeg", found
        share *= 0.8


def _bytes(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()

"""Pixels: a picture, as Pillow opens it, as bytes `[channels, height, width]`.

Whatever a file holds comes out as levels 0..255, grey or red, green and blue: upright as its EXIF
data say, transparent parts over white, the high byte of 16-bit levels, the first frame of several.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import shorten

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")

_ORIENTATION = 0x0112  # the EXIF tag, and what turns a picture upright
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = (5, 6, 7, 8)  # those that exchange height and width


@dataclass(frozen=True)
class Standard:
    """What all pictures of a set are brought to, or must be already.

    Arguments:
        shape: channels, height and width.
        resized: whether pictures of another size are resized, or refused.
        converted: whether coloured pictures become grey where grey is the standard, or are refused.
        like: the picture that set the standard, named when another differs from it.
    """

    shape: tuple[int, int, int]
    resized: bool
    converted: bool
    like: str


def open_file(path: str) -> Image.Image:
    """Open a picture; its pixels are read later. Formats that run other programs are left out."""
    image = Image.open(path, formats=FORMATS)
    image.filename = ""  # by its name Pillow maps a plain TIFF into memory, and turns it wrongly
    return image


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what Pillow remarks on odd files; what it cannot read is still an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn whatever a broken picture raises in here into an OSError that names the picture."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise OSError(_too_large(name)) from error
    except Exception as error:  # decoders raise what they like: SyntaxError, struct.error, ...
        reason = shorten(str(error) or type(error).__name__, 200)
        raise OSError(
            f"{name} cannot be read as an image ({reason}): mend it or take it away"
        ) from error


def is_coloured(image: Image.Image) -> bool:
    """Return whether a picture is stored in colour, without reading its pixels.

    Example:
        >>> is_coloured(Image.new("L", (2, 2))), is_coloured(Image.new("CMYK", (2, 2)))
        (False, True)
    """
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((palette != palette[:, :1]).any())
    return image.mode not in ("1", "L", "LA", "F") and not image.mode.startswith("I")


def size_of(image: Image.Image, *, header: bool = False) -> tuple[int, int]:
    """Return the height and width of a picture once it is upright.

    Arguments:
        image: the picture.
        header: read no pixels, and so miss EXIF data that a PNG may hold behind them.
    """
    if image.format == "TIFF" and _orientation(image) in _SWAPPED:
        image.load()  # which turns it, and says no longer that it was to be turned
    width, height = image.size
    unknown = header and image.format == "PNG" and "exif" not in image.info
    turned = not unknown and _orientation(image) in _SWAPPED
    return (width, height) if turned else (height, width)


def to_pixels(image: Image.Image, standard: Standard, *, name: str) -> Tensor:
    """Return a picture as bytes of the standard's shape.

    It is resized so that it just covers the shape, and what juts out is cut off on both sides.

    Arguments:
        image: the picture.
        standard: what it is brought to.
        name: what it is called in errors.

    Raises:
        OSError: its pixels cannot be read.
        ValueError: it differs from the standard and is not to be changed.

    Example:
        >>> standard = Standard((1, 2, 3), resized=True, converted=True, like="")
        >>> to_pixels(Image.new("RGB", (60, 60), "white"), standard, name="a square").shape
        torch.Size([1, 2, 3])
    """
    channels, height, width = standard.shape
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise OSError(_too_large(name))
    check_colour(image, standard, name=name)
    with reading(name):
        if standard.resized:  # a large JPEG is read at a half, quarter or eighth, as fits
            image.draft(None, (2 * max(height, width),) * 2)
        image.load()
        turn = _TURNS.get(_orientation(image))
        image = _eight_bits(image)
        image = image if turn is None else image.transpose(turn)
        mode = "L" if channels == 1 else "RGB"
        image = image if image.mode == mode else image.convert(mode)
    if standard.resized:
        image = ImageOps.fit(image, (width, height), method=Image.Resampling.BILINEAR)
    elif image.size != (width, height):
        raise ValueError(other_size(standard, name, (image.height, image.width)))
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if channels == 1 else pixels.permute(2, 0, 1)


def check_colour(image: Image.Image, standard: Standard, *, name: str) -> None:
    """Raise ValueError for a coloured picture among grey ones, where nobody said what to do."""
    if standard.shape[0] == 1 and not standard.converted and is_coloured(image):
        raise ValueError(
            f"{standard.like} is grey and {name} is coloured: channels=3 keeps the colours, "
            f"channels=1 makes all images grey"
        )


def other_size(standard: Standard, name: str, size: tuple[int, int]) -> str:
    """Return what is wrong where a picture is not of the common size, and what to do."""
    height, width = standard.shape[1:]
    return (
        f"images must have one size: {standard.like} is {height} high and {width} wide, {name} is "
        f"{size[0]} high and {size[1]} wide; size=32, say, resizes and crops all of them to "
        f"32 x 32, and size=[height, width] to any other size"
    )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data, in whatever way: the picture beside them may be sound
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a picture with 8 bits a channel, grey or coloured, without transparency."""
    if image.mode.startswith("I"):
        if image.mode == "I" and image.format not in ("PNG", "PPM"):  # those two hold 16 bits
            raise ValueError(_no_levels("integers of 32 bits"))
        high = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(high.clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        raise ValueError(_no_levels("floating numbers"))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, over).convert("RGB")
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _no_levels(kind: str) -> str:
    return f"its pixels are {kind} without a largest level; save them as an array, .npy"


def _too_large(name: str) -> str:
    return (
        f"{name} has more than the {Image.MAX_IMAGE_PIXELS} pixels that Pillow takes for safe: "
        f"make it smaller, or take it away; in Python, PIL.Image.MAX_IMAGE_PIXELS is the limit"
    )

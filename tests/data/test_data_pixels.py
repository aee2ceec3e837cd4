"""Pixels: every kind of file comes out as the levels it shows, or is refused by its name."""

import struct
import warnings
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from PIL import Image, ImageOps

from pyrovae.data.pixels import (
    Standard,
    is_coloured,
    open_file,
    reading,
    size_of,
    to_pixels,
)

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = GENERATOR.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
DEEP = GENERATOR.integers(0, 2**16, (5, 7), dtype=np.uint16)


def read(path, shape=(3, 5, 7), *, resized=False):
    standard = Standard(shape, resized=resized, converted=True, like="another")
    with open_file(str(path)) as image:
        return to_pixels(image, standard, name=path.name).numpy()


def looked_at(path, ask):
    with open_file(str(path)) as image:
        return ask(image)


def saved(tmp_path, image, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def over_white(colour, alpha):
    share = alpha[..., None] / 255.0
    return share * colour + (1.0 - share) * 255.0


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.pgm", "a.gif", "a.webp", "a.jp2"])
def test_grey_levels_are_kept(tmp_path, name):
    options = {"a.webp": {"lossless": True}, "a.jp2": {"irreversible": False}}.get(name, {})
    path = saved(tmp_path, Image.fromarray(GREY), name, **options)
    assert (read(path, (1, 5, 7)) == GREY).all()
    assert (read(path) == GREY).all()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.webp"])
def test_colours_are_kept_channels_first(tmp_path, name):
    options = {"lossless": True} if name == "a.webp" else {}
    path = saved(tmp_path, Image.fromarray(COLOUR), name, **options)
    assert (read(path) == COLOUR.transpose(2, 0, 1)).all()
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read(path, (1, 5, 7))[0] - luma).max() <= 1.0


def test_one_bit_is_black_or_white(tmp_path):
    path = saved(tmp_path, Image.fromarray(GREY > 128), "a.png")
    assert looked_at(path, lambda image: image.mode) == "1"
    assert (read(path, (1, 5, 7)) == 255 * (GREY > 128)).all()


def test_a_palette_shows_its_colours(tmp_path):
    few = COLOUR // 64 * 64
    path = saved(tmp_path, Image.fromarray(few).quantize(256), "a.png")
    assert looked_at(path, lambda image: image.mode) == "P"
    assert looked_at(path, is_coloured)
    assert (read(path) == few.transpose(2, 0, 1)).all()
    grey = Image.fromarray(GREY % 4).convert("P")
    grey.putpalette([level for level in (7, 100, 200, 255) for _ in range(3)])
    path = saved(tmp_path, grey, "b.png")
    assert not looked_at(path, is_coloured)
    assert (read(path, (1, 5, 7)) == np.array([7, 100, 200, 255])[GREY % 4]).all()


def test_transparent_parts_are_over_white(tmp_path):
    rgba = saved(tmp_path, Image.fromarray(np.dstack([COLOUR, ALPHA])), "a.png")
    expected = over_white(COLOUR, ALPHA).transpose(2, 0, 1)
    assert np.abs(read(rgba) - expected).max() <= 1.0
    hidden = np.dstack([COLOUR, np.zeros_like(ALPHA)])
    assert (read(saved(tmp_path, Image.fromarray(hidden), "b.png")) == 255).all()
    opaque = np.dstack([COLOUR, np.full_like(ALPHA, 255)])
    found = read(saved(tmp_path, Image.fromarray(opaque), "c.png"))
    assert (found == COLOUR.transpose(2, 0, 1)).all()
    la = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])
    found = read(saved(tmp_path, la, "d.png"), (1, 5, 7))
    assert np.abs(found - over_white(GREY[..., None], ALPHA)[..., 0]).max() <= 1.0
    path = saved(tmp_path, Image.fromarray(GREY), "e.png", transparency=int(GREY[0, 0]))
    assert (read(path, (1, 5, 7)) == np.where(GREY - GREY[0, 0], GREY, 255)).all()
    seen = Image.fromarray(COLOUR // 64 * 64).quantize(64)
    path = saved(tmp_path, seen, "f.png", transparency=b"\0" * 64)
    assert (read(path) == 255).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm", "a.jp2"])
def test_of_16_bits_the_high_byte_is_taken(tmp_path, name):
    path = tmp_path / name
    if name == "a.pgm":
        path.write_bytes(b"P5 7 5 65535\n" + DEEP.astype(">u2").tobytes())
    else:
        Image.fromarray(DEEP).save(path)
    assert not looked_at(path, is_coloured)
    assert (read(path, (1, 5, 7)) == DEEP >> 8).all()
    assert (read(path) == DEEP >> 8).all()


def test_cmyk(tmp_path):
    ink = np.dstack([COLOUR, GREY])
    path = saved(tmp_path, Image.fromarray(ink, "CMYK"), "a.tif")
    key = (255.0 - GREY)[..., None]
    expected = ((255.0 - COLOUR) * key / 255.0).transpose(2, 0, 1)
    assert np.abs(read(path) - expected).max() <= 1.0
    path = saved(tmp_path, Image.new("CMYK", (7, 5), (255, 0, 0, 0)), "a.jpg")
    assert np.abs(read(path) - np.array([0, 255, 255])[:, None, None]).max() <= 3


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp", "a.png"])
def test_of_several_frames_the_first_is_taken(tmp_path, name):
    frames = [Image.new("L", (7, 5), level) for level in (40, 200, 90)]
    options = {"lossless": True} if name == "a.webp" else {}
    path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert looked_at(path, lambda image: image.n_frames) == 3
    assert (read(path, (1, 5, 7)) == 40).all()


UPRIGHT = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: lambda stored: np.rot90(stored, 1),
    9: lambda stored: stored,  # none of the eight that EXIF knows
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_pictures_are_turned_upright(tmp_path, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {}
    path = saved(tmp_path, Image.fromarray(GREY), name, exif=exif, **options)
    expected = UPRIGHT[orientation](GREY)
    for header in (False, True):
        found = looked_at(path, lambda image, header=header: size_of(image, header=header))
        assert found == expected.shape
    assert (read(path, (1, *expected.shape)) == expected).all()


def test_exif_behind_the_pixels_of_a_png(tmp_path):
    """The head does not show it; reading does."""
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(tmp_path, Image.fromarray(GREY), "a.png", exif=exif).read_bytes()
    at = whole.index(b"eXIf") - 4
    length = 12 + struct.unpack(">I", whole[at : at + 4])[0]
    end = whole.index(b"IEND") - 4
    chunk = whole[at : at + length]
    path = tmp_path / "b.png"
    path.write_bytes(whole[:at] + whole[at + length : end] + chunk + whole[end:])
    assert looked_at(path, lambda image: size_of(image, header=True)) == (5, 7)
    assert looked_at(path, size_of) == (7, 5)
    assert (read(path, (1, 7, 5)) == np.rot90(GREY, -1)).all()


def test_damaged_exif_data_do_not_hide_a_sound_picture(tmp_path):
    path = saved(tmp_path, Image.fromarray(GREY), "a.png", exif=b"Exif\0\0nonsense")
    assert (read(path, (1, 5, 7)) == GREY).all()


def test_resizing_crops_the_centre(tmp_path):
    wide = GENERATOR.integers(0, 256, (4, 10), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(wide), "a.png")
    assert (read(path, (1, 4, 4), resized=True) == wide[:, 3:7]).all()
    assert (read(path, (1, 4, 10), resized=True) == wide).all()
    path = saved(tmp_path, Image.fromarray(wide.T.copy()), "b.png")
    assert (read(path, (1, 4, 4), resized=True) == wide.T[3:7]).all()
    halves = np.repeat([[0, 200]], 40, axis=0).repeat([20, 20], axis=1).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(halves), "c.png")
    small = read(path, (1, 4, 4), resized=True)[0]
    assert np.abs(small - [0, 0, 200, 200]).max() <= 30  # the filter reaches over the edge
    assert (small[:, 0] == 0).all()


@pytest.mark.parametrize("stored", [(1, 1), (1, 900), (900, 1), (3, 2)])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 1, 1), (1, 2, 17)])
def test_any_size_becomes_any_other(tmp_path, stored, shape):
    path = saved(tmp_path, Image.new("L", stored[::-1], 77), "a.png")
    assert (read(path, shape, resized=True) == np.full(shape, 77)).all()


def test_a_large_jpeg_is_read_in_part_and_looks_the_same(tmp_path):
    across, down = np.meshgrid(np.linspace(0, 1, 1600), np.linspace(0, 1, 1200))
    smooth = np.dstack([255 * across, 255 * down, 128 + 100 * np.sin(9 * across * down)])
    image = Image.fromarray(smooth.astype(np.uint8))
    path = saved(tmp_path, image, "a.jpg", quality=95)
    found = read(path, (3, 32, 32), resized=True)
    whole = ImageOps.fit(Image.open(path), (32, 32), method=Image.Resampling.BILINEAR)
    assert np.abs(found - np.asarray(whole).astype(int).transpose(2, 0, 1)).max() <= 2
    with open_file(str(path)) as opened:
        standard = Standard((3, 32, 32), resized=True, converted=True, like="")
        to_pixels(opened, standard, name="")
        assert opened.size < (1600, 1200)  # it was read at a part of its size


class _NamedError(Exception):
    """An OSError whose message begins with the name of the file."""


@contextmanager
def by_name(name):
    try:
        yield
    except OSError as error:
        if str(error).startswith(f"{name} ") and "\n" not in str(error):
            raise _NamedError from error
        raise


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp"])
def test_damaged_files_are_named_or_read(tmp_path, suffix):
    """A file cut off anywhere, or with any byte changed, gives a picture or an error by name."""
    source = saved(tmp_path, Image.fromarray(GREY), f"whole.{suffix}").read_bytes()
    path = tmp_path / f"broken.{suffix}"
    refused = 0
    damaged = [source[:cut] for cut in range(0, len(source), 7)]
    for at in range(0, len(source), 5):
        damaged.append(source[:at] + bytes([source[at] ^ 0xFF]) + source[at + 1 :])
    for content in damaged:
        path.write_bytes(content)
        refused += 1
        with suppress(_NamedError), by_name(path.name):
            assert read_named(path).shape == (1, 5, 7)
            refused -= 1
    assert refused > 0


def test_pixels_without_levels_are_refused(tmp_path):
    for image, kind in (
        (Image.fromarray(GREY.astype(np.float32)), "floating numbers"),
        (Image.fromarray(GREY.astype(np.int32)), "integers of 32 bits"),
    ):
        path = saved(tmp_path, image, "a.tif")
        with pytest.raises(OSError, match=rf"a\.tif cannot be read .*{kind}.*\.npy"):
            read(path, (1, 5, 7))


@pytest.mark.parametrize("side", [11, 30])
def test_too_many_pixels_are_refused(tmp_path, monkeypatch, side):
    """Pillow warns beyond its limit and refuses beyond twice it; both are refused here."""
    path = saved(tmp_path, Image.new("L", (side, side)), "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(OSError, match=r"a\.png has more than the 100 pixels .* make it smaller"):
        read_named(path)


def read_named(path):
    """Open and read as a data set does."""
    standard = Standard((1, 5, 7), resized=True, converted=True, like="")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with reading(path.name):
            image = open_file(str(path))
        with image:
            return to_pixels(image, standard, name=path.name)


def test_no_other_program_is_run_for_a_file(tmp_path):
    """Encapsulated PostScript would be handed to Ghostscript, whatever the file is called."""
    path = saved(tmp_path, Image.new("RGB", (7, 5)), "a.eps")
    path = path.rename(tmp_path / "a.png")
    with pytest.raises(OSError, match="cannot identify"):
        open_file(str(path))

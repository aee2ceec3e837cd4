"""Outputs: the files that verbs write, checked before anything is computed for them."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyrovae.cli.errors import UsageError
from pyrovae.cli.images import is_image, most_images
from pyrovae.data import TableForm
from pyrovae.files import replaced


def output(given: str | None, default: Path, suffixes: Sequence[str]) -> Path:
    """Return the file to write.

    Arguments:
        given: what was asked for.
        default: what is written where nothing was.
        suffixes: what its name may end in.

    Raises:
        UsageError: it ends in something else, or is a folder.
    """
    file = default if given is None else Path(given).expanduser()
    if file.suffix.lower() not in suffixes:
        raise UsageError([f"--out: expected a file ending in {' or '.join(suffixes)}; got {file}"])
    if file.is_dir():
        raise UsageError([f"--out: {file} is a folder; expected a file"])
    return file


def default_file(
    folder: Path, name: str, shape: tuple[int, ...], form: TableForm | None, numbers: str = ".npy"
) -> Path:
    """Return where a verb writes to by itself: a picture of images, a table, else numbers.

    Arguments:
        folder: the run folder.
        name: the file's name without its ending.
        shape: the shape of one datum.
        form: how data are written as a table, None where they are none.
        numbers: the ending of a file of numbers.
    """
    suffix = ".csv" if form else ".png" if is_image(shape) else numbers
    return folder / f"{name}{suffix}"


def check_picture(file: Path, shape: tuple[int, ...], *, count: int, numbers: str) -> None:
    """Raise where a file is to be a picture, and what is to be shown makes none.

    Arguments:
        file: the file to write.
        shape: the shape of one datum.
        count: how many of them the picture is to hold.
        numbers: the ending of a file that holds them in any case.

    Raises:
        UsageError: they are no images, or too many.
    """
    if file.suffix.lower() != ".png":
        return
    if not is_image(shape):
        raise UsageError(
            [f"--out: data of shape {list(shape)} are no images; write them to a {numbers} file"]
        )
    most = most_images(shape)
    if count > most:
        raise UsageError(
            [
                f"--n: {count} images of {shape[1]} x {shape[2]} are too many for a picture, which "
                f"holds at most {most}; ask for fewer, or write them to a {numbers} file"
            ]
        )


@contextmanager
def written(file: Path, *, size: int = 0) -> Iterator[Path]:
    """Give the path to write a file at, in a folder of its own; at the end it is the file.

    Where writing fails, or what is computed on the way, the file stays as it was.

    Arguments:
        file: the file to write or to replace.
        size: how many bytes it takes at least.

    Raises:
        UsageError: there is no room for it.
        OSError: it cannot be written.
    """
    try:
        with replaced(file) as path:
            free = shutil.disk_usage(path.parent).free
            if size > free:
                raise UsageError(
                    [
                        f"--out: {file} takes {size / 1e9:,.1f} GB, and there are "
                        f"{free / 1e9:,.1f} GB free; ask for fewer, or write elsewhere"
                    ]
                )
            yield path
    except OSError as error:
        if not _about(error, file):
            raise
        raise OSError(f"{file} cannot be written: {error.strerror}") from error


def _about(error: OSError, file: Path) -> bool:
    """Return whether writing a file failed, and not the reading of the data behind it."""
    if error.errno is None or error.filename is None:
        return error.errno is not None
    place = Path(error.filename).absolute()
    return f".{file.name}." in str(place) or place in (file.absolute(), *file.absolute().parents)

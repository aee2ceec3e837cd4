"""Files: written aside and then moved into place, so that no moment leaves half of one.

And read with care, since a folder may come from a stranger: no link that leads out of it is
followed, and no pipe, device or endless file is waited for.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pyrovae.spelling import nearest

_LISTED = 5  # runs that an error lists at most, the last ones
_FILE_IN_THE_WAY = (FileExistsError, NotADirectoryError)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; return the ones that were missing, the outermost first.

    Raises:
        OSError: it cannot be made; then none of those above it stay behind either.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     [made.name for made in make_folder(Path(folder) / "runs" / "first")]
        ['runs', 'first']
    """
    # unlike Path.is_dir this raises nothing, whatever the name
    missing = [path for path in (folder, *folder.parents) if not os.path.isdir(path)][::-1]
    made: list[Path] = []
    try:
        for path in missing:
            path.mkdir(exist_ok=True)
            made.append(path)
    except OSError as error:
        remove_empty(made)
        in_the_way = isinstance(error, _FILE_IN_THE_WAY)
        reason = f"{missing[0]} is a file" if in_the_way else error.strerror
        message = f"no folder can be made here ({reason}); choose another place"
        raise OSError(error.errno, message, str(folder)) from error
    return made


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove the folders that `make_folder` made, as far as they are empty."""
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()


def require_run(folder: Path, *, holding: Sequence[str]) -> None:
    """Raise where a run folder is none, and name the nearest one beside it.

    Arguments:
        folder: the folder.
        holding: what a run beside it must hold, one of these, to be named.

    Raises:
        FileNotFoundError: there is nothing.
        NotADirectoryError: it is a file.
    """
    if os.path.isdir(folder):
        return
    if os.path.exists(folder):
        raise NotADirectoryError(f"{folder} is a file; expected the folder of a run")
    beside = sorted(path for path in folder.parent.glob("*") if path.is_dir())
    runs = [str(path) for path in beside if any((path / name).exists() for name in holding)]
    listed = f"; there are {', '.join(runs[-_LISTED:])}" if runs else ""
    raise FileNotFoundError(f"there is no run folder {folder}{nearest(folder, runs) or listed}")


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """Give a new hidden folder beside the target, on the same file system, removed at the end.

    What is made in it can be moved to the target in one step.

    Arguments:
        target: the file or folder to be; the folder above it is made where it is missing.

    Raises:
        OSError: the folder cannot be made, or what is done inside fails; it names the target.
    """
    made = make_folder(target.parent)
    absolute = target.absolute()
    folder = absolute.parent / f".{target.name}.{secrets.token_hex(4)}"
    complete = False
    try:
        folder.mkdir()
        yield folder
        complete = True
    except OSError as error:
        if error.strerror:  # what could not be written is the target, not a part of it aside
            error.filename, error.filename2 = str(target), None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not complete:
            remove_empty(made)


@contextmanager
def replaced(file: Path) -> Iterator[Path]:
    """Give the path to write a file at; it takes the place of `file` once all is on the disk.

    Where writing fails, `file` stays as it was.

    Arguments:
        file: the file to write or to replace.

    Raises:
        OSError: it cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with replaced(Path(folder) / "note.txt") as path:
        ...         _ = path.write_text("whole")
        ...     [(found.name, found.read_text()) for found in Path(folder).iterdir()]
        [('note.txt', 'whole')]
    """
    with aside(file) as folder:
        path = folder / file.name  # under its own name, whose ending tells writers the format
        yield path
        flush(path)
        os.replace(path, file)


def write_text(file: Path, text: str) -> None:
    """Write a text file whole, or leave it as it was.

    Raises:
        OSError: it cannot be written.
    """
    with replaced(file) as path:
        path.write_text(text, encoding="utf-8")


def append_text(file: Path, text: str) -> None:
    """Add to the end of a text file, or leave it as it was.

    Raises:
        OSError: it cannot be written.
    """
    size = file.stat().st_size if file.exists() else 0
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        with suppress(OSError):
            os.truncate(file, size)
        error.filename = str(file)
        raise


def flush(file: Path) -> None:
    """Wait until a file's content is on the disk."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def own_file(folder: Path, name: str) -> Path:
    """Return the path of a file that lies in a folder itself, and not elsewhere behind a link.

    Arguments:
        folder: the folder, which may be a link.
        name: the name of the file in it.

    Raises:
        FileNotFoundError: it is missing.
        OSError: it is a folder, a pipe or a device.
        ValueError: it is a link to a file elsewhere.
    """
    file = folder / name
    if not os.path.lexists(file):
        raise FileNotFoundError(f"{folder} holds no {name}")
    require_within(file, folder)
    if not file.is_file():
        raise OSError(f"{file} is no file that could be read, but a folder, a pipe or the like")
    return file


def require_within(path: Path, folder: Path) -> None:
    """Raise ValueError where a file or folder of a folder is a link to a place elsewhere."""
    if os.path.dirname(os.path.realpath(path)) != os.path.realpath(folder):
        raise ValueError(
            f"{path} is a link that leads elsewhere and is not followed: put what it leads to there"
        )


def read_whole(file: Path, *, most: int) -> bytes:
    """Return the content of a file that is not too large to be what it should be.

    Arguments:
        file: the file; a link is followed.
        most: the most bytes that it may have.

    Raises:
        OSError: it cannot be read, or is no file but a folder, a pipe or a device.
        ValueError: it is larger.
    """
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{file} is no file that could be read, but a folder, a pipe or the like")
    if found.st_size > most:
        raise ValueError(f"{file} has {found.st_size} bytes, and {most} are the most it may have")
    return file.read_bytes()

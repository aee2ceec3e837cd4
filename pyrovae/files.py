"""Files: written aside and then moved into place, so that no moment leaves half of one."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """Give a new hidden folder beside the target, on the same file system, removed at the end.

    What is made in it can be moved to the target in one step.

    Arguments:
        target: the file or folder to be; the folder above it is made where it is missing.

    Raises:
        OSError: the folder cannot be made.
    """
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


def flush(file: Path) -> None:
    """Wait until a file's content is on the disk."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())

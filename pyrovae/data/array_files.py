"""Array files: reading `.npy` and `.npz` without ever unpickling anything."""

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from pyrovae.spelling import nearest

SUFFIXES = (".npy", ".npz")

BESIDE = ("y", "observed")  # what is taken along from an .npz


def read_file(path: Path, key: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return x, and y and observed where an `.npz` holds them.

    Arguments:
        path: the file.
        key: which array of an `.npz` is x.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not what its name says, holds Python objects, or no array `key`.
    """
    with _open(path) as file:
        if path.suffix.lower() == ".npy":
            return {"x": _array(path, file)}
        with _archive(path, file) as archive:
            found = {"x": _member(path, archive, key)}
            held = _held(archive)
            for name in BESIDE:
                if name in held and name != key:
                    found[name] = _member(path, archive, name)
            return found


def map_file(path: Path) -> np.ndarray[Any, Any]:
    """Return the array of a `.npy` file without reading it, mapped and read-only.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not what its name says, is cut off, or holds Python objects.
    """
    with _open(path) as file:
        _head(path, file)
    try:
        array: np.ndarray[Any, Any] = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(_unsound(path, error)) from error
    return array


def read_shape(path: Path, key: str) -> tuple[int, ...]:
    """Return the shape of x from the head of the file, without reading its numbers.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not what its name says, or holds no array `key`.
    """
    with _open(path) as file:
        if path.suffix.lower() == ".npy":
            return _head(path, file)
        with _archive(path, file) as archive, _opened(path, archive, key) as member:
            return _head(path, member)


def names_in(path: Path) -> tuple[str, ...]:
    """Return what the arrays of an `.npz` are called; nothing where it cannot be opened as one."""
    try:
        path = path.expanduser()
        if not path.is_file():  # a pipe would be waited for
            return ()
        with zipfile.ZipFile(path) as archive:
            return tuple(_held(archive))
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile):
        return ()


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Return arrays of an `.npz` by their names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not what its name says, holds Python objects, or lacks one of them.
    """
    with _open(path) as file, _archive(path, file) as archive:
        return {name: _member(path, archive, name) for name in names}


def require_file(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise where there is no such file, naming one beside it that may have been meant."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected a {' or '.join(suffixes)} file")
    if not path.is_file():
        beside = [str(file) for file in path.parent.glob("*") if file.suffix.lower() in suffixes]
        hint = nearest(path, beside) or f": check the path, seen from {Path.cwd()}"
        raise FileNotFoundError(f"there is no file {path}{hint}")


def _open(path: Path) -> IO[bytes]:
    require_file(path)
    return path.open("rb")


def _archive(path: Path, file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise ValueError(_unsound(path, error)) from error


def _held(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _check_key(path: Path, archive: zipfile.ZipFile, key: str) -> None:
    held = _held(archive)
    if key not in held:
        found = f"the arrays {', '.join(held)}" if held else "no arrays"
        raise ValueError(
            f"{path} holds {found}, and x was to be the array {key!r}; name it by key=... "
            f"(--data.key)" + nearest(key, held)
        )


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> np.ndarray[Any, Any]:
    with _opened(path, archive, key) as member:
        return _array(path, member)


def _opened(path: Path, archive: zipfile.ZipFile, key: str) -> IO[bytes]:
    """Return an array of an archive, opened; encrypted or packed in an unknown way it is none."""
    _check_key(path, archive, key)
    try:
        return archive.open(f"{key}.npy")
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(_unsound(path, error)) from error


def _array(path: Path, file: IO[bytes]) -> np.ndarray[Any, Any]:
    try:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(_unsound(path, error)) from error
    return array


def _head(path: Path, file: IO[bytes]) -> tuple[int, ...]:
    try:
        version = np.lib.format.read_magic(file)
        # the third version differs from the second in how it writes the names of fields alone
        later = version != (1, 0)
        read = np.lib.format.read_array_header_2_0 if later else np.lib.format.read_array_header_1_0
        shape: tuple[int, ...] = read(file)[0]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(_unsound(path, error)) from error
    return shape


def _unsound(path: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return (
        f"{path} is no sound {path.suffix} file of numbers ({reason}): write it with numpy.save or "
        f"numpy.savez, from arrays of numbers, since Python objects are never unpickled"
    )

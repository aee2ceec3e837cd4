"""Tensor files: named tensors in the safetensors format, in which nothing can be executed."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

LARGEST = 2**24  # bytes of a header; a tensor takes about a hundred
_LENGTH = 8  # bytes in front of the header, which say how long it is
_NUMBER = re.compile(r"\(os error (\d+)\)")


def write_tensors(
    tensors: Mapping[str, Tensor], file: Path, *, notes: Mapping[str, str] | None = None
) -> None:
    """Write tensors on the CPU that share no memory.

    Arguments:
        tensors: the tensors by name.
        file: the file.
        notes: a text to keep beside them, by name; of several the order in the file, and so its
            bytes, would change from one writing to the next.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        save_file(dict(tensors), file, metadata=dict(notes or {"format": "pt"}))
    except SafetensorError as error:  # which is no OSError, whatever the cause
        number = _NUMBER.search(str(error))
        if number is None:
            raise OSError(f"{file} cannot be written: {error}") from error
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(file)) from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file, on the CPU.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is damaged, or of another format.
    """
    with _opened(file) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def read_shapes(file: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Return the shapes of the tensors of a file, and the notes beside them; no tensor is read.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is damaged, or of another format.
    """
    with _opened(file) as opened:
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        return shapes, dict(opened.metadata() or {})


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        _check_header(file)
        with safe_open(file, framework="pt", device="cpu") as opened:
            yield opened
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"{file} is damaged or no safetensors file: {error}") from error


def _check_header(file: Path) -> None:
    """Raise ValueError where a header is too long, or names a tensor twice.

    safetensors itself takes up to 100 MB, and the last of equal names.
    """
    with file.open("rb") as opened:
        start = opened.read(_LENGTH)
        size = int.from_bytes(start, "little")
        if size > LARGEST:
            raise ValueError(f"its header has {size} bytes, and {LARGEST} are the most")
        header = opened.read(size)
    if len(start) < _LENGTH or len(header) < size:
        raise ValueError("it ends within its header")
    try:
        json.loads(header, object_pairs_hook=unique)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError("its header cannot be read") from error
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries of a mapping in JSON, whose names must differ.

    Raises:
        ValueError: a name is given twice.

    Example:
        >>> json.loads('{"a": 1, "b": 2}', object_pairs_hook=unique)
        {'a': 1, 'b': 2}
        >>> json.loads('{"a": 1, "a": 2}', object_pairs_hook=unique)
        Traceback (most recent call last):
        ValueError: the name 'a' is given twice
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name!r} is given twice")
        found[name] = value
    return found

"""Tensor files: named tensors in the safetensors format, in which nothing can be executed."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_NUMBER = re.compile(r"\(os error (\d+)\)")


def write_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors on the CPU that share no memory.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        save_file(dict(tensors), file, metadata={"format": "pt"})
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
    try:
        with safe_open(file, framework="pt", device="cpu") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"{file} is damaged or no safetensors file: {error}") from error

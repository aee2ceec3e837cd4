"""Files of images that torchvision knows: found in a folder, or downloaded into it."""

import contextlib
import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyrovae.data.torchvision_import import torchvision

_PATIENCE = 20.0  # seconds without an answer after which a download is given up
_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


class Images(NamedTuple):
    """What the files hold: bytes of shape `[N, 1, 28, 28]` and labels of shape `[N]`."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def data_folder() -> Path:
    """Return where data sets are kept when no folder is named.

    It is the environment variable PYROVAE_DATA, else `pyrovae` in XDG_CACHE_HOME, else
    `~/.cache/pyrovae`. The environment is asked at each call.
    """
    named = os.environ.get("PYROVAE_DATA")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "pyrovae"


def read_images(name: str, root: str | None) -> Images:
    """Read a data set in the format of MNIST, downloading it first where it is missing.

    Arguments:
        name: the class of `torchvision.datasets`, "MNIST" or "FashionMNIST".
        root: the folder that holds `<name>/raw`; None is `data_folder()`.

    Raises:
        FileNotFoundError: files are missing and cannot be downloaded.
        OSError: a file is not what it should be.
    """
    folder = data_folder() if root is None else Path(root).expanduser()
    known = getattr(torchvision().datasets, name)
    raw = folder / name / "raw"
    if not all((raw / file).is_file() for file in _FILES):
        _download(known, name, folder)
    try:
        splits = [known(str(folder), train=train, download=False) for train in (True, False)]
        parts = [part for split in splits for part in _parts(split)]
    except Exception as error:
        raise OSError(
            f"the files in {raw} are not those of {name} ({error}): delete them to have them "
            f"downloaded again, or put sound ones in their place"
        ) from error
    return Images(*parts)


def _parts(split: Any) -> tuple[Tensor, Tensor]:
    x, y = split.data, split.targets
    if x.dtype != torch.uint8 or x.shape[1:] != (28, 28) or y.shape != x.shape[:1]:
        raise ValueError(f"images of shape {tuple(x.shape)}, labels of shape {tuple(y.shape)}")
    return x[:, None], y.to(torch.int64)


def _download(known: Any, name: str, folder: Path) -> None:
    new = [path for path in (folder / name / "raw", folder / name, folder) if not path.exists()]
    try:
        with downloading():
            known(str(folder), train=True, download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().rpartition("\n")[2].strip()  # that of the last mirror
        for path in new:
            with contextlib.suppress(OSError):  # it holds something, or was not made
                path.rmdir()
        raise FileNotFoundError(
            f"{name} is not in {folder} and cannot be downloaded ({reason}): put the unpacked "
            f"files {', '.join(_FILES)} into {folder / name / 'raw'}, or set the environment "
            f"variable PYROVAE_DATA to the folder that holds {name}/raw"
        ) from error


@contextlib.contextmanager
def downloading() -> Iterator[None]:
    """Let torchvision download, without its reports and without waiting for ever.

    It sets no limit itself, and reports each failing mirror on standard output: the error that is
    raised in the end is the one report.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE if before is None else before)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)

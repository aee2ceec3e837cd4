"""Shorthand: a data set by a name or by a path."""

import inspect
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyrovae.data.array_files import SUFFIXES
from pyrovae.data.arrays import Arrays
from pyrovae.data.digits import Digits
from pyrovae.data.image_folder import ImageFolder
from pyrovae.data.mnist import MNIST, FashionMNIST
from pyrovae.data.source import Source, Splits
from pyrovae.data.sparse_counts import SparseCounts
from pyrovae.data.sparse_files import TEXTS, is_sparse_file
from pyrovae.data.table import Table
from pyrovae.data.table_files import SUFFIXES as TABLES
from pyrovae.data.torchvision_images import TorchvisionImages
from pyrovae.data.torchvision_sets import set_names
from pyrovae.spelling import nearest

NAMES: dict[str, type[Source]] = {
    "digits": Digits,
    "mnist": MNIST,
    "fashion-mnist": FashionMNIST,
}


def meaning(name_or_path: str | Path) -> tuple[type[Source], dict[str, Any]]:
    """Return the source that a word stands for, and the argument that the word gives it.

    A key of `NAMES` and a class of this room come first, then paths that look like paths, then the
    classes of torchvision, and last a folder that exists. An `.npz` is a sparse matrix or arrays by
    what it holds. torchvision is imported for words alone
    that may name one of its classes, and to find the nearest spelling.

    Raises:
        ValueError: the word stands for nothing.

    Example:
        >>> meaning("images/")[0].__name__, meaning("images/")[1]
        ('ImageFolder', {'path': 'images/'})
    """
    text = str(name_or_path)
    known = NAMES | _classes()
    if text in known:
        return known[text], {}
    if is_sparse_file(Path(text)):
        return SparseCounts, {"path": text}
    if Path(text).suffix.lower() in SUFFIXES:
        return Arrays, {"path": text}
    if Path(text).suffix.lower() in TABLES:
        return Table, {"path": text}
    if isinstance(name_or_path, Path) or "/" in text or os.sep in text or text[:1] in (".", "~"):
        return ImageFolder, {"path": text}
    if text[:1].isupper() and text in _torchvision():
        return TorchvisionImages, {"name": text}
    if text and Path(text).is_dir():
        return ImageFolder, {"path": text}
    folders = [entry.name for entry in Path().glob("[!.]*") if entry.is_dir()]
    spellings = [*folders, *_torchvision(), *known, *NAMES]
    raise ValueError(
        f"data are named by {', '.join(NAMES)}, by a class such as MNIST or torchvision's CIFAR10, "
        f"or the path of a folder of images, a {' or '.join(SUFFIXES)} file, a sparse "
        f"{' or '.join(TEXTS)} file or a table, {' or '.join(TABLES)}; "
        f"got {text!r}" + nearest(text, spellings)
    )


def source_for(name_or_path: str | Path, **options: Any) -> Source:
    """Return the source that a name or a path stands for.

    Arguments:
        name_or_path: a key of `NAMES`, the name of a source's class or of a data set of
            torchvision, or the path of a folder of images, of a .npy, .npz, .mtx or
            .svm file, or of a table.
        **options: arguments of the source.

    Raises:
        TypeError: the source has no such argument.
        ValueError: no such name.

    Example:
        >>> source_for("digits", seed=3)
        Digits(seed=3)
        >>> source_for("images/", size=32)
        ImageFolder('images/', size=32)
        >>> source_for("CIFAR10", valid=5000)
        TorchvisionImages('CIFAR10', valid=5000)
        >>> source_for("digts")
        Traceback (most recent call last):
        ValueError: data are named by digits, mnist, fashion-mnist, by a class such as MNIST or \
torchvision's CIFAR10, or the path of a folder of images, a .npy or .npz file, a sparse .mtx or \
.svm or .svmlight or .libsvm file or a table, .csv or .tsv or .parquet; got 'digts'; did you mean \
'digits'?
    """
    source, given = meaning(name_or_path)
    known = [name for name in inspect.signature(source).parameters if name not in given]
    for name in options:
        if name not in known:
            raise TypeError(
                f"{source.__name__} has the options {', '.join(known)}; got {name!r}"
                + nearest(name, known)
            )
    return source(**given, **options)


def load(name_or_path: str | Path, **options: Any) -> Splits:
    """Read a data set, cut into splits for training, validation and test.

    Arguments:
        name_or_path: "digits", "mnist", "fashion-mnist", the class of a source or of a data set
            of torchvision, or the path of a folder of images, of a .npy, .npz, .mtx or
            .svm file, or of a table.
        **options: arguments of the source, such as `valid`, `seed` or `binarize`.

    Raises:
        TypeError: the source has no such argument.
        ValueError: no such name.
        OSError: the data cannot be read.

    Example:
        >>> train, valid, test = load("digits")
        >>> len(train), len(valid), len(test)
        (1197, 200, 400)
    """
    return source_for(name_or_path, **options).load()


def _classes() -> dict[str, type[Source]]:
    """Return the sources of this room by the names of their classes."""

    def below(base: type[Any]) -> Iterator[type[Any]]:
        for kind in base.__subclasses__():
            yield kind
            yield from below(kind)

    room = __name__.rpartition(".")[0]
    return {
        kind.__name__: kind
        for kind in below(Source)
        if kind.__module__.startswith(f"{room}.") and not kind.__name__.startswith("_")
        if not inspect.isabstract(kind)
    }


def _torchvision() -> list[str]:
    """Return the names of torchvision's data sets, none where it cannot be imported."""
    with suppress(ImportError, RuntimeError):
        return set_names()
    return []

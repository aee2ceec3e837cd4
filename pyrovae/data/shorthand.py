"""Shorthand: a data set by a lower-case name or by a path."""

import inspect
from pathlib import Path
from typing import Any

from pyrovae.data.array_files import SUFFIXES
from pyrovae.data.arrays import Arrays
from pyrovae.data.checks import nearest
from pyrovae.data.digits import Digits
from pyrovae.data.mnist import MNIST, FashionMNIST
from pyrovae.data.source import Source, Splits

NAMES: dict[str, type[Source]] = {
    "digits": Digits,
    "mnist": MNIST,
    "fashion-mnist": FashionMNIST,
}


def source_for(name_or_path: str | Path, **options: Any) -> Source:
    """Return the source that a name or a path stands for.

    Arguments:
        name_or_path: a key of `NAMES`, or the path of a .npy or .npz file.
        **options: arguments of the source.

    Raises:
        TypeError: the source has no such argument.
        ValueError: no such name.

    Example:
        >>> source_for("digits", seed=3)
        Digits(seed=3)
        >>> source_for("digts")
        Traceback (most recent call last):
        ValueError: data are named by digits, mnist, fashion-mnist or the path of a .npy or .npz \
file; got 'digts'; did you mean 'digits'?
    """
    text = str(name_or_path)
    if text in NAMES:
        _check_options(NAMES[text], options)
        return NAMES[text](**options)
    if Path(text).suffix.lower() in SUFFIXES:
        _check_options(Arrays, options)
        return Arrays(text, **options)
    raise ValueError(
        f"data are named by {', '.join(NAMES)} or the path of a {' or '.join(SUFFIXES)} file; "
        f"got {text!r}" + nearest(text, list(NAMES))
    )


def load(name_or_path: str | Path, **options: Any) -> Splits:
    """Read a data set, cut into splits for training, validation and test.

    Arguments:
        name_or_path: "digits", "mnist", "fashion-mnist", or the path of a .npy or .npz file.
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


def _check_options(source: type[Source], options: dict[str, Any]) -> None:
    known = [name for name in inspect.signature(source).parameters if name != "path"]
    for name in options:
        if name not in known:
            raise TypeError(
                f"{source.__name__} has the options {', '.join(known)}; got {name!r}"
                + nearest(name, known)
            )

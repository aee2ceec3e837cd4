"""Notes: warnings as lines for a reader, and which packages a user has allowed."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def notes() -> Iterator[None]:
    """Print each warning of pyrovae inside this context as one line, without a place in code."""

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        print(f"note: {message}", flush=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def allowed_packages(given: Sequence[str]) -> tuple[str, ...]:
    """Return the packages named after `--allow`, found in the current folder as well.

    Arguments:
        given: the values of the flag, each one name or several with commas between.
    """
    names = tuple(name.strip() for value in given for name in value.split(",") if name.strip())
    here = os.getcwd()
    if names and here not in sys.path:  # an installed command does not look there by itself
        sys.path.append(here)
    return names

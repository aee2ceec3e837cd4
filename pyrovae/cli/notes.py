"""Notes: warnings as lines for a reader."""

import warnings
from collections.abc import Iterator
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

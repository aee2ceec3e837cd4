"""Memory: what to say where it ran out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_SAID = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python or of torch, on any device, means too little memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(words in text for words in _SAID)


@contextmanager
def memory_advice(advice: Callable[[], str]) -> Iterator[None]:
    """Turn an error for lack of memory inside this context into one that says what to lower.

    Arguments:
        advice: returns what was being done and what to lower.

    Raises:
        MemoryError: memory ran out.

    Example:
        >>> with memory_advice(lambda: "drawing 5 samples; lower their number"):
        ...     raise MemoryError
        Traceback (most recent call last):
        MemoryError: out of memory when drawing 5 samples; lower their number
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(f"out of memory when {advice()}") from error

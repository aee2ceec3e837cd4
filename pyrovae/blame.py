"""Blame: an error out of a library's or a user's code, with a word on which part it comes from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyrovae.memory import is_out_of_memory


@contextmanager
def blamed(part: str | Callable[[], str]) -> Iterator[None]:
    """Turn an error inside this context into one that begins with the part's name.

    It is a TypeError where it was one, else a ValueError; lack of memory passes as it is.

    Arguments:
        part: what is to be named, or what returns it, where that takes time.

    Raises:
        TypeError, ValueError: anything else went wrong inside.

    Example:
        >>> with blamed("scheduler StepLR"):
        ...     1 % 0
        Traceback (most recent call last):
        ValueError: scheduler StepLR: ZeroDivisionError: integer modulo by zero
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        speaking = isinstance(error, ValueError | TypeError | RuntimeError)
        name = "" if speaking else f"{type(error).__name__}: "
        who = part if isinstance(part, str) else part()
        raise kind(f"{who}: {name}{error}") from error

"""Errors: what a user's mistake looks like on the screen, at most three lines and never more."""

import sys
import traceback
from collections.abc import Iterable

LINES = 3
WIDTH = 400  # of one line; longer ones hold a whole tensor or a whole file
_END = 150  # letters at the end of a long line that are shown: there the remedy stands


class UsageError(ValueError):
    """A mistake on the command line or in a configuration, one line for each problem.

    Arguments:
        problems: the lines.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def lines_of(error: BaseException) -> list[str]:
    """Return an error as at most three lines; the third says how many more there are.

    Example:
        >>> lines_of(UsageError(["one", "two", "three", "four"]))
        ['one', 'two', '... and 2 more problems']
    """
    notes = getattr(error, "__notes__", [])
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        text = f"{where}{error.strerror}"
    else:
        text = str(error)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    lines = lines or [type(error).__name__]
    room = max(1, LINES - len(notes))
    if len(lines) > room:
        more = len(lines) - room + 1
        kind = "problems" if isinstance(error, UsageError) else "lines"
        lines = [*lines[: room - 1], f"... and {more} more {kind}"]
    return [_shown(line) for line in [*lines, *notes][:LINES]]


def _shown(line: str) -> str:
    """Return a line without its middle where it is too long, and with no control characters."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= WIDTH else f"{line[: WIDTH - _END]} ... {line[-_END:]}"


def unforeseen(error: Exception) -> UsageError:
    """Return an error that nobody wrote a message for as one that says where it arose."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    first = str(error).strip().partition("\n")[0]
    return UsageError(
        [
            f"{type(error).__name__}: {first}",
            f"it arose in {place.filename}, line {place.lineno}; with PYROVAE_TRACEBACK=1 the "
            f"command shows how it came there",
        ]
    )


def report(error: BaseException) -> None:
    """Write an error to standard error, the first line led by the program's name."""
    lines = lines_of(error)
    lines[0] = f"pyrovae: {lines[0]}"
    print("\n".join(lines), file=sys.stderr)

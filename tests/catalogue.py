"""The catalogue of bad inputs: what a row is, and what every row demands.

A row is a command that must be refused: exit code 2, one to three lines on standard error that name
the offending value and what would fit, no traceback, and not a byte changed on the disk.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from pyrovae.__main__ import main

Capture = pytest.CaptureFixture[str]
Stage = Callable[[Path], object]

UNFORESEEN = "PYROVAE_TRACEBACK"  # in messages for errors that nobody wrote words for


def contents(root: Path) -> dict[str, bytes | None]:
    """Return every path below a folder with its content, None for folders."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }


def stage(words: Sequence[str], stages: Mapping[str, Stage], folder: Path) -> None:
    """Make what a command names, by the first part of a path in it, where the stages know it."""
    for word in words:
        for name in (word, word.partition("=")[2]):
            first = name.removeprefix("./").split("/")[0]
            if first in stages and not (folder / first).exists():
                stages[first](folder / first)


def refused(words: Sequence[str], said: Sequence[str], capsys: Capture, root: Path) -> None:
    """Run a command that must be refused, and look at all that a refusal has to be."""
    before = contents(root)
    capsys.readouterr()
    code = main(words)
    error = capsys.readouterr().err
    assert code == 2, error
    lines = error.splitlines()
    assert 1 <= len(lines) <= 3, error
    assert lines[0].startswith("pyrovae: ")
    assert all(line.strip() for line in lines)
    assert max(map(len, lines)) < 450, "an answer, and not a whole tensor or file"
    assert "Traceback" not in error
    assert UNFORESEEN not in error
    for fragment in said:
        assert fragment in error, f"{fragment!r} is not said: {error}"
    assert contents(root) == before, "something was written"


def case(words: str, *said: str) -> object:
    """Return a row for `pytest.mark.parametrize`: the words, and fragments of the message.

    Arguments:
        words: the words of the command line.
        *said: the offending value and what would fit, or the nearest spelling.
    """
    assert len(said) >= 2 or "did you mean" in "".join(said), f"{words}: a value and a remedy"
    return pytest.param(shlex.split(words), said, id=words[-70:] or "no word")

"""Arguments: a parser for the small verbs that finds every mistake and names nearest spellings."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pyrovae.cli.errors import UsageError
from pyrovae.config import nearest


class Parser(argparse.ArgumentParser):
    """The standard parser, with pyrovae's kind of errors.

    Arguments:
        verb: the verb, which the help names.
        description: what it does, one sentence.
    """

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(
            prog=f"pyrovae {verb}", description=description, allow_abbrev=False, exit_on_error=False
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError([message])

    def read(self, words: Sequence[str]) -> argparse.Namespace | None:
        """Return the values of the words, None where they asked for help and got it.

        Raises:
            UsageError: the words cannot be read, one line for each problem.
        """
        try:
            found, unknown = self.parse_known_args(list(words))
        except argparse.ArgumentError as error:
            raise UsageError([str(error)]) from error
        except SystemExit:
            return None
        flags = [flag for action in self._actions for flag in action.option_strings]
        problems = []
        for word in unknown:
            name = word.partition("=")[0]
            if word.startswith("--"):
                problems.append(f"there is no option {name!r}{nearest(name, flags)}")
        if unknown and not problems:
            problems = [f"unexpected {word!r}" for word in unknown]
        if problems:
            raise UsageError(problems)
        return found


def positive(text: str) -> int:
    """Return a positive integer, as an argparse type."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer; got {text}")
    return number


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

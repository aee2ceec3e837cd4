"""Arguments: a parser for the small verbs that finds every mistake and names nearest spellings."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pyrovae.cli.errors import UsageError
from pyrovae.spelling import nearest

SPLITS = ("train", "valid", "test")
ALL = "all"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help in which every option says its default, as the words of the verb or by itself."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        if not action.option_strings or default == argparse.SUPPRESS or "(default" in text:
            return text
        shown = "no" if default is False else "none" if default in (None, []) else "%(default)s"
        return f"{text} (default: {shown})"


class Parser(argparse.ArgumentParser):
    """The standard parser, with pyrovae's kind of errors and of help.

    Arguments:
        verb: the verb, which the help names.
        description: what it does, one sentence.
        example: a command that does it.
        more: what else its help says, as it is to stand there.
    """

    def __init__(self, verb: str, description: str, *, example: str, more: str = "") -> None:
        super().__init__(
            prog=f"pyrovae {verb}",
            description=description,
            epilog=f"{more}\n\nexample: {example}".lstrip(),
            formatter_class=_Formatter,
            allow_abbrev=False,
            exit_on_error=False,
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

    def takes_run(self, *, several: bool = False) -> None:
        """Take the run folder, or several, as its first words."""
        if several:
            self.add_argument(
                "runs", metavar="RUN", nargs="+", help="the run folders, or model folders"
            )
        else:
            self.add_argument("run", metavar="RUN", help="the run folder, or a model folder")

    def takes_data(self, *splits: str) -> None:
        """Take other data than the run's, and which split of them.

        Arguments:
            *splits: what can be chosen beside the three splits.
        """
        self.add_argument(
            "--data", metavar="NAME", help="a name, a file or a class (default: the run's own data)"
        )
        self.add_argument(
            "--split", choices=(*SPLITS, *splits), default="test", help="which part of the data"
        )

    def takes_seed(self) -> None:
        """Take what seeds the draws."""
        self.add_argument("--seed", type=seed, default=0, metavar="N", help="seeds the draws")

    def takes_allow(self) -> None:
        """Take the packages that a model may come from."""
        self.add_argument(
            "--allow",
            action="append",
            default=[],
            metavar="PACKAGE",
            help="let classes of your own come from this package; it is imported",
        )


def positive(text: str) -> int:
    """Return a positive integer, as an argparse type."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer; got {text}")
    return number


def several(text: str) -> int:
    """Return an integer of at least two, as an argparse type."""
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 2; got {text}")
    return number


def seed(text: str) -> int:
    """Return what torch can be seeded with, as an argparse type."""
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 2**63 - 1; got {text}")
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

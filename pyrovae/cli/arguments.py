"""Arguments: a parser for the small verbs that finds every mistake and names nearest spellings."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn

from pyrovae.cli.errors import UsageError
from pyrovae.numeric import is_count, is_seed, limit
from pyrovae.spelling import nearest

SPLITS = ("train", "valid", "test")
ALL = "all"
_NO_CHOICE = re.compile(r"invalid choice: '?(.*?)'? \(choose from")  # argparse's words


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
        absent = [action for action in self._actions if action.required]
        if absent and "required" in message:
            message = f"{absent[0].metavar} is missing: {absent[0].help}"
        raise UsageError([message])

    def read(self, words: Sequence[str]) -> argparse.Namespace | None:
        """Return the values of the words, None where they asked for help and got it.

        Raises:
            UsageError: the words cannot be read, one line for each problem.
        """
        try:
            found, unknown = self.parse_known_args(list(words))
        except argparse.ArgumentError as error:
            raise UsageError([self._said(error)]) from error
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

    def _said(self, error: argparse.ArgumentError) -> str:
        """Return what is wrong with one value, in the words of the other verbs."""
        name, text = error.argument_name or "", error.message
        if text == "expected one argument":
            text = "a value must follow"
        wrong = _NO_CHOICE.match(text)
        named = (a for a in self._actions if name in ("/".join(a.option_strings), a.metavar))
        action = next(named, None)
        if wrong and action is not None and action.choices is not None:
            known = [str(choice) for choice in action.choices]
            hint = nearest(wrong[1], known)
            text = f"expected one of {', '.join(known)}; got {wrong[1]!r}{hint}"
        return f"{name}: {text}" if name else text

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
            "--data",
            metavar="NAME",
            help="a name, a class, a folder of images or a file: .npy, .npz, a table or sparse "
            "counts (default: the run's own data)",
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
    number = _integer(text)
    if number is None or not is_count(number):
        raise argparse.ArgumentTypeError(
            f"expected a positive integer{limit(number)}; got {text!r}"
        )
    return number


def several(text: str) -> int:
    """Return an integer of at least two, as an argparse type."""
    number = _integer(text)
    if number is None or not is_count(number, least=2):
        raise argparse.ArgumentTypeError(
            f"expected an integer of at least 2{limit(number)}; got {text!r}"
        )
    return number


def seed(text: str) -> int:
    """Return what torch can be seeded with, as an argparse type."""
    number = _integer(text)
    if number is None or not is_seed(number):
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 2**63 - 1; got {text!r}")
    return number


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def allowed_packages(given: Sequence[str]) -> tuple[str, ...]:
    """Return the packages named after `--allow`, found in the current folder as well.

    Arguments:
        given: the values of the flag, each one name or several with commas between.

    Raises:
        UsageError: there is no such package; none is imported to find that out.
    """
    names = tuple(name.strip() for value in given for name in value.split(",") if name.strip())
    here = os.getcwd()
    if names and here not in sys.path:  # an installed command does not look there by itself
        sys.path.append(here)
    for name in names:
        if not all(map(str.isidentifier, name.split("."))) or name.endswith(".py"):
            module = name.removesuffix(".py").replace("/", ".")
            raise UsageError([f"--allow: expected a package or module, {module}; got {name!r}"])
        if find_spec(name.partition(".")[0]) is None:
            raise UsageError([f"--allow: no package {name!r} is installed here, nor in {here}"])
    return names

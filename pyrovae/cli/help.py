"""Help: what `train` takes, read from the signatures and docstrings of what it makes."""

import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

from docstring_parser import parse

from pyrovae.cli.errors import UsageError
from pyrovae.cli.settings import DEFAULTS, options
from pyrovae.config import ROOMS, Argument, Written, arguments, literals, of_room
from pyrovae.spelling import nearest

FLAGS = {
    "config": ("FILE", "settings from a file; flags go over it (default: none)"),
    "print_config": ("", "print all settings as such a file, and do nothing else (default: no)"),
    "out": ("FOLDER", "the run folder (default: runs/DATA-1 and so on)"),
    "resume": (
        "RUN",
        "go on with a run that was interrupted, or train it for more --epochs (default: none)",
    ),
    "allow": (
        "PACKAGE",
        "let classes of your own come from this package; it is imported (default: none)",
    ),
}  # beside the settings: what stands for the value, and what the flag does

_HEAD = """\
usage: pyrovae train [--config FILE] [--data NAME] [--model.PART CLASS] [--OPTION VALUE ...]

Train a model on data, evaluate it on what was held out, and keep both in a run folder.
A class is given by its name and its arguments behind it, in any order:
  --model.prior VampPrior --model.prior.dim 50 --model.prior.components 500
`pyrovae train --model.prior.help VampPrior` shows a class, `pyrovae parts` lists all of them.

options:
"""

_FOOT = """
example: pyrovae train --data mnist --model.prior VampPrior --epochs 100 --out runs/vamp
"""


def train_help(words: Sequence[str]) -> str:
    """Return the help that the words ask for: of the verb, or of one class."""
    for flag, name in zip(words, [*words[1:], ""], strict=True):
        if flag.endswith(".help"):
            if not name or name.startswith("-"):
                raise UsageError([f"{flag}: the name of a class must follow, such as VampPrior"])
            room = f"{flag.removesuffix('.help').rpartition('.')[2].strip('-')}s"
            return class_help(f"{room}.{name}" if name in _parts_of(room) else name)
    said = {entry.arg_name: entry.description or "" for entry in _documented(options)}
    lines = [_line(f"{name} {value}".rstrip(), text) for name, (value, text) in FLAGS.items()]
    for name, argument in arguments(options).items():
        text = f"{' '.join(said.get(name, '').split())} (default: {_default(name, argument)})"
        lines.append(_line(f"{name} {_value(argument)}", text))
    return _HEAD + "\n".join(lines) + "\n" + _FOOT


def _line(flag: str, text: str) -> str:
    """Return a flag with what it does behind it."""
    return textwrap.fill(
        text, width=96, initial_indent=f"  {'--' + flag:<24}", subsequent_indent=" " * 26
    )


def _value(argument: Argument) -> str:
    """Return what stands for the value of an option."""
    if argument.bases:
        return "CLASS"
    if argument.plain is bool:
        return "true|false"
    return "WORD" if argument.plain is str or literals(argument.annotation) else "N"


def _parts_of(room: str) -> dict[str, type]:
    """Return the parts of a room, none where there is no such room."""
    return of_room(room) if room in ROOMS else {}


def class_help(name: str) -> str:
    """Return the signature and the docstring of a part, by its short name.

    Where several rooms have a part of the name, all are returned; `priors.Normal` names one.

    Raises:
        UsageError: no part is called so.
    """
    *path, short = name.split(".")
    found = {room: of_room(room) for room in ROOMS if not path or path[-1] == room}
    known = {name for parts in found.values() for name in parts}
    if short not in known:
        raise UsageError([f"no part is called {name!r}{nearest(short, known)}"])
    parts = [classes[short] for classes in found.values() if short in classes]
    pages = [f"{call_of(part)}\n\n{inspect.getdoc(part)}\n" for part in parts]
    if len(parts) == 1:
        return pages[0]
    homes = [".".join(part.__module__.split(".")[:2]) for part in parts]
    return "\n".join(f"{home}.{page}" for home, page in zip(homes, pages, strict=True))


def call_of(part: type) -> str:
    """Return the constructor call of a class as a user would look it up, without types.

    Example:
        >>> from pyrovae.priors import VampPrior
        >>> call_of(VampPrior)
        'VampPrior(dim=32, *, components=500)'
    """
    if not arguments(part):
        return f"{part.__name__}()"
    signature = inspect.signature(part)
    bare = [
        parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()
    ]
    shown = signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    return f"{part.__name__}{shown}"


def summary_of(part: type) -> str:
    """Return the first sentence of a docstring, without its full stop."""
    first = (inspect.getdoc(part) or "").partition("\n\n")[0]
    return " ".join(first.split()).rstrip(".")


def _documented(function: Any) -> list[Any]:
    return parse(function.__doc__ or "").params


def _default(name: str, argument: Argument) -> str:
    given = DEFAULTS.get(name, argument.default)
    if isinstance(given, Written):
        inner = [
            f"{key}={value.name if isinstance(value, Written) else value}"
            for key, value in given.given.items()
        ]
        return f"{given.name}({', '.join(inner)})"
    return "none" if given is None else str(given)

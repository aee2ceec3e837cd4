"""Cells: what the text in a cell of a table is: a number, something like one, or a word."""

import math
import re

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_PADDED = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?")  # a code, such as a postal one
_ENDLESS = re.compile(r"[-+]?inf(?:inity)?", re.IGNORECASE)
_LIKE = re.compile(
    r"[-+~<>=]*\s*[$€£¥]?\s*[0-9](?:[0-9.,'_\s]*[0-9])?\.?\s*[%‰°²³µA-Za-z€$£¥/]{0,6}"
)
_LONGEST = 60  # letters of a cell that a message shows


def number(text: str) -> float | None:
    """Return the number that a cell holds, infinite where it is too large; None where it is none.

    A number is written as in programs, without units, separators of thousands or a decimal comma.
    Digits behind a leading zero are a code and no number.

    Example:
        >>> [number(text) for text in ("12", "-.5e3", "1,234", "12 kg", "0042", "1_000")]
        [12.0, -500.0, None, None, None, None]
    """
    if _NUMBER.fullmatch(text) is None or _PADDED.fullmatch(text) is not None:
        if _ENDLESS.fullmatch(text) is None:
            return None
        return -math.inf if text.startswith("-") else math.inf
    return float(text)


def is_like_number(text: str) -> bool:
    """Return whether a cell reads like a number to a person, with a unit, say, and is none.

    Example:
        >>> [is_like_number(text) for text in ("1,234", "12 kg", "50%", "$3", "blue", "A4")]
        [True, True, True, True, False, False]
    """
    return (
        _LIKE.fullmatch(text) is not None
        and _PADDED.fullmatch(text) is None
        and number(text) is None
    )


def quoted(text: str) -> str:
    """Return a cell as a message shows it."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")

"""Spelling: what somebody may have meant by a word that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches

_CLOSE = 0.65  # the share of letters in common from which on a guess helps more than it confuses
_PART = 3  # letters that a part of a word must have
_LONGEST = 100  # letters that are compared, since comparing takes their square


def nearest(word: object, known: Iterable[str], *, cutoff: float = _CLOSE) -> str:
    """Return a question that names the nearest known spelling, or nothing where none is near.

    Arguments:
        word: what was given.
        known: the words there are.
        cutoff: how near a word must be, from 0 to 1.

    Example:
        >>> nearest("Vamp", ["StandardNormal", "VampPrior"])
        "; did you mean 'VampPrior'?"
        >>> nearest("rleu", ["relu", "tanh"])
        "; did you mean 'relu'?"
        >>> nearest("nan", ["Constant", "Ramp"])
        ''
    """
    spellings = {name.lower(): name for name in known}
    text = str(word).lower()[:_LONGEST]
    close = get_close_matches(text, spellings, n=1, cutoff=cutoff)
    if not close and len(text) >= _PART and cutoff == _CLOSE:
        close = [spelling for spelling in spellings if text in spelling]
    return f"; did you mean {spellings[close[0]]!r}?" if close else ""

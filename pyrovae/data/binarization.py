"""Binarisation as an option of a source: drawn at each access, drawn once, or not at all."""

from typing import Literal, get_args

from pyrovae.data.source import Source
from pyrovae.spelling import nearest

Binarization = Literal["dynamic", "fixed", "none"]

BINARIZE_SEED = 2008  # one for everybody, so that numbers on the test split can be compared


def check_binarize(source: Source, binarize: str) -> None:
    """Raise ValueError where an option is none of the three words."""
    choices = get_args(Binarization)
    if binarize not in choices:
        raise ValueError(
            f"{type(source).__name__} expects binarize to be one of "
            f"{', '.join(map(repr, choices))}; got {binarize!r}" + nearest(binarize, choices)
        )

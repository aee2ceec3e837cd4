"""Numbers: what the evaluation of a run holds, and how its numbers are called and shown."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyrovae.comparison.statistics import Mean
from pyrovae.files import read_whole

EVALUATION = "evaluation.json"
LARGEST = 2**26  # bytes of such a file
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
NOTHING = "\N{EN DASH}"
_DIGITS = 6  # behind the point, at most
_PLAIN = 4  # digits of a number without an interval


@dataclass(frozen=True)
class Name:
    """How a number of an evaluation is called.

    Arguments:
        name: for people.
        main: whether it stands in the first table; the others are in those for reference.
        constant: whether it says how the evaluation was made, and is no result.
    """

    name: str
    main: bool = False
    constant: bool = False


# In the order in which they are shown; the first that all rows share is the one of the figure.
NAMES = {
    "accuracy": Name("accuracy", main=True),
    "clustering_accuracy": Name("clustering accuracy", main=True),
    "nmi": Name("NMI", main=True),
    "ari": Name("ARI"),
    "clusters_used": Name("clusters used"),
    "rmse": Name("RMSE of y", main=True),
    "label_log_prob": Name("log q(y|x)", main=True),
    "log_prob": Name("log p(x)", main=True),
    "elbo": Name("ELBO", main=True),
    "kl": Name("KL", main=True),
    "active_units": Name("active units", main=True),
    "reconstruction": Name("reconstruction"),
    "bits_per_dim": Name("bits per dimension"),
    "cubo": Name("CUBO"),
    "error": Name("share of wrong labels"),
    "calibration_error": Name("calibration error"),
    "coverage": Name("coverage of 90 % intervals of y"),
    "ess": Name("effective samples"),
    "log_prob_error": Name("Monte Carlo error of log p(x)"),
    "log_prob_bias": Name("bias of log p(x)"),
    "log_prob_data_error": Name("error of log p(x) over data"),
    "labelled": Name("labels tested on", constant=True),
    "label_trained_on": Name("labels trained on", constant=True),
    "samples": Name("samples", constant=True),
    "data": Name("data", constant=True),
}


def name_of(key: str) -> Name:
    """Return how a number is called; one that is not listed is called by its own words.

    The error of a number is no main one.

    Example:
        >>> name_of("log_prob").name, name_of("baseline_accuracy").name
        ('log p(x)', 'baseline accuracy')
    """
    return NAMES.get(key, Name(key.replace("_", " "), main=not key.endswith("_error")))


def ordered(keys: Iterable[str]) -> list[str]:
    """Return the keys of numbers as they are shown: the listed main ones, others, the rest.

    Example:
        >>> ordered(["data", "elbo", "novelty", "accuracy", "cubo"])
        ['accuracy', 'elbo', 'novelty', 'cubo', 'data']
    """
    found = list(dict.fromkeys(keys))
    listed = [key for key in NAMES if key in found]
    main = [key for key in listed if NAMES[key].main]
    others = [key for key in found if key not in NAMES]
    return [*main, *others, *(key for key in listed if key not in main)]


def evaluated(folder: Path) -> dict[str, float]:
    """Return the finite numbers in the evaluation of a run, none where there is no such file.

    Numbers by name inside of others are joined to them by a point; lists are no numbers.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON object.
    """
    file = folder / EVALUATION
    if not file.exists():
        return {}
    try:
        found = json.loads(read_whole(file, most=LARGEST))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    if isinstance(found, dict):
        return flat(found)
    raise ValueError(f"{file} cannot be read: it is no JSON object")


def flat(found: Mapping[str, Any], *, before: str = "") -> dict[str, float]:
    """Return the finite numbers of a tree by their joined names.

    Example:
        >>> flat({"a": 1, "b": {"c": 2.5, "d": "x"}, "e": [3], "f": None, "g": True})
        {'a': 1.0, 'b.c': 2.5}
    """
    numbers: dict[str, float] = {}
    for key, value in found.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, before=f"{before}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:  # an integer of hundreds of digits
                continue
            if math.isfinite(number):
                numbers[f"{before}{key}"] = number
    return numbers


def shown(found: Mean | None) -> str:
    """Return a mean with its interval, to two digits of the interval.

    Example:
        >>> shown(Mean(-98.7654, 0.1234, 5)) == f"-98.77 {PLUS_MINUS} 0.12"
        True
        >>> shown(Mean(0.94321, None, 1))
        '0.9432'
        >>> shown(Mean(-0.2, 44.0, 2)) == f"0 {PLUS_MINUS} 44"
        True
    """
    if found is None:
        return NOTHING
    if not found.half:
        plain = _fixed(found.mean, _decimals(found.mean, _PLAIN))
        return plain if found.half is None else f"{plain} {PLUS_MINUS} 0"
    digits = _decimals(found.half, 2)
    return f"{_fixed(found.mean, digits)} {PLUS_MINUS} {_fixed(found.half, digits)}"


def _fixed(number: float, digits: int) -> str:
    """Return a number with so many digits behind the point, and no minus before a zero."""
    text = f"{number:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text


def _decimals(number: float, digits: int) -> int:
    """Return how many digits behind the point show so many of a number."""
    if number == 0.0:
        return 0
    # 0.0996 is 0.10 when it is rounded to two digits
    first = math.floor(math.log10(float(f"{abs(number):.{digits - 1}e}")))
    return max(0, min(_DIGITS, digits - 1 - first))

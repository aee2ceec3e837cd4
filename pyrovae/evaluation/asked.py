"""Asked: what the functions of this room are asked, checked before anything is computed."""

from pyrovae.data import Data, DataLike, Source, as_data
from pyrovae.models import Classifier, Pair
from pyrovae.numeric import is_count, is_seed, limit


def check_count(name: str, value: int) -> None:
    """Raise ValueError where a value is no positive integer."""
    if not is_count(value):
        raise ValueError(f"{name} expects a positive integer{limit(value)}; got {value!r}")


def check_seed(seed: int | None) -> None:
    """Raise ValueError where a seed is none that torch takes."""
    if seed is not None and not is_seed(seed):
        raise ValueError(f"seed expects an integer from 0 to 2**63 - 1; got {seed!r}")


def require_density(pair: Pair) -> None:
    """Raise TypeError where a model is not one of x."""
    if isinstance(pair.whole, Classifier):
        raise TypeError(
            "a Classifier is a model of y given x, and has no log p(x); classification(model, "
            "data) holds it against labels"
        )


def held_out(data: DataLike) -> Data:
    """Return data, of a source its test split.

    Raises:
        ValueError: a source keeps none, or the data are no data.
    """
    held = data.load().test if isinstance(data, Source) else data
    if held is None and data is not None:
        raise ValueError(f"{data!r} keeps no test split: give it test=..., or give data")
    return as_data(held)  # which says what to do about None

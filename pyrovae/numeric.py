"""Numbers: what counts as a count and as a finite number, the same in every room."""

import sys

LARGEST = 2**31  # of a count: larger ones fit no memory, and overflow in torch


def is_count(value: object, *, least: int = 1) -> bool:
    """Return whether a value is an integer, and no boolean, from `least` on and below 2**31.

    Example:
        >>> is_count(3), is_count(3.0), is_count(True), is_count(0), is_count(0, least=0)
        (True, False, False, False, True)
    """
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < LARGEST


def as_counts(values: object) -> tuple[int, ...] | None:
    """Return positive integers, or a single one, as a tuple; None where they are something else.

    Example:
        >>> as_counts([3, 4]), as_counts(5), as_counts(()), as_counts((3, 0))
        ((3, 4), (5,), (), None)
    """
    several = tuple(values) if isinstance(values, list | tuple) else (values,)
    return several if all(map(is_count, several)) else None


def limit(value: object) -> str:
    """Return what a message about a count adds where the count is too large.

    Example:
        >>> f"expected a positive integer{limit(10**20)}"
        'expected a positive integer below 2**31'
    """
    return " below 2**31" if isinstance(value, int) and value >= LARGEST else ""


def is_seed(value: object) -> bool:
    """Return whether a value is an integer that torch takes as a seed, from 0 to 2**63 - 1."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_finite(value: object) -> bool:
    """Return whether a value is a number, and no boolean, that a float can hold.

    Example:
        >>> is_finite(3), is_finite(float("nan")), is_finite(10**400), is_finite("3")
        (True, False, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max

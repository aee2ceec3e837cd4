"""Numbers and policies that objectives take, checked alike."""

from pyrovae.numeric import is_finite
from pyrovae.objectives.terms import Policy

POLICIES = ("auto", "analytic", "sampled")


def require_number(
    objective: object,
    name: str,
    value: float,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return an argument of an objective as it came, or raise ValueError where it is out of range.

    Arguments:
        objective: the one that takes it.
        name: the argument's name.
        value: what came.
        least: the least number that fits.
        above: what it must be larger than.
        below: what it must be smaller than.
    """
    limits = [
        *([] if least is None else [f"of at least {least:g}"]),
        *([] if above is None else [f"above {above:g}"]),
        *([] if below is None else [f"below {below:g}"]),
    ]
    fits = is_finite(value)
    fits = fits and (least is None or value >= least)
    fits = fits and (above is None or value > above)
    fits = fits and (below is None or value < below)
    if not fits:
        wanted = f"a finite number {' and '.join(limits)}".rstrip()
        raise ValueError(f"{type(objective).__name__} expects {name} to be {wanted}; got {value!r}")
    return value


def require_policy(objective: object, kl: Policy) -> Policy:
    """Return how an objective is to take the KL, or raise ValueError where there is no such way."""
    if kl not in POLICIES:
        raise ValueError(
            f"{type(objective).__name__} expects kl to be 'auto', 'analytic' or 'sampled'; "
            f"got {kl!r}"
        )
    return kl

"""Checks: of settings that several objectives have."""

from pyrovae.numeric import is_finite
from pyrovae.objectives.terms import Policy
from pyrovae.schedules import Schedule, as_schedule


def check_policy(objective: object, kl: Policy) -> Policy:
    """Return how a KL is taken, if there is such a way.

    Raises:
        ValueError: there is none; the message names the objective.
    """
    if kl not in ("auto", "analytic", "sampled"):
        raise ValueError(
            f"{type(objective).__name__} expects kl to be 'auto', 'analytic' or 'sampled'; "
            f"got {kl!r}"
        )
    return kl


def check_schedule(objective: object, name: str, value: float | Schedule) -> Schedule:
    """Return a number of at least 0, or a schedule of such numbers, as a schedule.

    Of a schedule the ends are looked at.

    Raises:
        ValueError: it is negative or not finite; the message names the objective and the setting.
    """
    try:
        schedule = as_schedule(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{type(objective).__name__} expects {name} to be a finite number of at least 0, or a "
            f"schedule of such numbers; got {value!r}"
        ) from error
    for end in (schedule.final, getattr(schedule, "start", 0.0)):
        if end < 0.0:
            raise ValueError(
                f"{type(objective).__name__} expects {name} of at least 0; got {value!r}"
            )
    return schedule


def check_number(
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

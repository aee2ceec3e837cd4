"""Statistics: means over seeds with their intervals, and differences over the same seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95  # of each interval


@dataclass(frozen=True)
class Mean:
    """A mean over seeds.

    Arguments:
        mean: the mean.
        half: half the width of its interval, None where there is one number only.
        n: how many numbers there are.
    """

    mean: float
    half: float | None
    n: int


def mean_of(numbers: Sequence[float], *, level: float = LEVEL) -> Mean | None:
    r"""Return a mean with its interval, `mean +- t s / sqrt(n)`; None where there is no number.

    `s` is the standard deviation with n - 1 in its denominator, t the quantile of Student's
    distribution with n - 1 degrees of freedom. The interval is for seeds as draws of a population
    of seeds, whose numbers are normal.

    References:
        Student, 1908, The probable error of a mean, Biometrika 6.

    Arguments:
        numbers: one for each seed.
        level: the share of such intervals that hold the mean of the population.

    Example:
        >>> found = mean_of([1.0, 2.0, 3.0])
        >>> found.mean, round(found.half, 3), found.n
        (2.0, 2.484, 3)
        >>> mean_of([1.0])
        Mean(mean=1.0, half=None, n=1)
    """
    n = len(numbers)
    if n == 0:
        return None
    mean = math.fsum(numbers) / n
    if n == 1:
        return Mean(mean, None, 1)
    from scipy.stats import t

    spread = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (n - 1))
    quantile = float(t.ppf(0.5 + level / 2.0, n - 1))
    return Mean(mean, quantile * spread / math.sqrt(n), n)


def difference(
    ours: Mapping[int, float], theirs: Mapping[int, float], *, level: float = LEVEL
) -> Mean | None:
    """Return the mean of ours minus theirs over the seeds that both have, with its interval.

    What a seed does to both, such as an easy draw of labels, leaves the interval of their
    difference.

    Arguments:
        ours: numbers by seed.
        theirs: numbers by seed.
        level: as in `mean_of`.

    Example:
        >>> difference({0: 1.0, 1: 5.0, 2: 9.0}, {0: 0.0, 1: 4.0})
        Mean(mean=1.0, half=0.0, n=2)
    """
    return mean_of([ours[seed] - theirs[seed] for seed in ours if seed in theirs], level=level)

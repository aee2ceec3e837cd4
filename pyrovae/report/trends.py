"""Trends: what a course of losses says beyond its noise.

All thresholds are relative to the course itself, to its jitter from epoch to epoch and to how far
it has come, since a loss in nats per datum has no scale of its own.
"""

import math
from collections.abc import Sequence

import numpy as np

_SURE = 4.0  # standard errors that a difference must exceed to be no accident
_FEW = 8  # epochs below which a rise is not told from jitter
_FALL = 0.05  # the share of the whole fall that the last fifth still adds, to be worth more epochs
_GAP = 0.25  # the share of the training fall that validation did not follow

Losses = Sequence[float]


def jitter(losses: Losses) -> float:
    """Return the standard deviation of a course around its trend, robustly, from its second half.

    Example:
        >>> jitter([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
        0.0
    """
    steps = np.diff(np.asarray(losses, dtype=float)[len(losses) // 2 - 1 :])
    if len(steps) < 2:
        return 0.0
    return float(1.4826 * np.median(np.abs(steps - np.median(steps))) / math.sqrt(2.0))


def rise(valid: Losses, train: Losses) -> float | None:
    """Return by how much the validation loss rose from its lowest while the training loss fell.

    Both ends are means over a tenth of the epochs, three at least. None where the rise is within
    the jitter, or the training loss rose as well.

    Example:
        >>> down = [10.0 - i / 2 for i in range(20)]
        >>> rise([abs(i - 10.0) for i in range(20)], down)
        7.3
        >>> rise(down, down) is None
        True
    """
    epochs = len(valid)
    if epochs < _FEW or not _finite(valid, train):
        return None
    width = max(3, epochs // 10)
    smooth, followed = (np.convolve(x, np.ones(width) / width, "valid") for x in (valid, train))
    lowest = int(np.argmin(smooth))
    risen = float(smooth[-1] - smooth[lowest])
    error = jitter(valid) * math.sqrt(2.0 / width)
    apart = len(smooth) - 1 - lowest >= width
    if apart and risen > max(_SURE * error, 1e-3) and followed[-1] < followed[lowest]:
        return risen
    return None


def gap(valid: Losses, train: Losses, error: float | None) -> float | None:
    """Return by how much the training loss ended below the validation loss, where that is a lot.

    A lot is a quarter of what training gained since its first fifth, and four standard errors of
    a mean over held-out data.

    Arguments:
        valid: the validation loss of each epoch.
        train: the training loss of each epoch.
        error: the standard error over data of a held-out mean; where it is not known, a quarter of
            a nat stands in.

    Example:
        >>> down = [10.0, 8.0, 6.0, 4.0, 2.0]
        >>> gap([10.0, 9.0, 8.0, 7.0, 7.0], down, 0.1)
        5.0
    """
    if len(valid) < 5 or not _finite(valid, train):
        return None
    width = max(1, len(valid) // 10)
    apart = _mean(valid[-width:]) - _mean(train[-width:])
    fallen = _reference(train) - _mean(train[-width:])
    sure = _SURE * (0.25 if error is None else error)
    return apart if fallen > 0.0 and apart > max(_GAP * fallen, sure) else None


def gain(losses: Losses) -> float | None:
    """Return what the last fifth of the epochs still gained on the fifth before, if worth more.

    None where it is within the jitter, or below a twentieth of the fall since the first fifth.

    Example:
        >>> gain([10.0, 8.0, 6.0, 4.0, 2.0])
        2.0
        >>> gain([10.0, 1.0, 0.0, 0.0, 0.0]) is None
        True
    """
    if len(losses) < 3 or not _finite(losses):
        return None
    width = max(1, len(losses) // 5)
    before, last = _mean(losses[-2 * width : -width]), _mean(losses[-width:])
    gained = before - last
    error = jitter(losses) * math.sqrt(2.0 / width) if len(losses) >= _FEW else 0.0
    fallen = _reference(losses) - last
    return gained if fallen > 0.0 and gained > max(_SURE * error, _FALL * fallen) else None


def _reference(losses: Losses) -> float:
    """Return where a course began, past the first epochs that depend on the starting values."""
    return float(np.median(losses[: max(1, len(losses) // 5)]))


def _mean(losses: Losses) -> float:
    return sum(losses) / len(losses)


def _finite(*courses: Losses) -> bool:
    return len({len(course) for course in courses}) == 1 and all(
        math.isfinite(loss) for course in courses for loss in course
    )

"""Figures of labels: which classes are taken for which, and how far probabilities can be believed.

Both are drawn from a `Classification`, so that they are about the data that its numbers are about.
"""

import numpy as np
from torch import Tensor

from pyrovae.evaluation import Calibration, Classification
from pyrovae.evaluation.classification import wilson
from pyrovae.report.drawing import BLUE, FAINT, INK, Margins, Picture, canvas, ruled, svg, titled

_COUNTED = 12  # classes, of which each cell holds its count
_SHADE = 0.7  # of a cell that holds a whole row
_LETTER = 7.5


def confusion(told: Classification) -> Picture:
    """Return how many data of each label were given each class, as a table of shades.

    Arguments:
        told: the numbers of labels that are classes.

    Raises:
        ValueError: labels are no classes.
    """
    if told.confusion is None:
        raise ValueError("labels that are no classes have no confusion matrix")
    counts = told.confusion.numpy()
    levels = len(counts)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, (axis,) = canvas(4.3, margins=Margins(left=0.72, right=0.3, bottom=0.5, top=0.12))
    from matplotlib.patches import Rectangle

    for row, column in zip(*np.nonzero(counts), strict=True):
        share = float(shares[row, column])
        place = (float(column) - 0.5, float(row) - 0.5)
        axis.add_patch(Rectangle(place, 1.0, 1.0, color=BLUE, alpha=_SHADE * share, linewidth=0))
        if levels <= _COUNTED:
            axis.text(
                float(column), float(row), f"{counts[row, column]}", ha="center", va="center",
                fontsize=_LETTER, color=INK,
            )  # fmt: skip
    axis.set_xlim(-0.5, levels - 0.5)
    axis.set_ylim(levels - 0.5, -0.5)
    axis.set_aspect("equal", adjustable="box")
    ticks = np.arange(levels) if levels <= 2 * _COUNTED else np.arange(0, levels, levels // 10)
    for set_ticks in (axis.set_xticks, axis.set_yticks):
        set_ticks(ticks.tolist())
    for side in ("top", "right"):
        axis.spines[side].set_visible(True)
    for spine in axis.spines.values():
        spine.set_color(FAINT)
    axis.tick_params(length=0)
    titled(axis, "", "class told", "label")
    worst = _worst(counts)
    how = (
        f"Confusion of {told.labelled} held-out data, {told.headline}: the label down, the "
        f"likeliest class across; a darker cell holds more of its row.{worst}"
    )
    return svg(figure, alt=f"Table. {how}", caption=how)


def calibration(told: Classification) -> Picture:
    """Return how often the likeliest class is right, by the probability that it is given.

    Arguments:
        told: the numbers of labels that are classes.

    Raises:
        ValueError: there are no probabilities of classes.
    """
    bins = told.calibration
    if bins is None:
        raise ValueError("without probabilities of classes there is no calibration")
    figure, (axis,) = canvas(3.2, margins=Margins(top=0.12))
    at, right, low, high = _shares(bins)
    axis.plot([0.0, 1.0], [0.0, 1.0], color=FAINT, linewidth=1.2)
    axis.vlines(at, low, high, color=BLUE, linewidth=1.0)
    share = bins.count.numpy() / max(1, int(bins.count.sum()))
    axis.scatter(at, right, s=(12.0 + 120.0 * share).tolist(), color=BLUE, linewidths=0, zorder=3)
    axis.set_xlim(0.0, 1.02)
    axis.set_ylim(0.0, 1.02)
    ruled(axis)
    titled(axis, "", "probability of the likeliest class", "share that is right")
    error = bins.error
    gap = float((bins.count * (bins.confidence - bins.accuracy)).sum() / bins.count.sum())
    side = "too sure" if gap > 0.0 else "not sure enough"
    how = (
        f"Calibration of q(y | x) on {told.labelled} held-out data: on the line, probabilities say "
        f"how often a class is right. Larger points stand for more data, lines for 95 % intervals. "
        f"Expected calibration error {error:.3f}; on the whole {side}, by {abs(gap):.3f}."
    )
    return svg(figure, alt=f"Chart of points. {how}", caption=how)


def _shares(bins: Calibration) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return the confidence of each bin, and the share that is right with its interval."""
    pairs = list(zip(bins.accuracy.tolist(), bins.count.tolist(), strict=True))
    ends = [wilson(share, int(count)) for share, count in pairs]
    low, high = ([end[at] for end in ends] for at in (0, 1))
    return bins.confidence.tolist(), [share for share, _ in pairs], low, high


def _worst(counts: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> str:
    """Return in words which class is taken most often for which other one."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.max():
        return ""
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return f" Most often a {row} is taken for a {column}, {wrong[row, column]} times."


def column_names(y: Tensor) -> str:
    """Return what stands above the columns of a grid, in words.

    Example:
        >>> import torch
        >>> column_names(torch.arange(3)), column_names(torch.tensor([0.25, 1.5]))
        ('0, 1, 2', '0.25, 1.5')
    """
    return ", ".join(f"{value:.3g}" for value in y.tolist())

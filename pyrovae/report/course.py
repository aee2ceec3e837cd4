"""The course of training: the bound, the reconstruction and the KL over the epochs."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrovae.report.drawing import (
    BLUE,
    COLORS,
    INK,
    ORANGE,
    Margins,
    Picture,
    canvas,
    counted,
    keyed,
    ruled,
    svg,
    titled,
)
from pyrovae.report.facts import best_epoch
from pyrovae.report.numbers import signed
from pyrovae.report.reading import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

_POINTS = 1500  # of a line; longer ones are thinned

_STYLES: dict[str, dict[str, Any]] = {
    "train": {"color": ORANGE, "linestyle": (0, (4, 1.5)), "linewidth": 1.3, "label": "training"},
    "valid": {"color": BLUE, "linestyle": "-", "linewidth": 1.7, "label": "validation"},
}


def course(record: RunRecord) -> list[Picture]:
    """Return the figures of a run's training: its bound, and the two terms of it."""
    if not (record.has("train/loss") or record.has("valid/loss")):
        raise ValueError("no epoch was recorded in metrics.jsonl")
    figures = [_bound(record)]
    if record.has("train/reconstruction") and record.has("train/kl"):
        figures.append(_terms(record))
    return figures


def together(records: Sequence[RunRecord], letters: Sequence[str]) -> Picture | None:
    """Return the bounds of several runs in one figure, each line with its run's letter."""
    shown = [
        (letter, record, "valid/loss" if record.has("valid/loss") else "train/loss")
        for letter, record in zip(letters, records, strict=True)
        if record.has("valid/loss") or record.has("train/loss")
    ]
    if len(shown) < 2:
        return None
    figure, (axis,) = canvas(3.2)
    dashes = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))
    courses = []
    for at, (letter, record, name) in enumerate(shown):
        epochs, losses = _points(record, name)
        color = COLORS[at % len(COLORS)]
        axis.plot(
            epochs, -losses, color=color, linestyle=dashes[at // len(COLORS) % 4], linewidth=1.6
        )
        known = np.flatnonzero(np.isfinite(losses))
        last = known[-1]
        axis.annotate(
            letter, (epochs[last], -losses[last]), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=9, fontweight="bold", color=color,
        )  # fmt: skip
        courses.append(-losses)
    _limited(axis, courses)
    titled(axis, "Bound of each run", "epoch", "nats per datum")
    counted(axis)
    ruled(axis)
    names = ", ".join(letter for letter, *_ in shown)
    said = (
        "validation"
        if all(name == "valid/loss" for *_, name in shown)
        else "validated where it was"
    )
    return svg(
        figure,
        alt=f"Line plot of the bound over the epochs for the runs {names}.",
        caption=f"The bound that each run raised ({said}). Bounds of different objectives, or on "
        f"different data, are not comparable.",
    )


def _bound(record: RunRecord) -> Picture:
    figure, (axis,) = canvas(3.0)
    ends = []
    courses = []
    for split in ("train", "valid"):
        if record.has(f"{split}/loss"):
            epochs, losses = _points(record, f"{split}/loss")
            marker = "o" if np.isfinite(losses).sum() == 1 else None
            axis.plot(epochs, -losses, marker=marker, **_STYLES[split])
            courses.append(-losses)
            known = losses[np.isfinite(losses)]
            ends.append(f"{_STYLES[split]['label']} ends at {-known[-1]:.4g}")
    best = best_epoch(record)
    caption = ""
    kept = [-epoch["valid/loss"] for epoch in record.epochs if epoch["epoch"] == best]
    if best is not None and kept and math.isfinite(kept[0]):
        axis.plot([best], kept, "o", color=INK, markersize=4, label=f"best epoch, {best}")
        ends.append(f"the best epoch is {best} at {kept[0]:.4g}")
        caption = f"Best on validation data: epoch {best}, {signed(kept[0])} nats per datum. "
    hidden = _limited(axis, courses)
    name = _name(record)
    titled(axis, name, "epoch", "nats per datum")
    counted(axis)
    ruled(axis)
    keyed(axis, loc="best")
    if hidden:
        caption += "The first epochs lie below the figure."
    alt = f"Line plot of {name} over {len(record.epochs)} epochs: {', '.join(ends)}."
    return svg(figure, alt=alt, caption=caption.strip())


def _terms(record: RunRecord) -> Picture:
    figure, axes = canvas(3.7, rows=2, margins=Margins(down=0.52))
    alts = []
    shown = (("reconstruction", "Reconstruction, E[log p(x | z)]"), ("kl", "KL(q(z | x) || p(z))"))
    for axis, (name, title) in zip(axes, shown, strict=True):
        courses = []
        for split in ("train", "valid"):
            if record.has(f"{split}/{name}"):
                epochs, values = _points(record, f"{split}/{name}")
                marker = "o" if np.isfinite(values).sum() == 1 else None
                axis.plot(epochs, values, marker=marker, **_STYLES[split])
                courses.append(values)
                known = values[np.isfinite(values)]
                alts.append(f"{_STYLES[split]['label']} {name} ends at {known[-1]:.4g}")
        _limited(axis, courses, both=True)
        titled(axis, title, "epoch" if axis is axes[-1] else "", "nats per datum")
        counted(axis)
        ruled(axis)
    keyed(axes[0], loc="best")
    return svg(
        figure,
        alt=f"Two line plots over the epochs: {', '.join(alts)}.",
        caption="The two terms: ELBO = reconstruction \N{MINUS SIGN} KL.",
    )


def _name(record: RunRecord) -> str:
    """Name what the loss is the negative of: the ELBO, where it is that."""
    for split in ("valid", "train"):
        if record.has(f"{split}/loss"):
            losses, elbos = record.column(f"{split}/loss"), record.column(f"{split}/elbo")
            same = all(
                abs(loss + elbo) <= 1e-4 * max(1.0, abs(loss))
                for loss, elbo in zip(losses, elbos, strict=True)
                if math.isfinite(loss)
            )
            return "ELBO" if same else "The objective's bound"
    return "The objective's bound"


def _points(record: RunRecord, name: str) -> tuple[Array, Array]:
    epochs, values = np.array(record.column("epoch")), np.array(record.column(name))
    every = -(-len(epochs) // _POINTS)
    keep = (np.arange(len(epochs)) % every == 0) | (np.arange(len(epochs)) == len(epochs) - 1)
    return epochs[keep], values[keep]


def _limited(axis: "Axes", courses: Sequence[Array], *, both: bool = False) -> bool:
    """Let the first epochs, far from the others, not press these together; return if it did."""
    known = np.concatenate([c[np.isfinite(c)] for c in courses] or [np.zeros(1)])
    late = [c[len(c) // 10 :] for c in courses if len(c) >= 10]
    if not late:
        return False
    kept = np.concatenate([c[np.isfinite(c)] for c in late])
    if not len(kept):
        return False
    low, high = float(kept.min()), float(kept.max())
    room = 0.08 * ((high - low) or 1.0)
    axis.set_ylim(low - room, (high if both else float(known.max())) + room)
    return float(known.min()) < low - room

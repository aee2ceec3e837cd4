"""Vectors: figures of data that are no images: numbers, pairs, columns of a table, curves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from pyrovae.report.drawing import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    Margins,
    Picture,
    bare,
    canvas,
    keyed,
    ruled,
    svg,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

_SHOWN = ((ORANGE, "data"), (BLUE, "samples"))
PANELS = 12
_DOTS = 500
_COMPARED = 6  # columns shown against their reconstructions
_ELEMENTS = 400
_LETTER = 0.075  # inches
_SMALL = 160  # of a curve in a small panel
_FEW = 64  # elements of a curve in a small panel that is drawn as lines, not as points


def histogram(data: Tensor | None, drawn: Tensor, names: Sequence[str]) -> Picture:
    """Return the distribution of a single number, of data and of samples."""
    figure, (axis,) = canvas(3.0)
    sets = [
        (flat(x), *shown) for x, shown in zip((data, drawn), _SHOWN, strict=True) if x is not None
    ]
    low = min(float(np.nanquantile(x, 0.005)) for x, *_ in sets)
    high = max(float(np.nanquantile(x, 0.995)) for x, *_ in sets)
    edges = np.linspace(low, high if high > low else low + 1.0, 41)
    for values, color, name in sets:
        known = values[np.isfinite(values)]
        filled = name == "data"
        axis.hist(
            known, edges.tolist(), weights=np.full(len(known), 1.0 / max(1, len(known))),
            color=color,
            histtype="stepfilled" if filled else "step", alpha=0.35 if filled else 1.0,
            linewidth=1.6, label=name,
        )  # fmt: skip
    titled(axis, "", names[0], "share")
    keyed(axis, loc="upper right")
    said = _said(data, drawn)
    return svg(figure, alt=f"Histograms of {said}.", caption=f"The distribution of {said}.")


def scatter(data: Tensor | None, drawn: Tensor, names: Sequence[str]) -> Picture:
    """Return pairs of numbers as points, of data and of samples."""
    figure, (axis,) = canvas(4.0, margins=Margins(top=0.35))
    for x, (color, name) in zip((data, drawn), _SHOWN, strict=True):
        if x is not None:
            points = flat(x)[:_DOTS]
            axis.scatter(
                points[:, 0], points[:, 1], s=9, c=color, label=name,
                marker="o" if name == "data" else "x",
                linewidths=0.0 if name == "data" else 0.9, alpha=0.7, rasterized=True,
            )  # fmt: skip
    titled(axis, "", names[0], names[1])
    keyed(axis, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    said = _said(data, drawn)
    return svg(figure, alt=f"Scatter plot of {said}.", caption=f"Pairs of {said}.")


def quantiles(data: Tensor | None, drawn: Tensor, names: Sequence[str]) -> Picture:
    """Return quantiles of each column, of data and of samples side by side."""
    sets = [
        (flat(x), *shown) for x, shown in zip((data, drawn), _SHOWN, strict=True) if x is not None
    ]
    centre, spread = _moments(sets[0][0])
    columns = len(centre)
    left = max(0.5, 0.15 + _LETTER * max(map(len, names)))
    figure, (axis,) = canvas(max(2.2, 0.9 + 0.32 * columns), margins=Margins(left=left, top=0.35))
    for (values, color, name), shift in zip(sets, (-0.15, 0.15), strict=False):
        found = _quantiles((values - centre) / spread, (0.05, 0.25, 0.5, 0.75, 0.95))
        at = np.arange(columns) + shift
        axis.hlines(at, found[0], found[4], color=color, linewidth=1.2)
        axis.hlines(at, found[1], found[3], color=color, linewidth=4.5, label=name)
        axis.plot(found[2], at, "o", color="white", markeredgecolor=color, markersize=4)
    axis.set_yticks(range(columns), names)
    axis.invert_yaxis()
    axis.grid(axis="x", color=FAINT, linewidth=0.6)
    axis.set_axisbelow(True)
    titled(axis, "", "standard deviations of the " + sets[0][2] + " from their mean")
    keyed(axis, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    said = _said(data, drawn)
    return svg(
        figure,
        alt=f"Quantiles of each of {columns} columns, {said}.",
        caption=f"Each column of {said}: median, middle half and middle nine tenths.",
    )


def bands(data: Tensor | None, drawn: Tensor) -> Picture:
    """Return the median and a band of quantiles over the elements of x."""
    figure, (axis,) = canvas(3.0, margins=Margins(top=0.35))
    for x, (color, name) in zip((data, drawn), _SHOWN, strict=True):
        if x is not None:
            at, values = thinned(flat(x))
            low, middle, high = _quantiles(values, (0.05, 0.5, 0.95))
            axis.fill_between(at, low, high, color=color, alpha=0.2, linewidth=0)
            axis.plot(
                at, middle, color=color, linewidth=1.5, label=name,
                linestyle="-" if name == "samples" else (0, (4, 1.5)),
            )  # fmt: skip
    titled(axis, "", "element of x", "value")
    ruled(axis)
    keyed(axis, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    said = _said(data, drawn)
    return svg(
        figure,
        alt=f"Median and 5 to 95 % band over the elements of x, {said}.",
        caption=f"Median and the band from 5 % to 95 % of {said}.",
    )


def curves(first: Tensor, second: Tensor, names: tuple[str, str], *, caption: str) -> Picture:
    """Return curves in small panels, the first as dots and the second as a line over them."""
    at, dots = thinned(flat(first)[:PANELS], _SMALL)
    _, lines = thinned(flat(second)[:PANELS], _SMALL)
    columns = 3 if len(dots) > 2 else len(dots)
    rows = -(-len(dots) // columns)
    many = dots.shape[1] > _FEW
    figure, axes = canvas(
        0.35 + 0.8 * rows,
        rows=rows,
        columns=columns,
        shared=True,
        margins=Margins(left=0.05, right=0.05, bottom=0.05, top=0.3, across=0.08, down=0.08),
    )
    for panel, axis in enumerate(axes):
        bare(axis)
        if panel >= len(dots):
            axis.set_visible(False)
            continue
        axis.plot(
            at, dots[panel], ".", color=ORANGE, markersize=2.5, label=names[0], rasterized=many
        )
        axis.plot(at, lines[panel], color=BLUE, linewidth=1.2, label=names[1], rasterized=many)
    _legend(figure, axes[0])
    return svg(figure, alt=f"{len(dots)} small line plots. {caption}", caption=caption)


def agreement(x: Tensor, again: Tensor, names: Sequence[str]) -> Picture:
    """Return for each column the data against their reconstructions."""
    data, made = flat(x)[:_DOTS], flat(again)[:_DOTS]
    count = min(data.shape[1], _COMPARED)
    columns = min(count, 3)
    rows = -(-count // columns)
    figure, axes = canvas(
        0.5 + (1.45 if columns > 1 else 2.8) * rows,
        rows=rows,
        columns=columns,
        margins=Margins(left=0.6, top=0.25, across=0.4),
    )
    for at, axis in enumerate(axes):
        if at >= count:
            axis.set_visible(False)
            continue
        known = np.isfinite(data[:, at]) & np.isfinite(made[:, at])
        axis.scatter(
            data[known, at], made[known, at], s=7, c=BLUE, alpha=0.5, linewidths=0, rasterized=True
        )
        if known.any():
            low, high = float(data[known, at].min()), float(data[known, at].max())
            axis.plot([low, high], [low, high], color=INK, linewidth=0.8, linestyle=":")
        titled(axis, names[at])
        axis.tick_params(labelsize=6.5)
    figure.supxlabel("held-out data", fontsize=8.5, color=INK)
    figure.supylabel("reconstruction", fontsize=8.5, color=INK)
    caption = "Held-out data against their reconstructions; on the dotted line the two are equal."
    if count < data.shape[1]:
        caption += f" The first {count} of {data.shape[1]} columns are shown."
    return svg(figure, alt=f"Scatter plot for each of {count} columns. {caption}", caption=caption)


def moved(
    values: Array, means: Sequence[Array], labels: Sequence[str], *, curve: bool, caption: str
) -> Picture:
    """Return how E[x | z] changes along some latent dimensions, a panel for each.

    Arguments:
        values: `[dimensions, steps]`, what each dimension is set to.
        means: for each dimension `[steps, elements]`.
        labels: what each dimension is called.
        curve: whether x is a curve, drawn over its elements, one line for each step.
        caption: what is said below.
    """
    columns = min(2, len(means))
    rows = -(-len(means) // columns)
    figure, axes = canvas(
        0.35 + 1.4 * rows,
        rows=rows,
        columns=columns,
        margins=Margins(left=0.6, right=0.15, top=0.25, across=0.45, down=0.5),
    )
    colors = _scale(values.shape[1])
    elements = _scale(min(PANELS, means[0].shape[1]))
    for panel, axis in enumerate(axes):
        if panel >= len(means):
            axis.set_visible(False)
            continue
        if curve:
            places, lines = thinned(means[panel], _SMALL)
            for step, line in enumerate(lines):
                axis.plot(
                    places, line, color=colors[step], linewidth=1.0, rasterized=len(line) > _FEW
                )
        else:
            for at, color in enumerate(elements):
                axis.plot(values[panel], means[panel][:, at], color=color, linewidth=1.3)
                if means[0].shape[1] > 1:
                    axis.annotate(
                        str(at), (values[panel][-1], means[panel][-1, at]), fontsize=6.5,
                        color=INK, xytext=(2, 0), textcoords="offset points", va="center",
                    )  # fmt: skip
        titled(axis, labels[panel])
        axis.tick_params(labelsize=6.5)
    figure.supxlabel("element of x" if curve else "value of the dimension", fontsize=8.5, color=INK)
    figure.supylabel("E[x | z]", fontsize=8.5, color=INK)
    return svg(figure, alt=f"{len(means)} line plots. {caption}", caption=caption)


def flat(x: Tensor) -> Array:
    """Return data as rows of numbers."""
    found: Array = x.detach().reshape(len(x), -1).double().numpy()
    return found


def thinned(rows: Array, most: int = _ELEMENTS) -> tuple[Array, Array]:
    """Return the positions and values of some elements of each row, evenly chosen."""
    columns = rows.shape[1]
    at = np.unique(np.linspace(0, columns - 1, min(columns, most)).round().astype(int))
    return at, rows[:, at]


def _quantiles(values: Array, levels: tuple[float, ...]) -> Array:
    """Return quantiles of each column, nan for a column of which nothing is known."""
    absent = ~np.isfinite(values).any(axis=0)
    found = np.nanquantile(np.where(absent, 0.0, values), levels, axis=0)
    found[:, absent] = np.nan
    return np.asarray(found)


def _moments(values: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column; one that does not vary keeps its size."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, values - centre, 0.0) ** 2).sum(axis=0) / count)
    return centre, np.where(spread > 0.0, spread, 1.0)


def _scale(count: int) -> Array:
    """Return so many colours from violet to yellow, all to be seen on a light and a dark page."""
    from matplotlib import colormaps

    found: Array = colormaps["viridis"](np.linspace(0.15, 0.92, count))
    return found


def _said(data: Tensor | None, drawn: Tensor) -> str:
    count = f"{len(drawn)} samples of the model"
    return count if data is None else f"{len(data)} held-out data and {count}"


def _legend(figure: Any, axis: "Axes") -> None:
    handles, labels = axis.get_legend_handles_labels()
    if len(handles) > 1:
        figure.legend(
            handles, labels, loc="upper left", ncols=2, frameon=False, fontsize=8, labelcolor=INK,
            borderpad=0.0,
        )  # fmt: skip

"""Figures of the latent space: where held-out data lie, and which dimensions carry something."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.report.drawing import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    Margins,
    Picture,
    canvas,
    keyed,
    ruled,
    svg,
    titled,
)
from pyrovae.report.looking import ACTIVE, Latents

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

_CLASSES = 10  # as many colours as can be told apart; more labels become one scale
_NAMED = 40  # classes whose number is written where their data lie
_BARS = 60  # dimensions shown as bars

# Paul Tol's muted colours, with ink for a tenth, and marks of their own.
_COLORS = (
    "#332288", "#88ccee", "#44aa99", "#117733", "#999933",
    "#ddaa33", "#cc6677", "#882255", "#aa4499", "#777777",
)  # fmt: skip
_MARKS = "osD^vP<X>h"


def principal(place: Tensor) -> tuple[Tensor, list[float]]:
    """Return the first two principal components, and their shares of the variance.

    Arguments:
        place: `[rows, dimensions]`.

    Example:
        >>> found, shares = principal(torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 1, 0], [2, 1, 0]]))
        >>> found.shape, [round(share, 2) for share in shares]
        (torch.Size([4, 2]), [0.8, 0.2])
    """
    centred = (place - place.mean(0)).double()
    _, values, rows = torch.linalg.svd(centred, full_matrices=False)
    rows = rows * rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()  # one sign for all
    total = float(values.square().sum()) or 1.0
    shares = [float(value) / total for value in values[:2].square()]
    found = centred @ rows[:2].T
    return found.float(), shares


def space(latents: Latents) -> Picture:
    """Return where held-out data lie in the latent space, coloured by label."""
    what = "posterior means" if latents.is_mean else "one draw of each posterior"
    dimensions = latents.place.shape[1]
    place, labels = latents.place, latents.labels
    if len(place) < 2:
        raise ValueError("one held-out datum alone shows nothing of a latent space")
    labelled = "" if labels is None or not bool((labels >= 0).any()) else ", coloured by label"
    if dimensions == 1:
        return _line(place[:, 0], labels, latents.names[0], what)
    if dimensions == 2:
        points, names = place, latents.names
        how = f"The two latent dimensions of {len(place)} held-out data: {what}{labelled}."
    else:
        points, shares = principal(place)
        names = [
            f"component {at} ({share:.0%} of the variance)"
            for at, share in enumerate(shares, start=1)
        ]
        how = (
            f"The first two principal components of {dimensions} latent dimensions, "
            f"{len(place)} held-out data: {what}{labelled}."
        )
    figure, (axis,) = canvas(4.2, margins=_margins(labels))
    _scatter(axis, points.numpy(), labels)
    titled(axis, "", names[0], names[1])
    spread = points.amax(0) - points.amin(0)
    if float(spread.max()) < 8.0 * float(spread.min()):
        axis.set_aspect("equal", adjustable="datalim")
    return svg(figure, alt=f"Scatter plot. {how}", caption=how)


def _margins(labels: Tensor | None) -> Margins:
    """Return margins with room on the right for a key of few labels."""
    few = labels is not None and 1 < len(labels.unique()) <= _CLASSES + 1
    return Margins(right=0.8 if few else 0.12, top=0.1)


def _scatter(axis: "Axes", points: Array, labels: Tensor | None) -> None:
    size = 18 if len(points) < 600 else 12
    kind = np.full(len(points), -1) if labels is None else labels.numpy()
    classes = np.unique(kind[kind >= 0])
    plain = kind < 0
    if plain.any():
        color, name = (BLUE, "") if not len(classes) else ("#999999", "unlabelled")
        axis.scatter(
            points[plain, 0], points[plain, 1], s=size, c=color, alpha=0.6, linewidths=0,
            rasterized=True, label=name,
        )  # fmt: skip
    if len(classes) > _CLASSES:
        shown = ~plain
        axis.scatter(
            points[shown, 0], points[shown, 1], s=size, c=kind[shown], cmap="viridis",
            alpha=0.8, linewidths=0, rasterized=True,
        )  # fmt: skip
    else:
        for at, label in enumerate(classes):
            own = points[kind == label]
            axis.scatter(
                own[:, 0], own[:, 1], s=size, c=_COLORS[at], marker=_MARKS[at], alpha=0.8,
                linewidths=0, rasterized=True, label=str(label),
            )  # fmt: skip
        if len(classes) or not plain.all():
            keyed(axis, loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
    if len(classes) <= _NAMED:
        for label in classes:
            x, y = np.median(points[kind == label], axis=0)
            _named(axis, float(x), float(y), str(label))


def _named(axis: "Axes", x: float, y: float, name: str) -> None:
    from matplotlib.patheffects import withStroke

    axis.text(
        x, y, name, fontsize=9, fontweight="bold", color="#111111", ha="center", va="center",
        path_effects=[withStroke(linewidth=2.5, foreground="white")], clip_on=True,
    )  # fmt: skip


def _line(place: Tensor, labels: Tensor | None, name: str, what: str) -> Picture:
    """Return a histogram of the one dimension, a line for each label."""
    figure, (axis,) = canvas(3.0, margins=_margins(labels))
    values = place.numpy()
    edges = np.linspace(values.min(), values.max() or 1.0, 41)
    if edges[0] == edges[-1]:
        edges = np.linspace(values.min() - 0.5, values.min() + 0.5, 41)
    kind = np.full(len(values), -1) if labels is None else labels.numpy()
    classes = np.unique(kind)
    many = len(classes) > _CLASSES
    for at, label in enumerate([-1] if many else classes):
        chosen = values if many else values[kind == label]
        plain = label < 0
        axis.hist(
            chosen, edges.tolist(), histtype="stepfilled" if len(classes) == 1 or many else "step",
            color=(BLUE if len(classes) == 1 or many else "#999999") if plain else _COLORS[at],
            linewidth=1.5, alpha=0.85, label="unlabelled" if plain else str(label),
        )  # fmt: skip
    titled(axis, "", name, "number of data")
    keyed(axis, loc="center left", bbox_to_anchor=(1.0, 0.5))
    how = f"The latent dimension of {len(values)} held-out data: {what}."
    return svg(figure, alt=f"Histogram. {how}", caption=how)


def dimensions(latents: Latents) -> Picture:
    """Return a bar for each dimension, its KL or its variance, the largest first."""
    weight = latents.variance.double() if latents.kl is None else latents.kl
    order = latents.order
    values = weight[order].numpy()
    active = None if latents.active is None else latents.active[order].numpy()
    shown = values[:_BARS]
    figure, (axis,) = canvas(2.9)
    at = np.arange(len(shown))
    used = np.ones(len(shown), dtype=bool) if active is None else active[:_BARS]
    if used.any():
        axis.bar(at[used], shown[used], color=BLUE, width=0.8, label="active")
    if (~used).any():
        axis.bar(
            at[~used], shown[~used], color="none", edgecolor=ORANGE, hatch="////", width=0.8,
            linewidth=0.8, label="collapsed",
        )  # fmt: skip
        floor = float(np.maximum(shown.max(), 1e-12))
        axis.plot(
            at[~used], np.full((~used).sum(), -0.035 * floor), "x", color=ORANGE, markersize=4,
            clip_on=False,
        )  # fmt: skip
    axis.set_xticks(at if len(shown) <= 20 else at[:: max(1, len(shown) // 12)])
    axis.set_xticklabels([str(order[int(tick)]) for tick in axis.get_xticks()], fontsize=7.5)
    axis.set_xlim(-0.7, max(len(shown), 6) - 0.3)
    what = "KL" if latents.kl is not None else "variance of the posterior mean"
    unit = "nats per datum" if latents.kl is not None else "squared units of z"
    titled(axis, f"{what[0].upper()}{what[1:]} of each dimension", "latent dimension", unit)
    ruled(axis)
    keyed(axis, loc="upper right")
    count = len(values)
    said = f"{what} of the latent dimension"
    if count > 1:
        said = f"{what} of {count} latent dimensions, the largest first"
    if active is not None:
        said += f": {int(active.sum())} active, {int((~active).sum())} collapsed"
    caption = f"{said[0].upper()}{said[1:]}."
    if active is not None:
        caption += f" Active: the posterior mean varies by a variance above {ACTIVE:g}."
    if count > _BARS:
        caption += f" The first {_BARS} are shown."
    if latents.kl is None:
        caption += " The KL does not split into dimensions for these parts."
    axis.axhline(0.0, color=INK, linewidth=0.6)
    axis.tick_params(axis="x", length=0)
    axis.spines["bottom"].set_color(FAINT)
    total = f" Sum: {values.sum():.2f} nats." if latents.kl is not None else ""
    return svg(figure, alt=f"Bar chart. {caption}", caption=f"{caption}{total}")

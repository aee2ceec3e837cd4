"""Figure: the number that a comparison is about, against a varied setting, with intervals."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyrovae.comparison.grid import Varied
from pyrovae.comparison.numbers import name_of
from pyrovae.comparison.plan import Row
from pyrovae.comparison.statistics import Mean
from pyrovae.comparison.summary import Summary
from pyrovae.files import replaced
from pyrovae.report.drawing import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPAN = 10.0  # from this ratio on numbers stand on a logarithmic axis
_MARKS = "os^Dv*Pp"
_CLOSEST = 0.05  # of the axis, from one number to the next
_STEP = 0.012  # of the axis, by which lines stand apart, so that intervals do not cover each other


def draw(summary: Summary, file: Path) -> bool:
    """Draw a comparison, and return whether there was a number to draw.

    Arguments:
        summary: what came out.
        file: the PNG file to write.

    Raises:
        OSError: it cannot be written.
    """
    key = summary.first
    if key is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axis = chosen(summary.plan.varied)
    places = _places(summary, axis)
    if axis is not None and scale_of(summary.plan.varied[axis]) == "log":
        axes.set_xscale("log")
    lines = _lines(summary, axis)
    for at, (label, rows) in enumerate(lines.items()):
        shift = _STEP * (at - (len(lines) - 1) / 2.0)
        _draw_line(axes, summary, key, axis, places, rows, label=label, at=at, shift=shift)
    axes.set_xticks(list(places.values()), [_safe(text) for text in places])
    axes.minorticks_off()
    axes.margins(x=0.12)
    if axis is not None:
        axes.set_xlabel(_safe(list(summary.plan.keys.values())[axis]))
    axes.set_ylabel(_safe(name_of(key).name))
    axes.grid(axis="y", linewidth=0.5, alpha=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)
    with replaced(file) as path:
        canvas.print_png(str(path))  # type: ignore[no-untyped-call]
    return True


def chosen(varied: Sequence[Varied]) -> int | None:
    """Return which setting lies along the axis: numbers before words, then the one of most values.

    Example:
        >>> from pyrovae.comparison.grid import varied
        >>> chosen([varied("model.prior=A,B,C"), varied("data.labels=100,1000")])
        1
    """
    if not varied:
        return None
    return max(
        range(len(varied)),
        key=lambda at: (
            is_numeric(varied[at]) and len(varied[at].values) > 1,
            len(varied[at].values),
            -at,
        ),
    )


def is_numeric(setting: Varied) -> bool:
    """Return whether all values of a setting are numbers."""
    return all(value.number is not None for value in setting.values)


def scale_of(setting: Varied) -> Literal["log", "linear", "even"]:
    """Return how the values of a setting stand along the axis.

    Positive numbers that span more than a factor of ten stand by their logarithms. What would lie
    on top of one another, such as 0, 0.1 and 1000, is spaced evenly, as words are.

    Example:
        >>> from pyrovae.comparison.grid import varied
        >>> [scale_of(varied(f"a={values}")) for values in ("100,1001", "1,2,4", "0,1,100", "x,y")]
        ['log', 'linear', 'even', 'even']
    """
    numbers = sorted({value.number for value in setting.values if value.number is not None})
    if not is_numeric(setting):
        return "even"
    if numbers[0] > 0.0 and numbers[-1] / numbers[0] > SPAN:
        return "log"
    gaps = [high - low for low, high in pairwise(numbers)]
    close = any(gap < _CLOSEST * (numbers[-1] - numbers[0]) for gap in gaps)
    return "even" if close or len(numbers) < len(setting.values) else "linear"


def _places(summary: Summary, axis: int | None) -> dict[str, float]:
    """Return where the values of the axis stand, by their texts."""
    if axis is None:
        return {row.model: 0.0 for row in summary.plan.rows[:1]}
    setting = summary.plan.varied[axis]
    if scale_of(setting) != "even":
        return {value.text: value.number or 0.0 for value in setting.values}
    return {value.text: float(at) for at, value in enumerate(setting.values)}


def _lines(summary: Summary, axis: int | None) -> dict[str, list[Row]]:
    """Return the rows of each line by its label: those that differ along the axis alone."""
    found: dict[str, list[Row]] = {}
    names = list(summary.plan.keys.values())
    several = any(row.baseline for row in summary.plan.rows)
    for row in summary.plan.rows:
        words = [f"{names[at]}={v.text}" for at, v in enumerate(row.values) if v and at != axis]
        if several:
            words.insert(0, f"baseline {row.baseline}" if row.baseline else row.model)
        found.setdefault(", ".join(words), []).append(row)
    return found


def _draw_line(
    axes: "Axes",
    summary: Summary,
    key: str,
    axis: int | None,
    places: dict[str, float],
    rows: Sequence[Row],
    *,
    label: str,
    at: int,
    shift: float,
) -> None:
    """Draw one line; a baseline that lacks the setting of the axis is level across it."""
    color = COLORS[at % len(COLORS)]
    style: dict[str, Any] = {"color": color, "label": _safe(label), "linewidth": 1.2}
    points: list[tuple[float, Mean]] = []
    for row in rows:
        mean = summary.mean(row, key)
        if mean is None:
            continue
        value = None if axis is None else row.values[axis]
        if axis is not None and value is None:
            axes.axhline(mean.mean, linestyle="--", **style)
            if mean.half:
                low, high = mean.mean - mean.half, mean.mean + mean.half
                axes.axhspan(low, high, color=color, alpha=0.12, linewidth=0)
            return
        place = next(iter(places.values())) if value is None else places[value.text]
        points.append((place, mean))
    if not points:
        return
    wide = axes.get_xscale() == "log"
    spread = max(places.values()) / min(places.values()) if wide else 0.0
    width = (max(places.values()) - min(places.values())) or 1.0
    x = [p * spread**shift if wide else p + width * shift for p, _ in points]
    numeric = axis is not None and is_numeric(summary.plan.varied[axis])
    axes.errorbar(
        x,
        [mean.mean for _, mean in points],
        yerr=[mean.half or 0.0 for _, mean in points],
        marker=_MARKS[at % len(_MARKS)],
        markersize=5,
        capsize=3,
        linestyle="--" if rows[0].baseline and numeric else "-" if numeric else "",
        **style,
    )


def _safe(text: str) -> str:
    """Return a text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")

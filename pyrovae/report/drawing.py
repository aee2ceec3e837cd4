"""Drawing: figures of matplotlib as pieces of a page, without its global state.

Figures are made and saved by themselves, without pyplot, and what they look like is given to each
of them. Colours are replaced by those of the page, so that lines follow its light and dark form.
"""

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# After Okabe and Ito, whose colours readers with a colour vision deficiency can tell apart; those
# behind the first two are darkened, since letters stand on them.
BLUE, ORANGE = "#0072b2", "#d55e00"
COLORS = (BLUE, ORANGE, "#00815e", "#b5478c", "#7f6000", "#7a68c8")

INK, FAINT = "#0b0c0e", "#0d0e10"  # stand-ins, replaced by the page's own
_PAGE = {
    INK: "currentColor",
    FAINT: "var(--faint)",
    **{color: f"var(--{name})" for color, name in ((BLUE, "blue"), (ORANGE, "orange"))},
}

WIDTH = 4.7  # inches; at 96 pixels each a figure fits a telephone held upright

_USED = re.compile(r'href="#([^"]+)"|url\(#([^)]+)\)')
_ROOT = re.compile(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_STYLE = re.compile(r"<style\b.*?</style>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_OUTLINE = re.compile(r' d="[^"]+"')
_GLYPH = re.compile(r'(?<= d=")[^"]+(?=" transform="scale\(0\.015625\)")')  # in units of 1/64
_DEEP = re.compile(r"(\d+\.\d{2})\d+")
_POINT = re.compile(r"\.\d+")
_METADATA = ("Date", "Creator", "Format", "Type")
_BELOW, _BESIDE = 0.27, 0.5  # inches from axes to their names
_DPI = 170  # of the parts of a figure that are points by the hundred


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Arguments:
        html: its SVG or its image, ready for the page.
        alt: what it shows, for those who do not see it.
        caption: what is said below it.
        label: what stands above it, such as the name of a dimension.
        strip: whether it belongs to one figure with the strips before and behind it.
    """

    html: str
    alt: str
    caption: str = ""
    label: str = ""
    strip: bool = False


@dataclass(frozen=True)
class Margins:
    """The room around axes and between them, in inches.

    A layout found by matplotlib takes as long as the drawing itself, so it is given.

    Arguments:
        left: for the label and the numbers of the vertical axis.
        right: for a key beside the axes.
        bottom: for the label and the numbers of the horizontal axis.
        top: for the title.
        across: between axes side by side.
        down: between axes one above the other.
    """

    left: float = 0.65
    right: float = 0.12
    bottom: float = 0.45
    top: float = 0.28
    across: float = 0.3
    down: float = 0.45


_USUAL = Margins()


def canvas(
    height: float = 3.0,
    *,
    rows: int = 1,
    columns: int = 1,
    shared: bool = False,
    margins: Margins = _USUAL,
) -> tuple["Figure", "list[Axes]"]:
    """Return a new figure and its axes, row by row.

    Arguments:
        height: inches.
        rows: rows of axes.
        columns: columns of axes.
        shared: whether all axes show one range.
        margins: the room around the axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=_DPI, facecolor="none")
    figure.set_layout_engine("none")  # whatever the caller's own settings say
    wide = (WIDTH - margins.left - margins.right - (columns - 1) * margins.across) / columns
    high = (height - margins.top - margins.bottom - (rows - 1) * margins.down) / rows
    axes: list[Axes] = []
    for row in range(rows):
        bottom = margins.bottom + (rows - 1 - row) * (high + margins.down)
        for column in range(columns):
            left = margins.left + column * (wide + margins.across)
            place = (left / WIDTH, bottom / height, wide / WIDTH, high / height)
            first = axes[0] if shared and axes else None
            axes.append(figure.add_axes(place, sharex=first, sharey=first))
    ticks = 6 if len(axes) <= 2 else 4
    for axis in axes:
        axis.set_facecolor("none")
        axis.locator_params(nbins=ticks)
        axis.tick_params(colors=INK, labelsize=8, width=0.8, length=3)
        for side, spine in axis.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(INK)
            spine.set_linewidth(0.8)
    return figure, axes


def titled(axis: "Axes", title: str = "", x: str = "", y: str = "") -> None:
    """Name what an axis shows, and in which unit.

    The names get fixed places, since finding them would lay out every number several times.
    """
    if title:
        axis.set_title(title, loc="left", fontsize=9.5, color=INK, y=1.0)
    wide, high = axis.bbox.width / axis.figure.dpi, axis.bbox.height / axis.figure.dpi
    if x:
        axis.set_xlabel(x, fontsize=8.5, color=INK)
    if y:
        axis.set_ylabel(y, fontsize=8.5, color=INK)
    axis.xaxis.set_label_coords(0.5, -_BELOW / high)
    axis.yaxis.set_label_coords(-_BESIDE / wide, 0.5)


def ruled(axis: "Axes") -> None:
    """Draw faint horizontal lines behind what an axis shows."""
    axis.grid(axis="y", color=FAINT, linewidth=0.6)
    axis.set_axisbelow(True)


def keyed(axis: "Axes", **options: Any) -> None:
    """Say which line is which, where there are several."""
    handles, _ = axis.get_legend_handles_labels()
    if len(handles) > 1:
        axis.legend(frameon=False, fontsize=8, labelcolor=INK, **options)


def bare(axis: "Axes") -> None:
    """Take the ticks and the frame away, for small pictures among many."""
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(FAINT)
        spine.set_visible(True)


def svg(figure: "Figure", *, alt: str, caption: str = "") -> Picture:
    """Return a figure as SVG for the inside of a page.

    What matplotlib writes is a document of its own, with names that two figures on one page would
    share; identifiers are made unique by `unique`, once the page is put together.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.StringIO()
    # as `savefig` does, but for a first drawing that it throws away
    FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
        file, metadata=dict.fromkeys(_METADATA)
    )
    text = file.getvalue()
    text = _STYLE.sub("", text[text.index("<svg") :]).replace("xlink:href", "href")
    text = _ROOT.sub(r'<svg viewBox="\1">', text, count=1)
    for stand_in, own in _PAGE.items():
        text = text.replace(stand_in, own)
    used = {name for found in _USED.findall(text) for name in found if name}
    text = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", text)
    text = _GLYPH.sub(lambda found: _POINT.sub("", found[0]), text)
    text = _OUTLINE.sub(lambda found: _tight(found[0]), text)
    lines = (line.strip() for line in _COMMENT.sub("", text).splitlines())
    return Picture("\n".join(line for line in lines if line), alt, caption)


def _tight(outline: str) -> str:
    """Return an outline's attribute in one line, with hundredths of a point at most."""
    return " " + _DEEP.sub(r"\1", " ".join(outline.split()).replace(' "', '"'))


def counted(axis: "Axes") -> None:
    """Let an axis of epochs have whole numbers for ticks."""
    from matplotlib.ticker import MaxNLocator

    low, high = axis.get_xlim()
    if high - low < 1.0:  # a single epoch
        axis.set_xlim(low - 0.5, high + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def unique(html: str, number: int) -> str:
    """Return an SVG whose identifiers no other figure of the page has.

    Arguments:
        html: the SVG.
        number: the figure's number on the page.

    Example:
        >>> unique('<path id="a"/><use href="#a"/><g clip-path="url(#a)"/>', 3)
        '<path id="f3-0"/><use href="#f3-0"/><g clip-path="url(#f3-0)"/>'
    """
    names = dict.fromkeys(re.findall(r' id="([^"]+)"', html))
    short = {name: f"f{number}-{at}" for at, name in enumerate(names)}

    def renamed(found: re.Match[str]) -> str:
        return found[0].replace(found[1], short.get(found[1], found[1]))

    for pattern in (r' id="([^"]+)"', r'href="#([^"]+)"', r"url\(#([^)]+)\)"):
        html = re.sub(pattern, renamed, html)
    return html

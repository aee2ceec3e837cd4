"""The page: everything in one HTML file, put together by a template."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pyrovae.report.drawing import Picture, unique
from pyrovae.report.numbers import Row
from pyrovae.report.rules import Finding
from pyrovae.report.settings import Setting

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

TEMPLATE = "template.html"

_WHOLE = 36  # characters of a word of code that still fits on a telephone


@dataclass
class Cell:
    """What one section shows of one run.

    Arguments:
        pictures: its figures.
        notes: what is left out, and why.
    """

    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Section:
    """A part of the page.

    Arguments:
        key: its anchor.
        title: its title.
        lead: what it shows, in a sentence or two.
        cells: one for each run.
        shared: figures about all runs.
    """

    key: str
    title: str
    lead: str
    cells: list[Cell] = field(default_factory=list)
    shared: list[Picture] = field(default_factory=list)


@dataclass
class RunView:
    """A run on the page.

    Arguments:
        letter: what it is called where there is little room.
        color: the colour of its lines.
        name: the run folder.
        summary: a line on what it is.
        findings: what stands out, the gravest first.
        unchecked: what could not be looked at.
        checked: whether there was anything to look at.
        notes: what could not be read.
        missing: how to get its evaluation, where there is none.
        config: its settings as they stand in the file.
    """

    letter: str
    color: str
    name: str
    summary: list[str]
    findings: list[Finding]
    unchecked: list[str]
    checked: bool
    notes: list[str]
    missing: str
    config: str


@dataclass
class Page:
    """Everything that the template shows.

    Arguments:
        title: of the page.
        version: the version of pyrovae that wrote it.
        runs: the runs.
        rows: the table of numbers.
        sections: the figures.
        settings: the table of settings.
        left_out: folders that hold nothing of a run.
    """

    title: str
    version: str
    runs: list[RunView]
    rows: list[Row]
    sections: list[Section]
    settings: list[Setting]
    left_out: list[str] = field(default_factory=list)


def rendered(page: Page) -> str:
    """Return the page as HTML; all text in it is escaped, figures are put in as they are."""
    from markupsafe import Markup

    numbered = {
        id(picture): Markup(unique(picture.html, at))  # made by `drawing` and `pictures`
        for at, picture in enumerate(_pictures(page.sections))
    }
    return _template().render(page=page, html=lambda picture: numbered[id(picture)])


@cache
def _template() -> "Template":
    """Return the template, which is compiled once in a process."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["coded"] = _coded
    return environment.from_string(
        files("pyrovae.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    )


def _coded(text: str) -> "Markup":
    """Return a text with what stands between backticks set as code, all of it escaped.

    Words of code stay whole, which a browser would break behind the hyphens of a flag.
    """
    from markupsafe import Markup, escape

    whole = Markup('<span class="whole">{}</span>')
    parts: list[Markup] = []
    for at, part in enumerate(text.split("`")):
        if at % 2 == 0:
            parts.append(escape(part))
            continue
        words = [
            whole.format(word) if len(word) <= _WHOLE else escape(word) for word in part.split(" ")
        ]
        parts.append(Markup("<code>{}</code>").format(Markup(" ").join(words)))
    return Markup("").join(parts)


def _pictures(sections: Sequence[Section]) -> Iterator[Picture]:
    for section in sections:
        yield from section.shared
        for cell in section.cells:
            yield from cell.pictures

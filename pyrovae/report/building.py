"""Building: the sections of a page, and what goes into them for each run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pyrovae.config import dump
from pyrovae.report.course import course, together
from pyrovae.report.diagnosis import diagnose, unchecked
from pyrovae.report.drawing import COLORS, Picture
from pyrovae.report.gallery import (
    cell,
    latent_dimensions,
    latent_space,
    reconstructions,
    samples,
)
from pyrovae.report.labels import labels
from pyrovae.report.numbers import missing, numbers
from pyrovae.report.page import Cell, Page, RunView, Section, rendered
from pyrovae.report.reading import RunRecord
from pyrovae.report.settings import settings
from pyrovae.report.traversals import traversals
from pyrovae.report.views import View

LARGEST = 5_000_000  # bytes of a page

LABELS = "labels"  # the section that only models of labels have
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _training(view: View) -> Iterator[Picture]:
    yield from course(view.record)


@dataclass(frozen=True)
class _Part:
    """A section of the page, and what makes its figures of one run."""

    key: str
    title: str
    lead: str
    build: Callable[[View], Iterator[Picture]]


_PARTS = (
    _Part(
        "training",
        "Training",
        "The bound that was raised, over the epochs. Validation data are never trained on; the "
        "weights of the best epoch on them are the ones that were kept.",
        _training,
    ),
    _Part(
        "samples",
        "Samples",
        "What the model takes data to look like: x drawn by way of z ~ p(z).",
        samples,
    ),
    _Part(
        "latent-space",
        "Latent space",
        "Where q(z | x) puts held-out data.",
        latent_space,
    ),
    _Part(
        "dimensions",
        "Latent dimensions",
        "How much each dimension tells about x. A collapsed one is the same for every x.",
        latent_dimensions,
    ),
    _Part(
        "reconstructions",
        "Reconstructions",
        "What is left of a datum after it went through z.",
        reconstructions,
    ),
    _Part(
        "traversals",
        "Traversals",
        "What the most active dimensions stand for: each is moved while the others are held.",
        traversals,
    ),
    _Part(
        LABELS,
        "Labels",
        "How q(y | x) tells the labels of held-out data, and what the model makes of each label.",
        labels,
    ),
)


def run_of(view: View, at: int, count: int) -> tuple[RunView, dict[str, Cell]]:
    """Return a run as the page shows it, with its figures; its model and data are done with."""
    facts = view.facts()
    cells = {part.key: cell(part.build, view) for part in _PARTS}
    record = view.record
    run = RunView(
        letter=_LETTERS[at] if count > 1 else "",
        color=COLORS[at % len(COLORS)],
        name=str(record.folder),
        summary=view.summary(),
        findings=diagnose(facts),
        unchecked=unchecked(facts),
        checked=bool(facts.train) or facts.active is not None or facts.evaluated,
        notes=list(record.notes),
        missing="" if record.evaluation else missing(record),
        config="" if record.config is None else dump(record.config),
    )
    return run, cells


def page_of(
    records: Sequence[RunRecord],
    runs: list[RunView],
    cells: Sequence[dict[str, Cell]],
    *,
    left_out: Sequence[str],
) -> Page:
    """Return the page about some runs.

    Arguments:
        records: what their folders hold.
        runs: the runs as the page shows them.
        cells: their figures, by section.
        left_out: folders that hold nothing of a run.
    """
    from pyrovae import __version__

    sections = [
        Section(part.key, part.title, part.lead, [found[part.key] for found in cells])
        for part in _PARTS
        if part.key != LABELS
        or any(found[LABELS].pictures or found[LABELS].notes for found in cells)
    ]
    if len(runs) > 1:
        both = together(records, [run.letter for run in runs])
        sections[0].shared += [both] if both is not None else []
    names = [record.folder.absolute().name for record in records]
    return Page(
        title=f"{names[0]}: report" if len(names) == 1 else f"{len(names)} runs side by side",
        version=__version__,
        runs=runs,
        rows=numbers(records),
        sections=sections,
        settings=settings(records),
        left_out=list(left_out),
    )


def within(page: Page) -> str:
    """Return the page as text, without its last figures where it would be too large with them."""
    for section in reversed([None, *page.sections]):
        text = rendered(page).encode("utf-8", "replace")  # a folder's name may be no text at all
        if len(text) <= LARGEST or section is None:
            break
        for found in section.cells:
            if found.pictures:
                found.pictures.clear()
                found.notes.append(
                    "Left out: the page would be larger than 5 MB. Report on fewer runs at once."
                )
    return text.decode("utf-8")


def said(cells: dict[str, Cell]) -> list[str]:
    """Return what could not be shown, each reason once with the sections that it concerns."""
    reasons: dict[str, list[str]] = {}
    for part in _PARTS:
        for note in cells[part.key].notes:
            reasons.setdefault(note, []).append(part.title.lower())
    return [f"{', '.join(titles)}: {note}" for note, titles in reasons.items()]

"""Writing: a report about runs, whole or not at all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrovae.config import dump
from pyrovae.data import DataLike
from pyrovae.files import write_text
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
from pyrovae.report.held_out import Library
from pyrovae.report.numbers import missing, numbers
from pyrovae.report.page import Cell, Page, RunView, Section, rendered
from pyrovae.report.pictures import BUDGET
from pyrovae.report.reading import RunRecord, read_run
from pyrovae.report.rules import Finding
from pyrovae.report.settings import settings
from pyrovae.report.traversals import traversals
from pyrovae.report.views import View, opened

MOST = 12  # runs on one page
NAME = "report.html"
SUFFIXES = (".html", ".htm")

_IMAGES = 2_400_000  # bytes of all sheets of images of a page
_SHEETS = 4  # that a run has, its traversals as one

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Report:
    """What was written.

    Arguments:
        file: the page.
        findings: for each run folder what stands out.
        notes: for each run folder what could not be read or shown.
        left_out: folders that hold nothing of a run.
    """

    file: Path
    findings: dict[Path, list[Finding]]
    notes: dict[Path, list[str]]
    left_out: list[Path]


def write(
    runs: Iterable[str | Path],
    *,
    file: str | Path | None = None,
    data: DataLike | str | None = None,
    split: str = "test",
    allow: Iterable[str] = (),
    seed: int = 0,
) -> Report:
    """Write one HTML file about a run, or about several side by side.

    What is missing, such as data that have moved, is left out, and the page says so and why. The
    file needs nothing beside it: figures are inside, and nothing is fetched from anywhere. Random
    states and matplotlib's global state are left as they were.

    Arguments:
        runs: the run folders, or model folders.
        file: the file; by default `report.html` in the run folder, and for several runs in the
            folder that holds all of them, or in the current one where there is none.
        data: data to show in place of the runs' own: a name, a source, a split, tensors.
        split: which split of a source is shown: "test", "valid" or "train". Where there is no test
            split, validation data are shown.
        allow: packages beside pyrovae whose classes the runs may use.
        seed: seeds the choice of data and all draws.

    Raises:
        OSError: a folder is missing, or the file cannot be written.
        ValueError: there is nothing to report on, or an argument is out of range.

    Example:
        >>> write([])
        Traceback (most recent call last):
        ValueError: a report is about at least one run folder; got none
    """
    if isinstance(runs, str | Path):
        runs = [runs]
    folders = list(dict.fromkeys(Path(run).expanduser() for run in runs))
    if not folders:
        raise ValueError("a report is about at least one run folder; got none")
    if len(folders) > MOST:
        raise ValueError(f"a page holds up to {MOST} runs; got {len(folders)}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**62:
        raise ValueError(f"seed expects an integer from 0 to 2**62 - 1; got {seed!r}")
    target = _target(folders, file)
    allow = tuple(allow)
    library = Library(data, split=split, allow=allow)
    read = [read_run(folder) for folder in folders]
    records = [record for record in read if not record.empty]
    if not records:
        named = ", ".join(str(folder) for folder in folders)
        raise ValueError(
            f"there is nothing to report on in {named}: expected a run folder with "
            f"metrics.jsonl, config.yaml or model/"
        )
    left_out = [record.folder for record in read if record.empty]
    budget = min(BUDGET, _IMAGES // (_SHEETS * len(records)))
    shown = [
        _run(opened(record, library, seed=seed, budget=budget, allow=allow), at, len(records))
        for at, record in enumerate(records)
    ]
    page = _page(records, [run for run, _ in shown], [cells for _, cells in shown], left_out)
    text = rendered(page).encode("utf-8", "replace")  # a folder's name may be no text at all
    write_text(target, text.decode("utf-8"))
    folders = [record.folder for record in records]
    return Report(
        file=target,
        findings={folder: run.findings for folder, (run, _) in zip(folders, shown, strict=True)},
        notes={
            folder: [*run.notes, *_said(cells)]
            for folder, (run, cells) in zip(folders, shown, strict=True)
        },
        left_out=left_out,
    )


def _target(folders: Sequence[Path], file: str | Path | None) -> Path:
    """Return the file to write; several runs have theirs where all of them are."""
    if file is None:
        if len(folders) == 1:
            return folders[0] / NAME
        above = {folder.absolute().parent for folder in folders}
        return (folders[0].parent if len(above) == 1 else Path()) / NAME
    target = Path(file).expanduser()
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name the file, such as {target / NAME}")
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a report is a file ending in {' or '.join(SUFFIXES)}; got {target}")
    return target


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
)


def _run(view: View, at: int, count: int) -> tuple[RunView, dict[str, Cell]]:
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
        notes=list(record.notes),
        missing="" if record.evaluation else missing(record),
        config="" if record.config is None else dump(record.config),
    )
    return run, cells


def _page(
    records: Sequence[RunRecord],
    runs: list[RunView],
    cells: Sequence[dict[str, Cell]],
    left_out: Sequence[Path],
) -> Page:
    from pyrovae import __version__

    sections = [
        Section(part.key, part.title, part.lead, [found[part.key] for found in cells])
        for part in _PARTS
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
        left_out=[str(folder) for folder in left_out],
    )


def _said(cells: dict[str, Cell]) -> list[str]:
    """Return what could not be shown, each reason once with the sections that it concerns."""
    reasons: dict[str, list[str]] = {}
    for part in _PARTS:
        for note in cells[part.key].notes:
            reasons.setdefault(note, []).append(part.title.lower())
    return [f"{', '.join(titles)}: {note}" for note, titles in reasons.items()]

"""Writing: a report about runs, whole or not at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrovae.data import DataLike
from pyrovae.files import write_text
from pyrovae.report.building import page_of, run_of, said, within
from pyrovae.report.held_out import Library
from pyrovae.report.pictures import BUDGET
from pyrovae.report.reading import read_run
from pyrovae.report.rules import Finding
from pyrovae.report.views import opened

MOST = 8  # runs on one page
NAME = "report.html"
SUFFIXES = (".html", ".htm")

_IMAGES = 2_000_000  # bytes of all sheets of images of a page
_SHEETS = 4  # that a run has, its traversals as one


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
        run_of(opened(record, library, seed=seed, budget=budget, allow=allow), at, len(records))
        for at, record in enumerate(records)
    ]
    page = page_of(
        records,
        [run for run, _ in shown],
        [cells for _, cells in shown],
        left_out=[str(folder) for folder in left_out],
    )
    write_text(target, within(page))
    folders = [record.folder for record in records]
    return Report(
        file=target,
        findings={folder: run.findings for folder, (run, _) in zip(folders, shown, strict=True)},
        notes={
            folder: [*run.notes, *said(cells)]
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

"""The verb `report`."""

from collections.abc import Sequence

from pyrovae.cli.arguments import Parser, allowed_packages
from pyrovae.cli.settings import read_source

SPLITS = ("train", "valid", "test")


def run(words: Sequence[str]) -> int:
    """Write the report about runs as the words say."""
    parser = Parser("report", "Write one HTML file about a run, or about several side by side.")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the run folders, or model folders")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="the file (default: report.html in the run folder; for several runs in the folder "
        "that holds all of them, else in the current one)",
    )
    parser.add_argument("--data", help="other data than the runs': a name, a file or a class")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--seed", type=int, default=0, help="seeds the choice of data and draws")
    parser.add_argument("--allow", action="append", default=[], help="a package to trust")
    given = parser.read(words)
    if given is None:
        return 0
    allow = allowed_packages(given.allow)
    source = None if given.data is None else read_source(given.data, allow=allow)

    from pyrovae.report import write

    report = write(
        given.runs, file=given.out, data=source, split=given.split, allow=allow, seed=given.seed
    )
    for folder, findings in report.findings.items():
        titles = [f"{finding.level}: {finding.title}" for finding in findings]
        print(f"{folder}\n  " + "\n  ".join(titles or ["nothing stands out"]))
        for note in report.notes[folder]:
            print(f"  note: {note}")
    for folder in report.left_out:
        print(f"{folder}\n  note: nothing of a run is in it, so it is left out")
    print(f"\nThe report is in {report.file}")
    return 0

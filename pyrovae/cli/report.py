"""The verb `report`."""

from collections.abc import Sequence

from pyrovae.cli.arguments import Parser, allowed_packages


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "report",
        "Write one HTML file about a run, or about several side by side.",
        example="pyrovae report runs/digits-1 runs/digits-2 --out both.html",
    )
    made.takes_run(several=True)
    made.add_argument(
        "--out",
        metavar="FILE",
        help="the file (default: report.html in the run folder; for several runs in the folder "
        "that holds all of them, else in the current one)",
    )
    made.takes_data()
    made.takes_seed()
    made.takes_allow()
    return made


def run(words: Sequence[str]) -> int:
    """Write the report about runs as the words say."""
    given = parser().read(words)
    if given is None:
        return 0
    from pyrovae.cli.notes import notes
    from pyrovae.cli.settings import read_source
    from pyrovae.report import write

    allow = allowed_packages(given.allow)
    source = None if given.data is None else read_source(given.data, allow=allow)
    with notes():
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

"""Run the benchmarks one after another and write what they print to docs/performance.md.

Each script has a section of the page, which is replaced when the script has run, so that one of
them can be measured again by itself.

    python benchmarks/all.py [SCRIPT ...] [--page FILE] [-- ARGUMENTS OF THE SCRIPTS]
"""

import argparse
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from pyrovae.training.precision import has_bfloat16

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "performance.md"
SCRIPTS = {
    "step": "A training step",
    "labels": "A step without labels",
    "epoch": "An epoch",
    "evaluate": "An evaluation",
    "memory": "Memory of the parts",
    "distances": "Distances between samples",
    "scaling": "More and more data",
    "processes": "Two processes",
    "quality": "What compiling in bfloat16 does to the result",
    "guard": "The guard against what is not finite, and checkpoints",
    "startup": "Starting",
}
HEAD = """# Performance

Written by `make bench`, or a section at a time by `python benchmarks/all.py NAME`. Ways that are
compared run in turns in one process, so a ratio means more than a time;
[benchmarks/README.md](../benchmarks/README.md) says what each script does and how to read it.

Nothing has been measured on a GPU. There a compiled step is replayed as a CUDA graph by the same
code, of which the tests, run on a CPU, see the recording and the compiling.
"""


def processor() -> str:
    """Return the name of the processor as the system gives it, and what it lacks."""
    lacks = "" if has_bfloat16() else ", which multiplies no bfloat16 by itself"
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"^model name\s*: (.*)$", information.read_text(), re.MULTILINE)
        if found:
            return found[1] + lacks
    return (platform.processor() or platform.machine()) + lacks


def section(name: str, printed: str) -> str:
    """Return the section of a script."""
    when = datetime.now(tz=UTC).date()
    return (
        f"## {SCRIPTS[name]}\n\n`python benchmarks/{name}.py`, {when}, {processor()}\n\n"
        f"```text\n{printed.strip()}\n```\n"
    )


def written(page: str, name: str, printed: str) -> str:
    """Return the page with the section of a script put in, in the order of the scripts."""
    head, *sections = re.split(r"^(?=## )", page or HEAD, flags=re.MULTILINE)
    titles = {f"## {title}": number for number, title in enumerate(SCRIPTS.values())}
    kept = {text.partition("\n")[0]: text.strip() + "\n" for text in sections}
    kept[f"## {SCRIPTS[name]}"] = section(name, printed)
    ordered = sorted(kept, key=lambda title: titles.get(title, len(titles)))
    return "\n".join([head.strip() + "\n", *(kept[title] for title in ordered)])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=", ".join(SCRIPTS))
    parser.add_argument("--page", type=Path, default=PAGE)
    words = sys.argv[1:] if arguments is None else arguments
    behind = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:behind])
    unknown = [name for name in options.scripts if name not in SCRIPTS]
    if unknown:
        parser.error(f"there is no script {unknown[0]!r}; there are {', '.join(SCRIPTS)}")
    failed = 0
    for name in options.scripts or SCRIPTS:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-W", "ignore", str(FOLDER / f"{name}.py"), *words[behind + 1 :]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        if done.returncode:
            failed += 1
            continue
        page = options.page.read_text() if options.page.exists() else ""
        options.page.write_text(written(page, name, done.stdout))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

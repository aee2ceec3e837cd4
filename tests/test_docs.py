"""The documentation is run: Python blocks as they stand, commands at settings that take seconds.

The blocks of a page run in order, in one namespace and one folder, so a page is read as a session.
A block that is not meant to be run is of another kind (`text`, `diff`, `yaml`).
"""

import contextlib
import io
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zuko  # noqa: F401  (importing it switches torch's validation off: not within a test)
from PIL import Image

from pyrovae import likelihoods, networks, objectives, posteriors, priors, schedules
from pyrovae.__main__ import main
from pyrovae.cli.cells import Cells
from pyrovae.training import compiled

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_KINDS = {"python", "console", "text", "diff", "yaml"}

# Over what the page says, so that a command takes a second. Reports are the matter of other files,
# and of the verb where a page has it; images of a size stay images of a size.
_QUICK = ("--epochs", "1", "--samples", "2")
_NO_REPORT = ("--report", "false")
_SMALL_IMAGES = ("--data.size", "8")
_FEW_DRAWS = ("--samples", "20")


@dataclass(frozen=True)
class Block:
    """A fenced block and the line it begins at."""

    kind: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    source = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], source.count("\n", 0, found.start()) + 2)
        for found in _FENCE.finditer(source)
    ]


def commands(block: Block) -> list[str]:
    lines = [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]
    return [line.partition("  #")[0].strip() for line in lines]


def quickly(words: list[str], *, report: bool) -> list[str]:
    """The words of a command, and behind them settings at which it takes a second."""
    if words[0] == "train" and "--print_config" not in words:
        if "mnist" in words:  # without its data a command is read, and goes no further
            return [*words, "--print_config"]
        small = _SMALL_IMAGES if "--data.size" in words else ()
        plain = () if report or "--resume" in words else _NO_REPORT
        return [*words, *_QUICK, *small, *plain]
    if words[0] == "evaluate":
        return [*words, "--samples", "2"]
    return [*words, *_FEW_DRAWS] if words[0] == "impute" else words


def run_command(command: str, *, report: bool) -> None:
    """Run a `pyrovae` command in this process, its output into a file where it says so."""
    words = shlex.split(command)
    out = words[words.index(">") + 1] if ">" in words else None
    words = quickly(words[1 : words.index(">")] if out else words[1:], report=report)
    printed, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        code = main(words)
    assert code == 0, f"{command}\n{said.getvalue()}"
    if out:
        Path(out).write_text(printed.getvalue(), encoding="utf-8")


def _draw_images(folder: Path) -> None:
    """What a reader would have: pictures of several sizes, in colour."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(90):
        height, width = generator.integers(33, 60, size=2)
        pixels = generator.integers(0, 256, size=(height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


@pytest.mark.filterwarnings("ignore:poor importance weights")  # of models trained for seconds
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_shows_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A graph runs as it was recorded: a compiler takes minutes for what test_compiled.py compares.
    monkeypatch.setattr(compiled, "compiled_graph", lambda graph, inputs: graph)
    # Of a comparison all settings are read and checked; its cells are the matter of other files.
    monkeypatch.setattr(Cells, "run", lambda self, cells: (end for end in ()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a command with --allow looks in its folder
    shutil.copy(ROOT / "examples" / "own_parts.py", tmp_path)
    if "images/" in page.read_text(encoding="utf-8"):
        _draw_images(tmp_path / "images")
    namespace: dict[str, Any] = {"__name__": "page"}
    first = True  # the first command to train of a page writes a report, as it does for a reader
    try:
        for block in blocks(page):
            if block.kind == "python":
                # Empty lines in front, so that an error names the line of the page.
                source = "\n" * (block.line - 1) + block.text
                exec(compile(source, str(page), "exec"), namespace)
            elif block.kind == "console":
                for command in commands(block):
                    if command.startswith("pyrovae "):
                        run_command(command, report=first)
                        first = first and not command.startswith("pyrovae train")
    finally:
        sys.modules.pop("own_parts", None)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_is_of_a_known_kind(page: Path) -> None:
    assert {block.kind for block in blocks(page)} <= _KINDS
    fences = re.findall(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page))
    for block in blocks(page):
        if block.kind == "console":
            assert commands(block), f"{page.name}:{block.line}: no line begins with '$ '"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_verb_of_make_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in blocks(page):
        if block.kind == "console":
            for command in commands(block):
                if command.startswith("make "):
                    verb = command.split()[1]
                    assert f"\n{verb}:" in makefile


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(prose):
        if link.startswith(("https://", "#")):
            continue
        target = (page.parent / link.partition("#")[0]).resolve()
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert target.exists(), f"{link} leads nowhere"


def test_every_page_can_be_reached_from_the_first() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        links = _LINK.findall(page.read_text(encoding="utf-8"))
        pages = {(page.parent / link.partition("#")[0]).resolve() for link in links}
        ahead += [found for found in pages - seen if found.suffix == ".md" and found.exists()]
    assert set(PAGES) <= seen


def test_the_table_of_parts_names_what_there_is() -> None:
    rooms = {
        room.__name__: room
        for room in (priors, likelihoods, posteriors, networks, objectives, schedules)
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(pyrovae\.\w+)` \| (.*) \|$", readme, re.MULTILINE)
    assert set(rooms) <= {room for room, _ in rows}
    for room, text in rows:
        if room in rooms:
            for name in re.findall(r"`([A-Z]\w+)`", text):
                assert hasattr(rooms[room], name), f"{room} has no {name}"

"""Hostile folders: each attack is refused with one clear error, and nothing foreign happens.

The tables of attacks are in `attacks_on_*.py`; who opens the damaged folders, in a process of its
own under limits and under watch, is `hostile_worker.py`.
"""

import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

import attacks_on_checkpoints
import attacks_on_files
import attacks_on_trees
import attacks_on_weights
import numpy as np
import pytest
from attack_tools import Damage, both, in_file_of_tensors, in_text, model_config, weights
from safetensors.torch import load_file, save_file
from torch import Tensor

import pyrovae
from pyrovae.__main__ import main

ATTACKS = {
    **attacks_on_files.ATTACKS,
    **attacks_on_trees.ATTACKS,
    **attacks_on_weights.ATTACKS,
    **attacks_on_checkpoints.ATTACKS,
}
TRAIN = "train --data rows.npz --data.valid 4 --data.test 4 --epochs 2 --batch_size 5 --samples 3"
TRAIN += " --model.prior.dim 2 --model.encoder.hidden [5] --model.decoder.hidden [5] --out good"
PYTHON = ("load", "from_tree", "fit")  # who raises; the others are commands
EVIL = """from pathlib import Path

from pyrovae.priors import StandardNormal

Path("owned").write_text("")


class Evil(StandardNormal):
    pass


def evil(*arguments):
    pass
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc are Linux's")
MEMORY = 2**30  # bytes that a child may take beyond what all of pyrovae takes
SECONDS = 60
TEXT = 1500  # characters of an error
WIDTH = 415  # of a line of one on the screen


class Workplace:
    """A folder with a good run and what lies beside it, and the worker that opens copies.

    Arguments:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder / "run"
        rng = np.random.default_rng(0)
        for name in ("rows", "secret"):
            np.savez(folder / f"{name}.npz", x=(rng.random((20, 6)) < 0.5).astype("float32"))
        (folder / "evil_module.py").write_text(EVIL)
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(pyrovae.__file__).parents[1]), str(folder)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "HOME": str(folder),
            "CUDA_VISIBLE_DEVICES": "",  # an accelerator does not survive a fork
        }
        self._environment.pop("COVERAGE_PROCESS_CONFIG", None)  # it would open files of its own
        with chdir(folder), redirect_stdout(io.StringIO()):
            assert main(TRAIN.split()) == 0
        self._worker = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("hostile_worker.py"))],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        shutil.copytree(folder / "good", folder / "warm")
        self.roots = set(self._ask({"run": str(folder / "warm")}))

    def close(self) -> None:
        """End the worker."""
        self._worker.communicate(timeout=60)

    def begin(self, damage: Damage | None) -> None:
        """Make the run anew, a copy of the good one, and damage it."""
        for name in ("run", "run-new", "victim", "owned", "elsewhere", "moved", "other"):
            path = self.folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        shutil.copytree(self.folder / "good", self.run)
        if damage is not None:
            damage(self.run)

    def open(self, entry: str, run: Path | None = None) -> dict[str, Any]:
        """Let a child of the worker open the run, and return what happened."""
        order = {"entry": entry, "run": str(run or self.run), "memory": MEMORY, "seconds": SECONDS}
        found: dict[str, Any] = self._ask(order)
        return found

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        self._worker.stdin.write(json.dumps(order) + "\n")
        self._worker.stdin.flush()
        return json.loads(self._worker.stdout.readline())

    def look(self) -> dict[str, tuple[Any, ...]]:
        """Return what there is in the folder, with its kind, size and time of change."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            status = path.lstat()
            times = () if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)
            found[str(path.relative_to(self.folder))] = (stat.S_IFMT(status.st_mode), *times)
        return found

    def strange(self, result: dict[str, Any], *, may_write: bool) -> list[str]:
        """Return what a child did that no opening of a folder has to do."""
        found = [f"loaded {name}" for name in result["modules"] if not self._known(name)]
        for event, about, writes in result["events"]:
            if event == "import":
                found += [] if self._known(about) else [f"imported {about}"]
            elif event == "open":
                harmless = self._harmless(about, writes=writes, may_write=may_write)
                found += [] if harmless else [f"open {about}"]
            elif not may_write and (event, about) != ("os.mkdir", str(self.run)):  # it is there
                found.append(f"{event} {about}")
        return found

    def _known(self, module: str) -> bool:
        return module.partition(".")[0] in self.roots

    def _harmless(self, path: str, *, writes: bool, may_write: bool) -> bool:
        """Return whether a file may be opened: those of the run, its data, and Python's own."""
        place = os.path.realpath(self.folder / path)
        own = any(
            place.startswith(os.path.realpath(self.folder / name) + ending)
            for name, ending in (("run", "/"), ("run-new", "/"), ("rows.npz", ""))
        )
        if own:
            return may_write or not writes
        return not writes and not place.startswith(str(self.folder))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = Workplace(Path(os.path.realpath(tmp_path_factory.mktemp("hostile"))))
    yield made
    made.close()


def cases() -> list[Any]:
    """Every attack on the first who must refuse it, every third on a second; the rest is slow."""
    found = []
    for number, (name, attack) in enumerate(ATTACKS.items()):
        for at, entry in enumerate(attack.entries):
            others = len(attack.entries) - 1
            soon = at == 0 or (number % 5 == 0 and at == 1 + number // 5 % others)
            marks = [] if soon else [pytest.mark.slow]
            found.append(pytest.param(name, entry, id=f"{name} ({entry})", marks=marks))
    return found


def test_there_are_many_attacks_and_no_two_of_one_name() -> None:
    tables = (attacks_on_files, attacks_on_trees, attacks_on_weights, attacks_on_checkpoints)
    assert len(ATTACKS) == sum(len(table.ATTACKS) for table in tables) > 350


@pytest.mark.parametrize(("name", "entry"), cases())
def test_an_attack_is_refused(workplace: Workplace, name: str, entry: str) -> None:
    attack = ATTACKS[name]
    workplace.begin(attack.damage)
    before = workplace.look()
    result = workplace.open(entry)
    assert result["killed"] == 0, "it took too much time, or was killed"
    if entry in PYTHON:
        assert {"ValueError", "TypeError", "OSError"} & set(result["raised"]), result
        assert 0 < len(result["text"]) < TEXT
        assert re.search(attack.said, result["text"]), result["text"]
    else:
        assert (result["code"], result["raised"]) == (2, []), result
        lines = result["errors"].splitlines()
        assert 1 <= len(lines) <= 3
        assert lines[0].startswith("pyrovae: ")
        assert all(line.isprintable() and len(line) <= WIDTH for line in lines)
    after = workplace.look()
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    resumed = entry == "resume"
    assert changed <= ({"run/config.yaml"} if resumed else set())  # it now has the epochs asked for
    assert not workplace.strange(result, may_write=entry in ("config", "resume"))


# ------------------------------------------------------------------- what must not be taken for one


def doubled(state: dict[str, Tensor]) -> None:
    state |= {name: t.double() for name, t in state.items() if t.is_floating_point()}


def without_notes(run: Path) -> None:
    """As an earlier pyrovae wrote it."""
    save_file(load_file(weights(run)), weights(run), metadata={"format": "pt"})


def linked_inside(run: Path) -> None:
    weights(run).rename(weights(run).with_name("others.safetensors"))
    weights(run).symlink_to("others.safetensors")


def hard_linked(run: Path) -> None:
    for file in (weights(run), model_config(run)):
        (run.parent / "victim").mkdir(exist_ok=True)
        os.link(file, run.parent / "victim" / file.name)


def crowded(run: Path) -> None:
    (run / "model" / "notes.txt").write_text("mine")
    (run / "model" / "evil_module.py").write_text(EVIL)
    (run / "checkpoint" / "backup").mkdir()


HARMLESS: dict[str, tuple[Damage | None, str]] = {
    "as it was written": (None, "run"),
    "a link to the folder": (lambda run: (run.parent / "other").symlink_to(run), "other"),
    "hard links": (hard_linked, "run"),
    "a link within the folder": (linked_inside, "run"),
    "files of others beside it": (crowded, "run"),
    "a name of two lines": (lambda run: run.rename(run.parent / "run\nö"), "run\nö"),
    "carriage returns": (
        in_text(model_config, change=lambda text: text.replace("\n", "\r\n")), "run",
    ),
    "an entry of a later pyrovae": (
        in_text(model_config, change=lambda text: f"later: 1\n{text}"), "run",
    ),
    "weights in double precision": (in_file_of_tensors(weights, doubled), "run"),
    "weights without notes": (both(without_notes), "run"),
}  # fmt: skip


def harmless() -> list[Any]:
    """Each by `load`; each third by every one of the others, and the rest slow."""
    return [
        pytest.param(name, entry, marks=[pytest.mark.slow] if at and (number + at) % 3 else [])
        for number, name in enumerate(HARMLESS)
        for at, entry in enumerate(("load", "sample", "fit", "resume"))
    ]


@pytest.mark.parametrize(("name", "entry"), harmless())
def test_what_is_harmless_is_taken(workplace: Workplace, name: str, entry: str) -> None:
    damage, called = HARMLESS[name]
    workplace.begin(damage)
    run = workplace.folder / called
    try:
        result = workplace.open(entry, run)
        assert (result["killed"], result["raised"]) == (0, []), result
        assert result["code"] in (None, 0), result["errors"]
        assert not (workplace.folder / "owned").exists()
        opened = {Path(about).name for event, about, _ in result["events"] if event == "open"}
        assert ("config.yaml" if entry != "fit" else "rows.npz") in opened  # the watcher looks
        if name == "files of others beside it":
            assert (run / "checkpoint" / "backup").is_dir()
    finally:
        if called == "run\nö":
            shutil.rmtree(run)


def test_the_watcher_sees_what_happens(workplace: Workplace) -> None:
    workplace.begin(None)
    before = workplace.look()
    result = workplace.open("misbehave")
    assert result["raised"] == []
    strange = workplace.strange(result, may_write=False)
    for seen in ("loaded evil_module", "imported evil_module", "open secret.npz", "os.system true"):
        assert seen in strange, strange
    assert any(text.startswith("subprocess.Popen ") for text in strange)
    assert any(text.startswith("os.rename ") for text in strange)
    assert f"open {workplace.folder / 'elsewhere'}" in strange
    assert set(workplace.look()) - set(before) == {"moved", "owned"}

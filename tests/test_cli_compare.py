"""The verb compare: its words, its cells as processes, and what a kill leaves behind."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from forks import Forks

import pyrovae
from pyrovae.__main__ import main
from pyrovae.cli import cells as running
from pyrovae.cli.cells import Cells, cores, locked, reason_of
from pyrovae.cli.compare import seeds_of
from pyrovae.cli.errors import UsageError
from pyrovae.cli.flags import Flags
from pyrovae.cli.progress import line_of
from pyrovae.cli.varying import Reader
from pyrovae.comparison import Cell, Ended, varied
from pyrovae.comparison.folder import read_ended, state_of

SMALL = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]", "--samples", "2"]
SMALL += ["--epochs", "1"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# ------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("1", (0,)), ("3", (0, 1, 2)), ("3,7", (3, 7)), ("[3, 7]", (3, 7)), ("7,", (7,))],
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "3,3", "1,-1", "", ",", "[]", "10001"])
def test_no_seeds(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds: expected how many"):
        seeds_of(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--vary model.prior.dim=1,2 --model.prior.dmi 3", "did you mean 'dim'"),
        ("--vary model.prior.dim=2,x", "this is said of model.prior.dim=x"),
        ("--vary model.prior=StandardNormal,VampPrio", "did you mean 'VampPrior'"),
        ("--vary model.priors=StandardNormal", "did you mean 'prior'"),
        ("--vary model.likelihood=Binomial,Bernoulli --vary model.prior.dim=0", "dim"),
        ("--vary optimizer.lr=0.1,-1", "Invalid learning rate"),
        ("--vary epochs=1,0", "epochs expects an integer of at least 1"),
        ("--vary data.test=100,2000", "test"),
        ("--vary samples=0", "samples"),
        ("--vary model.prior", "expected KEY=VALUE"),
        ("--vary a=1 --vary a=2", "it is varied twice"),
        ("--vary seed=1,2", "given by --seeds"),
        ("--vary out=a,b", "each cell has a folder of its own"),
        ("--vary", "--vary: a value must follow"),
        ("--seed 3", "given by --seeds"),
        ("--resume RUN", "the same command goes on"),
        ("--print_config", "pyrovae train --print_config prints settings"),
        ("--seeds 0", "--seeds: expected how many"),
        ("--jobs 0", "--jobs: expected an integer from 1 to"),
        ("--jobs 9999", "--jobs: expected an integer from 1 to"),
        ("--jobs many", "--jobs: expected an integer from 1 to"),
        ("--sedes 3", "did you mean 'seeds'"),
        ("--no-baseline", "did you mean 'no_baselines'"),
        ("--vary clip=1,2,3,4,5,6,7,8,9,10,11 --seeds 1000", "11000 runs are too many"),
        ("--config nowhere.yaml", "there is no file nowhere.yaml"),
        ("--out taken", "taken exists and holds no comparison"),
        ("--device gpux", "device expects one of"),
    ],
)
def test_a_mistake_in_any_cell_is_said_at_once(
    words: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("taken").mkdir()
    Path("taken/thesis.tex").write_text("")
    monkeypatch.setattr(running, "COMMAND", ("/nowhere/none",))
    assert main(["compare", *words.split()]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 3
    assert said in "\n".join(lines)
    assert sorted(os.listdir()) == ["taken"]


def test_settings_of_cells_are_those_of_the_command_line() -> None:
    asked = [varied("model.prior={class_path: VampPrior, init_args: {components: 7}},Normal")]
    flags = Flags(values=[("model.prior.dim", "3"), ("epochs", "2")])
    reader = Reader(flags, asked, allow=())
    first, second = (reader.checked(reader.seeded(reader.read([v]), 9)) for v in asked[0].values)
    assert first["model"]["init_args"]["prior"]["init_args"] == {"dim": 3, "components": 7}
    assert second["model"]["init_args"]["prior"]["class_path"] == "pyrovae.priors.Normal"
    assert first["seed"] == second["seed"] == 9
    assert "event_shape" not in first["model"]["init_args"]["likelihood"]["init_args"]
    assert len(reader.sources) == 1


@pytest.mark.parametrize("key", ["data.labels_seed", "epochs"])
def test_a_seed_draws_the_labels_as_well(key: str) -> None:
    inner = {"class_path": "x.Inner", "init_args": {"labels_seed": 0}}
    data = {"class_path": "x.Outer", "init_args": {"source": inner, "labels_seed": 1, "seed": 2}}
    reader = Reader(Flags(), [varied(f"{key}=1,2")], allow=())
    given = reader.seeded({"data": data, "seed": 0}, 5)
    assert given["seed"] == 5
    found = given["data"]["init_args"]
    assert found["seed"] == 2  # the split of the data is the same for all
    drawn = (found["labels_seed"], found["source"]["init_args"]["labels_seed"])
    assert drawn == ((1, 0) if key == "data.labels_seed" else (5, 5))


# ------------------------------------------------------------------------------- cells as processes

# What stands for a run: it notes its words and threads, and does what the name of its cell says.
FAKE = """
import os, sys, time
from pathlib import Path
words = sys.argv[1:]
run = Path(words[words.index("--resume" if "--resume" in words else "--out") + 1])
run.mkdir(exist_ok=True)
(run / "config.yaml").write_text("")
with open(run / "words", "a") as file:
    file.write(" ".join(words) + " " + os.environ["OMP_NUM_THREADS"] + "\\n")
if "wait" in run.name:
    sys.stdin.read()
    sys.exit(130)
if "stubborn" in run.name:
    time.sleep(60)
if "fails" in run.name:
    print("pyrovae: out of luck", file=sys.stderr)
    sys.exit(2)
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.setattr(running, "COMMAND", (sys.executable, str(tmp_path / "fake.py")))


def wait_for(truth: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def cell(name: str) -> Cell:
    return Cell(name, 0, {})


def words_of(folder: Path, name: str) -> list[list[str]]:
    return [line.split() for line in (folder / "cells" / name / "words").read_text().splitlines()]


@pytest.mark.usefixtures("fake")
def test_a_failed_cell_does_not_stop_the_others(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        made = Cells(tmp_path, jobs=1, allow=("mine",), lock=lock)
        ends = {c.name: end for c, end in made.run([cell("a"), cell("fails"), cell("b")])}
    assert list(ends) == ["a", "fails", "b"]
    assert [ended.finished for ended in ends.values()] == [True, False, True]
    assert ends["fails"].failure == "out of luck"
    assert "failed: out of luck" in line_of(cell("fails"), ends["fails"], {})
    assert "--allow mine" in " ".join(words_of(tmp_path, "a")[0])
    assert state_of(tmp_path, cell("a")) == "finished"
    assert state_of(tmp_path, cell("fails")) == "begun"


@pytest.mark.usefixtures("fake")
def test_jobs_run_side_by_side_and_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "cores", lambda: 7)
    with locked(tmp_path) as lock:
        made = Cells(tmp_path, jobs=3, allow=(), lock=lock)
        with closing(made.run([cell("wait-1"), cell("wait-2"), cell("a"), cell("b")])) as ends:
            assert [next(ends)[0].name for _ in range(2)] == ["a", "b"]
            for name in ("wait-1", "wait-2"):
                wait_for((tmp_path / "cells" / name / "words").is_file)
            assert read_ended(tmp_path, cell("wait-1")) == Ended()
    for name in ("wait-1", "wait-2"):  # stopped by their leash, and to be gone on with
        assert state_of(tmp_path, cell(name)) == "begun"
        assert read_ended(tmp_path, cell(name)).seconds > 0.0
        assert words_of(tmp_path, name)[0][-1] == "2"
    with locked(tmp_path) as lock:
        made = Cells(tmp_path, jobs=2, allow=(), lock=lock)
        with closing(made.run([cell("wait-1"), cell("c")])) as ends:
            assert next(ends)[0].name == "c"
            wait_for(lambda: len(words_of(tmp_path, "wait-1")) == 2)
    assert "--resume" in words_of(tmp_path, "wait-1")[1]


@pytest.mark.usefixtures("fake")
def test_what_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE", 0.2)
    with locked(tmp_path) as lock:
        made = Cells(tmp_path, jobs=1, allow=(), lock=lock)
        made._running.append(made._begin(cell("stubborn")))
        process = made._running[0].process
        made.stop()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.usefixtures("fake")
def test_a_folder_at_work_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "GRACE", 0.0)
    monkeypatch.setattr(running, "_PATIENCE", 0.1)
    with (tmp_path / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another pyrovae compare is at work"), locked(tmp_path):
            pass
        assert "waiting for another process" in capsys.readouterr().out
    with locked(tmp_path):
        pass


def test_the_lock_outlives_a_parent_for_as_long_as_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "GRACE", 0.0)
    monkeypatch.setattr(running, "_PATIENCE", 0.1)
    with locked(tmp_path) as lock:
        child = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    with pytest.raises(OSError, match="at work"), locked(tmp_path):
        pass
    child.kill()
    child.wait()
    with locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("log", "code", "reason"),
    [
        ("a\npyrovae: no such thing\nmend it\n", 2, "no such thing"),
        ("note: training ended at step 3\nThe run is in R\n", 1, "training ended at step 3"),
        ("a\nb\n\n", 1, "exit code 1: b"),
        ("", -9, "ended by signal 9"),
        ("x" * 100_000 + "\nend\n", 3, "exit code 3: end"),
    ],
)
def test_the_reason_of_a_failure(log: str, code: int, reason: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(log)
    assert reason_of(tmp_path / "log", code) == reason


@pytest.mark.parametrize("ignored", [False, True])
def test_a_leash_stops_what_it_holds(ignored: bool) -> None:
    code = """
import signal, sys, time, types
if sys.argv[1] == "True":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does in the background
def run(words):
    print("begun", words, flush=True)
    time.sleep(60)
verb = sys.modules["pyrovae.cli.train"] = types.ModuleType("train")
verb.run = run
from pyrovae.cli.leash import main
main(["train", "--epochs", "3"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(ignored)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(pyrovae.__file__).parents[1])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun ('--epochs', '3')\n"
    process.communicate(timeout=60)  # closes its standard input
    assert process.returncode == 130


# -------------------------------------------------------------------------------------- end to end


def test_killed_half_way_and_run_again(
    forks: Forks, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--vary", "model.prior.dim=1,2", "--seeds", "1", *SMALL]
    words += ["--out", str(tmp_path / "C")]
    process = forks.begin(*words)
    wait_for(lambda: process.poll() is not None or any(Path().glob("C/cells/*/checkpoint/0*")))
    process.send_signal(signal.SIGKILL)
    process.finish(timeout=60)
    assert not Path("C/table.md").exists()
    words += ["--jobs", str(min(2, cores()))]
    assert main(words) == 0  # it waits until what was left behind has stopped
    said = capfd.readouterr().out
    assert "[2/2] dim=" in said
    assert "log p(x)" in said
    assert sorted(os.listdir("C")) == [
        ".lock",
        "cells",
        "comparison.yaml",
        "figure.png",
        "table.csv",
        "table.md",
    ]
    lines = Path("C/table.csv").read_text().splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ['"dim=1', 'seed=0"', "VAE"],
        ['"dim=2', 'seed=0"', "VAE"],
    ]
    logs = [Path(f"C/cells/dim={dim},seed=0.log").read_text() for dim in (1, 2)]
    assert all("test log p(x) = " in log for log in logs)
    assert "going on from the checkpoint" in logs[0]
    capfd.readouterr()
    weights = [path.stat().st_mtime_ns for path in Path("C").rglob("weights.safetensors")]
    assert main(words) == 0  # nothing is left to do
    assert "2 cells, 2 of them finished before" in capfd.readouterr().out
    assert weights == [p.stat().st_mtime_ns for p in Path("C").rglob("weights.safetensors")]
    assert main([*words, "--epochs", "2"]) == 2
    assert "epochs was 1 and is 2" in capfd.readouterr().err

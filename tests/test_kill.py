"""kill -9 at random moments: the run resumed ends with the weights of one never interrupted."""

import json
import random
import signal
import time
from pathlib import Path

import pytest
from forks import Forked, Forks

from pyrovae.training.checkpoints import has_checkpoint, read_checkpoint

TRAIN = ["--model.encoder.hidden", "[32]", "--model.decoder.hidden", "[32]", "--samples", "5"]
TRAIN += ["--model.prior.dim", "4", "--report", "false"]


def finish(process: Forked) -> None:
    errors = process.finish(timeout=600)
    assert process.returncode == 0, errors


def kill(process: Forked) -> bool:
    """Kill a process, and return whether it was still running."""
    process.send_signal(signal.SIGKILL)
    process.finish(timeout=60)
    return process.returncode == -signal.SIGKILL


def wait_for(process: Forked, file: Path) -> None:
    while process.poll() is None and not (file.is_file() and file.stat().st_size):
        time.sleep(0.005)


def readable(run: Path) -> None:
    """Raise where a run folder cannot be read; the last line of the metrics may be cut off."""
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    for line in lines:
        if line.endswith("\n"):
            json.loads(line)
    assert has_checkpoint(run)
    read_checkpoint(run)


def weights(run: Path) -> bytes:
    return (run / "model" / "weights.safetensors").read_bytes()


def killed_at(forks: Forks, run: Path, moment: float, epochs: str) -> None:
    """Begin a run, and kill it so many seconds after its first metric."""
    process = forks.begin("train", *TRAIN, "--epochs", epochs, "--out", str(run))
    wait_for(process, run / "metrics.jsonl")
    time.sleep(moment)
    kill(process)
    readable(run)


@pytest.mark.parametrize(
    ("epochs", "kills"), [("12", 1), pytest.param("300", 20, marks=pytest.mark.slow)]
)
def test_killed_at_any_moment(epochs: str, kills: int, forks: Forks, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    process = forks.begin("train", *TRAIN, "--epochs", epochs, "--out", str(whole))
    wait_for(process, whole / "metrics.jsonl")
    began = time.monotonic()
    finish(process)
    length = time.monotonic() - began
    moments = random.Random(20)
    for number in range(kills):
        run = tmp_path / f"run-{number}"
        killed_at(forks, run, moments.uniform(0.0, 0.95 * length), epochs)
        if number % 3 == 0:  # once more, while it is resumed
            again = forks.begin("train", "--resume", str(run))
            time.sleep(moments.uniform(0.0, 1.5 * length))
            kill(again)
            readable(run)
        finish(forks.begin("train", "--resume", str(run)))
        assert weights(run) == weights(whole), f"kill {number}"
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == list(range(1, int(epochs) + 1))


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(forks: Forks, tmp_path: Path) -> None:
    words = ["train", *TRAIN, "--epochs", "12"]
    finish(forks.begin(*words, "--out", str(tmp_path / "whole")))
    run = tmp_path / "run"
    for attempt in range(2):
        where = ["train", "--resume", str(run)] if attempt else [*words, "--out", str(run)]
        process = forks.begin(*where, slow=True)
        before = len(list((run / "checkpoint").glob("[0-9]*"))) if attempt else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # at least one whole one, and one that is half written
            whole = len(list((run / "checkpoint").glob("[0-9]*")))
            if (whole > before or attempt) and any((run / "checkpoint").glob(".*")):
                break
            time.sleep(0.01)
        time.sleep(0.3)
        assert kill(process)
        assert list((run / "checkpoint").glob(".*"))
        assert has_checkpoint(run)
        read_checkpoint(run)
    finish(forks.begin("train", "--resume", str(run)))
    assert weights(run) == weights(tmp_path / "whole")
    assert not list((run / "checkpoint").glob(".*"))

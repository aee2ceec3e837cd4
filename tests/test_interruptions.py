"""Ctrl-C and a full disk, in a process of its own: one clear line, and nothing half written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyrovae.saving import load
from pyrovae.training.checkpoints import read_checkpoint

TRAIN = ["train", "--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]"]
TRAIN += ["--model.prior.dim", "2", "--samples", "5", "--report", "false"]

# A process may write files of so many bytes only: what a full disk does, without one.
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from pyrovae.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def environment() -> dict[str, str]:
    given = {**os.environ, "OMP_NUM_THREADS": "1"}
    given.pop("COVERAGE_PROCESS_CONFIG", None)  # a limited process could not write its coverage
    return given


def heeding_ctrl_c() -> None:
    """Undo what a shell does to a command in the background, which then ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    "moment", [pytest.param("config.yaml", marks=pytest.mark.slow), "metrics.jsonl"]
)
def test_interrupted_by_ctrl_c(moment: str, tmp_path: Path) -> None:
    """While it trains, after its first metric; and between its first file and the first metric."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "pyrovae", *TRAIN, "--epochs", "2000", "--out", str(run)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        preexec_fn=heeding_ctrl_c,  # noqa: PLW1509  (this process starts no threads)
    )
    file = run / moment
    deadline = time.monotonic() + 120
    while not (file.is_file() and file.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors.decode().splitlines() == [
        f"pyrovae: interrupted; go on with: pyrovae train --resume {run}"
    ]
    read_checkpoint(run)
    assert not list(run.rglob(".*"))
    for line in (run / "metrics.jsonl").read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("limit", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_from_the_start(limit: int, tmp_path: Path) -> None:
    """The settings do not fit, or the first checkpoint does not: there is no run."""
    command = [sys.executable, "-c", LIMITED, str(limit), *TRAIN, "--epochs", "2"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run")],
        capture_output=True, check=False, text=True, timeout=300, env=environment(),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 3
    assert lines[0].startswith("pyrovae: ")
    assert "run" in lines[0]
    assert "Traceback" not in done.stderr
    assert not os.listdir(tmp_path)


def test_a_disk_that_is_full_while_a_model_is_saved(tmp_path: Path) -> None:
    """The earlier model stays, and nothing is left beside it."""
    code = """
import resource, signal, sys, torch, pyrovae
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
vae = pyrovae.VAE(prior=StandardNormal(2), likelihood=Normal((50,)), posterior=MeanFieldNormal(),
                  encoder=MLP((64,)), decoder=MLP((64,)))
pyrovae.save(vae, sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    pyrovae.save(vae, sys.argv[1])
except OSError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")],
        capture_output=True, check=True, text=True, timeout=300, env=environment(),
    )  # fmt: skip
    assert "File too large" in done.stdout
    assert os.listdir(tmp_path) == ["model"]
    assert load(tmp_path / "model").prior.dim == 2

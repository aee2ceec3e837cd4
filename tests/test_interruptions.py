"""Ctrl-C and a full disk, in a process of its own: one clear line, and nothing half written."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from forks import Forks

from pyrovae.saving import load
from pyrovae.training.checkpoints import read_checkpoint

TRAIN = ["train", "--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]"]
TRAIN += ["--model.prior.dim", "2", "--samples", "5", "--report", "false"]


@pytest.mark.parametrize(
    "moment", [pytest.param("config.yaml", marks=pytest.mark.slow), "metrics.jsonl"]
)
def test_interrupted_by_ctrl_c(moment: str, forks: Forks, tmp_path: Path) -> None:
    """While it trains, after its first metric; and between its first file and the first metric."""
    run = tmp_path / "run"
    process = forks.begin(*TRAIN, "--epochs", "2000", "--out", str(run))
    file = run / moment
    deadline = time.monotonic() + 120
    while not (file.is_file() and file.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    errors = process.finish(timeout=120)
    assert process.returncode == 130
    assert errors.splitlines() == [
        f"pyrovae: interrupted; go on with: pyrovae train --resume {run}"
    ]
    read_checkpoint(run)
    assert not list(run.rglob(".*"))
    for line in (run / "metrics.jsonl").read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("limit", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_from_the_start(limit: int, forks: Forks, tmp_path: Path) -> None:
    """The settings do not fit, or the first checkpoint does not: there is no run."""
    process = forks.begin(*TRAIN, "--epochs", "2", "--out", str(tmp_path / "run"), limit=limit)
    errors = process.finish(timeout=300)
    assert process.returncode == 2, errors
    lines = errors.splitlines()
    assert 1 <= len(lines) <= 3
    assert lines[0].startswith("pyrovae: ")
    assert "run" in lines[0]
    assert "Traceback" not in errors
    assert not os.listdir(tmp_path)


def test_a_disk_that_is_full_while_a_model_is_saved(forks: Forks, tmp_path: Path) -> None:
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
pyrovae.save(vae, sys.argv[1])
"""
    process = forks.begin("-c", code, str(tmp_path / "model"))
    errors = process.finish(timeout=300)
    assert process.returncode == 1, errors
    assert errors.splitlines()[-1].startswith("OSError: ")
    assert "File too large" in errors
    assert os.listdir(tmp_path) == ["model"]
    assert load(tmp_path / "model").prior.dim == 2

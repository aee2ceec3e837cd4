"""Several processes train one model: equal to one process under equal noise, and one run folder."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import process_worker as worker
import pytest
import torch

from pyrovae.__main__ import main
from pyrovae.training import fit
from pyrovae.training.checkpoints import read_checkpoint
from pyrovae.training.devices import fabric_of
from pyrovae.training.last_batch import _leaves_one

TESTS = Path(__file__).parent
SECONDS = 240


def torchrun(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run something in two processes with a thread each."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *words],
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what two processes have made of all cases."""
    folder = tmp_path_factory.mktemp("processes")
    ran = torchrun(str(TESTS / "process_worker.py"), str(folder))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == ""
    warned, _, *more = ran.stderr.splitlines()  # once, and Fabric has nothing to say
    assert "UserWarning: batch_size=128 is larger" in warned
    assert not more, ran.stderr
    return folder


def said(folder: Path, name: str, rank: int) -> dict[str, Any]:
    return dict(json.loads((folder / f"{name}-{rank}.json").read_text()))


def records(folder: Path, name: str, rank: int) -> list[dict[str, float]]:
    found = said(folder, name, rank)["records"]
    return [{key: value for key, value in r.items() if key != "seconds"} for r in found]


def require_same(folder: Path, one: str, other: str, *, exactly: bool) -> None:
    a, b = np.load(folder / f"{one}.npz"), np.load(folder / f"{other}.npz")
    assert a.files == b.files
    for name in a.files:
        close = np.array_equal(a[name], b[name])
        close = close or (not exactly and np.allclose(a[name], b[name], rtol=1e-9, atol=1e-11))
        assert close, f"{name}: {np.abs(a[name] - b[name]).max()}"


@pytest.mark.parametrize("name", sorted(worker.cases()))
def test_under_equal_noise_two_processes_train_what_one_trains(
    name: str, done: Path, tmp_path: Path
) -> None:
    """In double precision, so that only an order of summation may tell them apart."""
    for rank in (0, 1):
        (tmp_path / f"two-{rank}.npz").symlink_to(done / f"{name}-{rank}.npz")
    worker.run_cases(tmp_path, [name])
    (tmp_path / f"{name}-0.npz").rename(tmp_path / "one.npz")
    require_same(tmp_path, "two-0", "two-1", exactly=True)
    require_same(tmp_path, "two-0", "one", exactly=False)
    one, two = records(tmp_path, name, 0), records(done, name, 0)
    assert two == records(done, name, 1)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-6)
    assert said(done, name, 0)["best_epoch"] == said(tmp_path, name, 0)["best_epoch"]


def test_a_step_that_gathers_is_not_compiled(done: Path) -> None:
    """It reads how many rows the other processes have."""
    assert [said(done, "gathered", rank)["compiled"] for rank in (0, 1)] == [False, False]
    assert said(done, "compiled", 0)["compiled"]


def test_what_is_not_finite_in_one_process_stops_all(done: Path, tmp_path: Path) -> None:
    worker.run_cases(tmp_path, ["failing"])
    one = said(tmp_path, "failing", 0)["failure"]
    first, second = (said(done, "failing", rank)["failure"] for rank in (0, 1))
    assert first == second
    assert (first["step"], first["epoch"]) == (one["step"], one["epoch"])
    order = torch.randperm(
        worker.ROWS, generator=torch.Generator().manual_seed(3 * 1_000_003)
    ).tolist()
    place = order.index(worker.BAD) % 4
    assert first["text"].startswith(f"in process {place % 2}, the loss is nan; at site 'z'")


def test_statistics_of_a_batch_are_of_a_process_as_the_objective_declares(done: Path) -> None:
    """Both processes' losses in one process, with the statistics of each share by itself."""
    with worker.in_double():
        model, told = worker.by_process()
        data = worker.TensorData({"x": told["data"]})
        whole = next(data.batches(batch_size=len(data)))
        model.prepare(whole)
        loss = told["objective"](model.model, model.guide).train()
        optimizer = told["optimizer"](list(loss.parameters()))
        running: dict[str, torch.Tensor] = {}
        for epoch in range(told["epochs"]):
            order = (3 * 1_000_003 + epoch, told["batch_size"])
            parts = [
                data.shares(
                    batch_size=order[1],
                    part=part,
                    parts=2,
                    generator=torch.Generator().manual_seed(order[0]),
                )
                for part in (0, 1)
            ]
            for first, second in zip(*parts, strict=True):
                optimizer.zero_grad()
                total = loss(**first.batch or {})
                running = {name: buffer.clone() for name, buffer in loss.named_buffers()}
                total = total + loss(**second.batch or {})
                (total / first.size).backward()
                for name, buffer in loss.named_buffers():  # the first process's are the ones kept
                    buffer.copy_(running[name])
                optimizer.step()
        kept = np.load(done / "by process-0.npz")
        for name, value in model.state_dict().items():
            np.testing.assert_allclose(kept[name], value, rtol=1e-9, atol=1e-11, err_msg=name)
    require_same(done, "by process-0", "by process-1", exactly=True)


def test_the_processes_have_noise_of_their_own(done: Path) -> None:
    assert (done / "random-0").read_text() != (done / "random-1").read_text()


def test_an_interrupted_run_goes_on_bit_for_bit(done: Path) -> None:
    """With dropout, latent noise, batch normalisation, an average and data that draw."""
    for rank in (0, 1):
        require_same(done, f"resumed-{rank}", "whole-0", exactly=True)
        assert records(done, "resumed", rank) == records(done, "whole", 0)


def test_there_is_one_run_folder(done: Path) -> None:
    names = sorted(path.name for path in (done / "cut").iterdir())
    assert names == ["checkpoint", "history.json", "metrics.jsonl", "model"]
    lines = (done / "cut" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert len(read_checkpoint(done / "cut")["others"]) == 1


def test_another_number_of_processes_is_refused(done: Path) -> None:
    with pytest.raises(ValueError, match="has processes 2; got 1"):
        worker.noisy_fit(resume=done / "cut")


def test_one_process_can_end_the_run_of_all(done: Path) -> None:
    for rank in (0, 1):
        found = said(done, "stopped", rank)
        assert found["epochs"] == 1
        assert found["stopped"] == "the second process has had enough"


def test_processes_with_different_data_are_refused(done: Path) -> None:
    for rank in (0, 1):
        text = (done / f"refused-{rank}").read_text()
        assert "training data is 20 x [6] in process 0 and 21 x [6] in process 1" in text


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("count", range(1, 14))
@pytest.mark.parametrize("batch_size", range(1, 8))
def test_a_share_of_one_row_is_foreseen(count: int, batch_size: int, parts: int) -> None:
    data = worker.TensorData({"x": torch.zeros(count, 1)})
    size = min(count, batch_size)
    rows = {
        share.rows
        for part in range(parts)
        for share in data.shares(batch_size=size, part=part, parts=parts)
    }
    assert _leaves_one(count, size, parts) == (1 in rows)


def test_double_precision_needs_no_second_process() -> None:
    """The guard's own numbers stay single, whatever the default is."""
    with worker.in_double(), warnings.catch_warnings():
        history = fit(worker.vae_of(), worker.bits(), epochs=1, progress=False, batch_size=7)
    assert history.failure is None


# ------------------------------------------------------------------------------ the command line


def ours(text: str) -> list[str]:
    """The lines from the first of pyrovae's to what torchrun itself has to say."""
    lines = text.splitlines()
    said = [at for at, line in enumerate(lines) if line.startswith("pyrovae: ")]
    assert len(said) == 1, text
    rest = lines[said[0] :]
    theirs = [at for at, line in enumerate(rest) if "torch/distributed" in line]
    return rest[: min(theirs, default=len(rest))]


@pytest.mark.slow
def test_train_speaks_once_and_leaves_one_folder(tmp_path: Path) -> None:
    words = ("-m", "pyrovae", "train", "--epochs", "1", "--samples", "2")
    ran = torchrun(*words, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("trained 1 epochs") == 1
    assert ran.stdout.count("The run is in runs/digits-1") == 1
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["digits-1"]
    names = {path.name for path in (tmp_path / "runs" / "digits-1").iterdir()}
    assert {"config.yaml", "metrics.jsonl", "model", "evaluation.json", "report.html"} <= names
    resume = ("-m", "pyrovae", "train", "--resume", "runs/digits-1", "--epochs", "2")
    ran = torchrun(*resume, "--samples", "2", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("trained 2 epochs") == 1


@pytest.mark.slow
def test_a_mistake_is_said_once(tmp_path: Path) -> None:
    ran = torchrun("-m", "pyrovae", "train", "--optimizer.lr", "-1", cwd=tmp_path)
    assert ran.returncode != 0
    assert len(ours(ran.stderr)) <= 3
    assert "Invalid learning rate" in ran.stderr
    assert not list(tmp_path.glob("runs/*"))


BREAKS = """
import os, sys
from pyrovae.__main__ import main
from pyrovae.training.run import Run

step = Run._train_step

def breaking(self, share):
    if self.processes.rank == 1 and self.step == 3:
        raise ValueError("the second process has lost its data")
    step(self, share)

Run._train_step = breaking
sys.exit(main(["train", "--epochs", "3"]))
"""


@pytest.mark.slow
def test_what_ends_one_process_ends_all_with_its_own_words(tmp_path: Path) -> None:
    script = tmp_path / "breaks.py"
    script.write_text(BREAKS)
    ran = torchrun(str(script), cwd=tmp_path)
    assert ran.returncode != 0
    assert ours(ran.stderr)[0] == "pyrovae: the second process has lost its data"


def test_a_verb_that_is_not_shared_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)  # nobody is there to agree with
    assert main(["sample", "runs/1"]) == 2
    assert "only pyrovae train shares its work" in capsys.readouterr().err


def test_only_the_first_process_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert main(["train", "--help"]) == 0
    assert capsys.readouterr().out.count("usage") == 1


def test_a_numbered_device_is_refused_to_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="cuda:1' is one device, and there are 2 processes"):
        fabric_of("cuda:1")

"""train --resume, and runs that end otherwise than planned, as their users type them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pyrovae.__main__ import main
from pyrovae.training import run as loop

SMALL = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]", "--samples", "5"]
SMALL += ["--model.prior.dim", "2", "--report", "false"]

pytestmark = [
    pytest.mark.filterwarnings("ignore:poor importance weights"),
    pytest.mark.filterwarnings("always:training ended"),
    pytest.mark.filterwarnings("ignore:log p.x. is -inf"),
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def interrupt_at(step: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise an error after a training step, once."""
    take = loop.Run._train_step

    def interrupted(self: Any, batch: Any) -> None:
        take(self, batch)
        if self.step == step:
            monkeypatch.setattr(loop.Run, "_train_step", take)
            raise error

    monkeypatch.setattr(loop.Run, "_train_step", interrupted)


def weights(run: str) -> bytes:
    return Path(run, "model", "weights.safetensors").read_bytes()


def test_interrupted_and_resumed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", *SMALL, "--epochs", "2"]
    assert main([*words, "--out", "WHOLE"]) == 0
    interrupt_at(23, KeyboardInterrupt(), monkeypatch)
    assert main([*words, "--out", "RUN"]) == 130
    assert capsys.readouterr().err == (
        "pyrovae: interrupted; go on with: pyrovae train --resume RUN\n"
    )
    assert main(["evaluate", "RUN"]) == 2
    assert "go on with pyrovae train --resume RUN" in capsys.readouterr().err
    assert main(["train", "--resume", "RUN"]) == 0
    assert "going on from the checkpoint in RUN" in capsys.readouterr().out
    assert weights("RUN") == weights("WHOLE")
    assert Path("RUN/evaluation.json").read_text() == Path("WHOLE/evaluation.json").read_text()


def test_a_run_without_a_checkpoint_yet_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["train", *SMALL, "--epochs", "1", "--out", "WHOLE"]) == 0
    Path("RUN").mkdir()
    Path("RUN/config.yaml").write_text(Path("WHOLE/config.yaml").read_text())
    assert main(["train", "--resume", "RUN"]) == 0
    assert weights("RUN") == weights("WHOLE")


def test_more_epochs_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *SMALL, "--epochs", "3", "--out", "LONG"]) == 0
    assert main(["train", *SMALL, "--epochs", "1", "--out", "RUN"]) == 0
    assert main(["train", "--resume", "RUN", "--epochs", "3"]) == 0
    assert weights("RUN") == weights("LONG")
    assert "epochs: 3\n" in Path("RUN/config.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume", "RUNN"], "there is no run folder RUNN; did you mean 'RUN'?"),
        (["--resume", "RUN", "--seed", "3"], "beside it only --epochs, --samples"),
        (["--resume", "RUN", "--out", "X"], "got --out"),
        (["--resume", "BARE"], "holds no config.yaml"),
        (["--resume"], "--resume: a value must follow"),
    ],
)
def test_what_resuming_refuses(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("RUN").mkdir()
    Path("RUN/config.yaml").write_text("epochs: 1\n")
    Path("BARE").mkdir()
    assert main(["train", *words]) == 2
    assert message in capsys.readouterr().err
    assert os.listdir("RUN") == ["config.yaml"]
    assert not os.listdir("BARE")


def test_a_mistake_leaves_no_run_folder(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", *SMALL, "--optimizer", "SGD", "--optimizer.lr", "-1", "--out", "RUN"]
    assert main(words) == 2
    assert "-1" in capsys.readouterr().err
    assert not Path("RUN").exists()


@pytest.mark.filterwarnings("ignore:log p.x. is nan")  # the last good step left a poor model
def test_a_run_that_is_not_finite_ends_with_what_was_good(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--optimizer", "SGD", "--optimizer.lr", "1e6", "--epochs", "3", "--out", "RUN"]
    assert main(["train", *SMALL, *words]) == 1
    said = capsys.readouterr().out
    assert "note: training ended" in said
    assert "a lower rate, clipping" in said
    history = json.loads(Path("RUN/history.json").read_text())
    assert history["failure"]["epoch"] == 1
    assert "at site" in history["failure"]["text"]
    assert Path("RUN/model/weights.safetensors").exists()
    assert main(["train", "--resume", "RUN"]) == 1  # the same step, the same end


def test_a_full_disk_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(28, "No space left on device", "RUN/metrics.jsonl")
    interrupt_at(23, error, monkeypatch)
    assert main(["train", *SMALL, "--epochs", "2", "--out", "RUN"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "pyrovae: RUN/metrics.jsonl: No space left on device",
        "once that is mended, go on with: pyrovae train --resume RUN",
    ]


def test_tensorboard_is_a_flag() -> None:
    pytest.importorskip("tensorboard")
    assert main(["train", *SMALL, "--epochs", "1", "--tensorboard", "--out", "RUN"]) == 0
    assert list(Path("RUN/tensorboard").glob("events.*"))

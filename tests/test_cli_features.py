"""A model over the features of an earlier run, by the command line alone."""

import shutil
from pathlib import Path

import pytest
import torch

import pyrovae
from pyrovae.__main__ import main
from pyrovae.models import VAE, StackedVAE

SMALL = ["--batch_size", "200", "--samples", "2", "--report", "false"]
STACKED = [
    *("--model", "StackedVAE", "--model.encoder", "MLP", "--model.encoder.hidden", "[8]"),
    *("--model.decoder", "MLP", "--model.decoder.hidden", "[8]"),
    *("--model.target", "Categorical", "--model.target.event_shape", "[]"),
    *("--model.target.levels", "10", "--model.classifier", "MLP"),
    *("--model.classifier.hidden", "[8]", *SMALL),
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def first(out: str) -> None:
    small = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]", *SMALL]
    assert main(["train", "--epochs", "1", "--out", out, *small]) == 0


@pytest.mark.filterwarnings("ignore:poor importance weights")
def test_two_stages_and_what_is_kept_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    first("m1")
    assert main(["train", "--features", "m1", "--epochs", "1", "--out", "run", *STACKED]) == 0
    below, model = pyrovae.load("m1/model"), pyrovae.load("run/model")
    assert isinstance(below, VAE)
    assert isinstance(model, StackedVAE)
    for name, value in below.state_dict().items():
        assert torch.equal(value, model.features.state_dict()[name]), name
    config = Path("run/config.yaml").read_text()
    assert "features: m1\n" in config
    assert "likelihoods.Binomial" not in config
    # a run goes on, and is repeated from its configuration
    assert main(["train", "--resume", "run", "--epochs", "2"]) == 0
    told = ["--epochs", "2", "--out", "again"]
    assert main(["train", "--config", "run/config.yaml", *told]) == 0
    same = [Path(name, "model", "weights.safetensors").read_bytes() for name in ("run", "again")]
    assert same[0] == same[1]
    # what was trained stands alone
    shutil.rmtree("m1")
    assert main(["evaluate", "run", "--samples", "2"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (STACKED, "name its run folder by --features RUN"),
        ([*STACKED, "--features", "nowhere"], "nowhere"),
        (["--features", "nowhere"], "a VAE is of x itself and takes none"),
    ],
)
def test_refusals(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *words]) == 2
    assert said in capsys.readouterr().err

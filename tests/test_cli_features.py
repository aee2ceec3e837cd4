"""A model over the features of an earlier run, by the command line alone."""

import shutil
from pathlib import Path

import pytest
import torch

import pyrovae
from pyrovae.__main__ import main
from pyrovae.cli.cells import Cells
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


def test_a_comparison_names_the_features_and_their_baselines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The settings of every cell make a run; running cells is the matter of other files."""
    monkeypatch.setattr(Cells, "run", lambda self, cells: (end for end in ()))
    first("m1")
    words = ["--features", "m1", *STACKED, "--seeds", "1", "--vary", "data.labels=20,50"]
    assert main(["compare", *words, "--out", "all"]) == 0
    assert "6 cells" in capsys.readouterr().out
    read = {path.stem: Path(path).read_text() for path in Path("all/cells").glob("*.yaml")}
    stacked = [text for name, text in read.items() if name.startswith("labels")]
    assert all("features: m1\n" in text for text in stacked)
    others = {name: text for name, text in read.items() if not name.startswith("labels")}
    assert len(others) == 4
    assert all("features: null\n" in text for text in others.values())
    for name, text in others.items():
        assert f"pyrovae.models.{'VAE' if name.startswith('M1') else 'Classifier'}\n" in text
    config = Path("all/cells", "Classifier,labels=20,seed=0.yaml")
    assert main(["train", "--config", str(config), "--epochs", "1", "--out", "one"]) == 0
    capsys.readouterr()

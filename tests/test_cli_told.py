"""Models of labels from the command line: what they are told by the data, and what they tell."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import pyrovae
from pyrovae.__main__ import main
from pyrovae.evaluation import classification, clustering
from pyrovae.models import SemiSupervisedVAE

SMALL = ["--epochs", "2", "--batch_size", "200", "--report", "false", "--samples", "3"]
NETS = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]", "--model.prior.dim", "2"]
TOLD = ["--data.labels", "100", "--model.classifier.hidden", "[8]"]

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a semi-supervised model, of its classifier alone, and of a regression."""
    folder = tmp_path_factory.mktemp("runs")
    rows = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    y = np.where(np.arange(80) < 40, np.nan, rows.sum(1)).astype(np.float32)
    np.savez(folder / "rows.npz", x=rows, y=y)
    before = Path.cwd()
    os.chdir(folder)
    model = ["--model", "SemiSupervisedVAE", *NETS]
    try:
        assert main(["train", *model, *SMALL, *TOLD, "--out", "m2"]) == 0
        assert main(["train", "--model", "Classifier", *SMALL, *TOLD, "--out", "alone"]) == 0
        words = [*TOLD[2:], "--data", "rows.npz", "--batch_size", "20"]
        assert main(["train", *model, *SMALL, *words, "--out", "numbers"]) == 0
        assert main(["train", *NETS, *SMALL, "--data.labels", "100", "--out", "m1"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def beside_the_runs(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)


def numbers(run: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(Path(run, "evaluation.json").read_text())
    return found


def mistakes(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    said = capsys.readouterr().err
    assert said.startswith("pyrovae: ")
    assert "Traceback" not in said
    return said


def test_the_target_follows_from_the_labels() -> None:
    for run in ("m2", "alone"):
        given = yaml.safe_load(Path(run, "config.yaml").read_text())["model"]["init_args"]
        assert given["target"]["class_path"] == "pyrovae.likelihoods.Categorical"
        assert given["target"]["init_args"] == {"levels": 10}
        assert given["classifier"]["init_args"]["hidden"] == [8]
    of_numbers = yaml.safe_load(Path("numbers", "config.yaml").read_text())["model"]["init_args"]
    assert of_numbers["target"]["class_path"] == "pyrovae.likelihoods.Normal"
    assert of_numbers["target"]["init_args"]["scale"] == "network"


def test_a_choice_is_said_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--model", "Classifier", *SMALL, "--out", "said"]) == 0
    printed = capsys.readouterr().out
    assert "No target was given: Categorical with 10 levels, because y are 10 classes." in printed
    assert "no log p(x) is estimated" in printed
    assert "test accuracy" in printed


def test_a_target_of_too_few_levels_gets_those_of_the_data(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--model", "Classifier", "--model.target", "Categorical", "--print_config"]
    assert main(["train", *words]) == 0
    given = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]
    assert given["target"]["init_args"] == {"levels": 10}


def test_data_without_labels_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("bare.npy", np.zeros((50, 3), dtype=np.float32))
    for name in ("SemiSupervisedVAE", "Classifier"):
        said = mistakes(capsys, "train", "--model", name, "--data", "bare.npy", *SMALL)
        assert f"{name} is a model of labels y" in said


def test_the_numbers_of_a_run_are_those_of_its_model() -> None:
    found, model = numbers("m2"), pyrovae.load("m2/model")
    assert isinstance(model, SemiSupervisedVAE)
    told = classification(model, pyrovae.data.Digits())
    assert found["accuracy"] == pytest.approx(told.accuracy)
    assert found["label_by"] == "q(y | x) of SemiSupervisedVAE"
    assert isinstance(found["log_prob"], float)
    assert "log_prob" not in numbers("alone")
    assert isinstance(numbers("alone")["accuracy"], float)
    assert isinstance(numbers("numbers")["rmse"], float)
    assert numbers("m1")["label_trained_on"] == 100


@pytest.mark.parametrize("run", ["m2", "alone", "m1"])
def test_evaluate_tells_labels_again(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = numbers(run)
    capsys.readouterr()
    assert main(["evaluate", run, "--samples", "3"]) == 0
    printed = capsys.readouterr().out
    low, high = (f"{100.0 * end:.1f}" for end in before["accuracy_interval"])  # type: ignore[attr-defined]
    assert f"accuracy {100.0 * before['accuracy']:.1f} % ({low} to {high})" in printed  # type: ignore[operator]
    assert numbers(run) == before


def test_a_sample_has_the_label_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    def drawn(*words: str) -> np.ndarray:  # type: ignore[type-arg]
        assert main(["sample", "m2", "--n", "6", "--mean", "--out", "x.npy", *words]) == 0
        found: np.ndarray = np.load("x.npy")  # type: ignore[type-arg]
        return found

    one, other = drawn("--y", "3"), drawn("--y", "4")
    assert one.shape == (6, 1, 8, 8)
    assert not np.allclose(one, other)  # of the same z
    np.testing.assert_array_equal(one, drawn("--y", "3"))
    assert "classes 0 to 9" in mistakes(capsys, "sample", "m2", "--y", "10")
    assert "expected numbers" in mistakes(capsys, "sample", "m2", "--y", "three")
    assert "draws x without a y" in mistakes(capsys, "sample", "m1", "--y", "3")
    assert "Classifier has no sample()" in mistakes(capsys, "sample", "alone")
    assert main(["sample", "numbers", "--n", "4", "--y", "0.5", "--out", "y.npy"]) == 0


def test_latents_are_those_of_x_alone() -> None:
    import torch

    assert main(["encode", "m2", "--split", "test", "--out", "z.npz"]) == 0
    model = pyrovae.load("m2/model")
    x = next(pyrovae.data.Digits().load().test.batches(batch_size=400))["x"]  # type: ignore[union-attr]
    with torch.no_grad():
        q = model.classify(x).probs
        each = [model.encode(x, y=y).mean for y in range(10)]
    expected = sum(q[:, y : y + 1] * mean for y, mean in enumerate(each))
    np.testing.assert_allclose(np.load("z.npz")["mean"], expected.numpy(), atol=1e-5)  # type: ignore[union-attr]


def test_the_other_verbs_work_or_say_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", "m2", "--out", "r.npz"]) == 0
    assert main(["reconstruct", "m2", "--mean", "--out", "rm.npz"]) == 0
    assert np.load("rm.npz")["reconstruction"].shape == (32, 1, 8, 8)
    assert main(["score", "m2", "--samples", "2", "--out", "s.csv"]) == 0
    assert "a Classifier is a model of y given x" in mistakes(capsys, "score", "alone")
    assert "Classifier has no encode()" in mistakes(capsys, "encode", "alone")
    assert "impute" in mistakes(capsys, "impute", "m2")


def test_the_report_shows_labels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "m2"]) == 0
    page = Path("m2/report.html").read_text(encoding="utf-8")
    section = page.split('<section id="labels">')[1].split("</section>")[0]
    assert section.count("<svg") == 2
    assert section.count("<img") == 2
    for words in (
        "Confusion of 400",
        "Calibration of q(y | x)",
        "a column one label y",
        "Analogies",
    ):
        assert words in section
    assert "left out" not in section.lower()
    assert "accuracy" in page.split('<section id="numbers">')[1].split("</section>")[0]
    assert "Traversals" in page
    assert capsys.readouterr().err == ""
    assert main(["report", "alone"]) == 0
    alone = Path("alone/report.html").read_text(encoding="utf-8")
    assert alone.count("a Classifier has no latent variable z") >= 1
    assert "Confusion of 400" in alone
    assert main(["report", "m1"]) == 0
    assert '<section id="labels">' not in Path("m1/report.html").read_text(encoding="utf-8")


def test_a_grid_has_a_column_for_each_class() -> None:
    from pyrovae.report.held_out import Library
    from pyrovae.report.labels import ROWS, labels
    from pyrovae.report.reading import read_run
    from pyrovae.report.views import opened

    record = read_run(Path("m2"))
    view = opened(record, Library(None, split="test", allow=()), seed=0, budget=10**6, allow=())
    grid = list(labels(view))[2]
    import base64
    import io
    import re

    found = re.search(r'base64,([^"]+)"', grid.html)
    assert found is not None
    picture = Image.open(io.BytesIO(base64.b64decode(found[1])))
    assert picture.size == (10 * 9 - 1, ROWS * 9 - 1)


def test_clusters_are_held_against_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*NETS[:4], "--model.dim", "2", "--model.warmup", "20", *SMALL]
    assert main(["train", "--model", "ClusterVAE", *words, "--out", "clusters"]) == 0
    found = numbers("clusters")
    assert f"test clustering accuracy {100 * float(str(found['clustering_accuracy'])):.1f} %" in (
        capsys.readouterr().out
    )
    model = pyrovae.load("clusters/model")
    batch = next(pyrovae.data.Digits().load().test.batches(batch_size=400))
    assigned = model.classify(batch["x"]).logits.argmax(-1)
    again = clustering(batch["y"], assigned)
    assert found["clustering_accuracy"] == again.accuracy
    assert (found["nmi"], found["clusters_used"]) == (again.nmi, again.used)

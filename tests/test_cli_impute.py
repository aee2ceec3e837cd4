"""The verbs `impute` and `score`: what they write is what the functions say, whole."""

import csv
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pyrovae
from pyrovae.__main__ import main
from pyrovae.data import Arrays
from pyrovae.evaluation import Imputation, impute, score
from pyrovae.evaluation.importance import Weights

SMALL = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "8", "--samples", "5"]
SMALL += ["--epochs", "1", "--model.prior.dim", "2", "--batch_size", "20", "--report", "false"]

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of rows with holes, and labels for some of them."""
    folder = tmp_path_factory.mktemp("stage")
    generator = np.random.default_rng(0)
    observed = generator.random((80, 3)) < 0.7
    x = generator.normal(2.0, 1.0, size=(80, 3)).astype("float32")
    labels = generator.integers(-1, 3, size=80)
    np.savez(folder / "holes.npz", x=np.where(observed, x, np.nan), observed=observed, y=labels)
    np.save(folder / "whole.npy", x)
    before = Path.cwd()
    os.chdir(folder)
    try:
        source = str(folder / "holes.npz")
        assert main(["train", *SMALL, "--data", source, "--out", "R"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(stage: Path) -> str:
    return str(stage / "R")


def read(file: str) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


def table(file: str) -> list[dict[str, str]]:
    with open(file, newline="") as opened:
        return list(csv.DictReader(opened))


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_is_imputed_is_what_the_function_says(
    run: str, stage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["impute", run, "--samples", "30", "--seed", "4", "--draws", "19"]
    assert main([*words, "--interval", "0.9"]) == 0
    model = pyrovae.load(stage / "R" / "model")
    made = impute(model, Arrays(str(stage / "holes.npz")), samples=30, seed=4, draws=19)
    holes = int(made.missing.sum())
    said = f"{holes} missing entries of 8 data filled in, 19 draws each; test split: "
    assert said in capsys.readouterr().out
    found = read(f"{run}/imputed.npz")
    lower, upper = made.interval(0.9)
    expected = {
        "x": made.filled, "draws": made.draws.transpose(0, 1), "spread": made.spread,
        "observed": ~made.missing, "ess": made.ess, "index": made.index,
        "lower": lower, "upper": upper,
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values.numpy(), rtol=1e-5, err_msg=name)
    assert set(found) == {*expected, "split", "y"}
    assert found["split"].tolist() == ["test"] * 8
    test = next(Arrays(str(stage / "holes.npz")).load().test.batches(batch_size=8))
    assert found["y"].tolist() == test["y"].tolist()
    assert np.array_equal(found["x"][found["observed"]], test["x"].numpy()[found["observed"]])


def test_a_table_has_a_row_for_each_datum(run: str) -> None:
    words = ["impute", run, "--samples", "20", "--split", "all"]
    assert main([*words, "--out", "x.npz"]) == 0
    assert main([*words, "--out", "x.csv"]) == 0
    rows, arrays = table("x.csv"), read("x.npz")
    assert len(rows) == 80
    assert list(rows[0]) == [
        *("split", "index", "y", "x0", "x1", "x2"),
        *("x0_spread", "x1_spread", "x2_spread"),
    ]
    for at in range(3):
        column = np.array([row[f"x{at}"] for row in rows]).astype("float32")
        assert np.array_equal(column, arrays["x"][:, at])  # no digit is lost
    assert [row["split"] for row in rows] == arrays["split"].tolist()
    assert set(arrays["split"]) == {"train", "valid", "test"}


def test_what_is_in_the_file_does_not_hang_on_the_blocks(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known entries and sizes are the same; the draws are others."""
    words = ["impute", run, "--samples", "40", "--split", "train", "--out"]
    assert main([*words, "one.npz"]) == 0
    monkeypatch.setattr("pyrovae.evaluation.importance.rows_within", lambda *_, **__: 90)
    assert main([*words, "several.npz"]) == 0
    one, several = read("one.npz"), read("several.npz")
    assert {name: value.shape for name, value in one.items()} == {
        name: value.shape for name, value in several.items()
    }
    for name in ("observed", "index", "y"):
        assert np.array_equal(one[name], several[name])
    known = one["observed"]
    assert np.array_equal(one["x"][known], several["x"][known])
    assert not np.array_equal(one["x"], several["x"])


def test_scores_are_those_of_the_function(
    run: str, stage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", run, "--samples", "30", "--seed", "2"]) == 0
    assert "8 scores, log p(x) in nats; test split: " in capsys.readouterr().out
    model = pyrovae.load(stage / "R" / "model")
    found = score(model, Arrays(str(stage / "holes.npz")), samples=30, seed=2)
    rows = table(f"{run}/scores.csv")
    assert list(rows[0]) == ["split", "index", "log_prob", "error", "ess"]
    for name in ("index", "log_prob", "error", "ess"):
        column = np.array([float(row[name]) for row in rows])
        np.testing.assert_allclose(column, getattr(found, name).numpy(), rtol=1e-5)
    words = ["score", run, "--samples", "30", "--split", "all", "--sort", "--out", "s.npz"]
    assert main(words) == 0
    assert "the least likely first; all splits" in capsys.readouterr().out
    arrays = read("s.npz")
    assert len(arrays["log_prob"]) == 80
    assert (np.diff(arrays["log_prob"]) >= 0).all()
    both = {(split, index) for split, index in zip(arrays["split"], arrays["index"], strict=True)}
    assert len(both) == 80


def test_other_data_are_scored(run: str, stage: Path) -> None:
    """An outlier comes first."""
    x = np.load(stage / "whole.npy")
    x[17] = 40.0
    np.save("odd.npy", x)
    words = ["score", run, "--data", "odd.npy", "--split", "all", "--sort", "--samples", "20"]
    assert main([*words, "--out", "s.csv"]) == 0
    first = table("s.csv")[0]
    kept = getattr(Arrays("odd.npy").load(), first["split"])
    row = next(kept.batches(batch_size=80))["x"][int(first["index"])]
    assert torch.equal(row, torch.full((3,), 40.0))


def test_whatever_is_wrong_is_one_line(
    run: str, stage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = str(stage / "whole.npy")
    for words, said in (
        (["impute", run, "--data", whole], "these data declare no missing entries"),
        (["impute", run, "--interval", "0.9"], "0.9 needs --draws 19 or more; got 10"),
        (["impute", run, "--interval", "90"], "expected a number between 0 and 1; got '90'"),
        (["impute", run, "--draws", "0"], "expected a positive integer; got '0'"),
        (["impute", run, "--out", "x.png"], "expected a file ending in .npz or .csv; got x.png"),
        (["impute", run, "--draws", "2000000000"], "imputed.npz takes"),
        (["impute", run, "--drawss", "3"], "did you mean '--draws'?"),
        (["score", run, "--out", "x.txt"], "expected a file ending in .csv or .npz; got x.txt"),
        (["score", run, "--data", "digits"], "expects x of shape [batch, 3]"),
        (["score", run, "--device", "cdua"], "'cdua'"),
        (["score", "nowhere"], "there is no run folder nowhere"),
    ):
        assert said in mistake(capsys, *words), words
    assert not list(Path().iterdir())
    assert not Path(run, "imputed.npz.tmp").exists()


def test_poor_weights_are_notes(
    run: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Imputation, "poor", property(lambda made: made.ess > 0))
    monkeypatch.setattr(Weights, "ess", property(lambda weights: weights.log_total * 0 + 2.0))
    words = [run, "--samples", "50", "--out", "x.npz"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["impute", *words]) == 0
    assert "note: poor importance weights: 8 of 8 data have" in capsys.readouterr().out
    assert main(["score", *words]) == 0
    said = "note: 8 of 8 data have an effective sample size below a fifth of the 50 samples"
    assert said in capsys.readouterr().out


def test_the_examples_of_the_help_run(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("impute", "score"):
        assert main(["help", verb]) == 0
        (example,) = re.findall(r"^example: (.*)", capsys.readouterr().out, re.MULTILINE)
        words = re.sub(r"runs/\w+-1", run, example).split()[1:]
        assert main([*words, "--samples", "10"]) == 0, example

"""Budgets of labels and targets by command line alone."""

import csv
from pathlib import Path

import numpy as np
import pytest

from pyrovae.__main__ import main
from pyrovae.config import parse
from pyrovae.data import MNIST, source_for

SMALL = [
    *("--model.prior.dim", "2", "--model.encoder.hidden", "[4]", "--model.decoder.hidden", "[4]"),
    *("--epochs", "1", "--samples", "5", "--compile", "false", "--report", "false"),
]

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def line_of(printed: str) -> str:
    """Return what is printed of the data."""
    return next(line for line in printed.splitlines() if line.startswith("data "))


def test_a_budget_is_printed_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "digits", "--data.labels", "100", "--data.labelled_share", "0.25"]
    assert main(["train", *words, "--out", "run", *SMALL]) == 0
    assert line_of(capsys.readouterr().out).endswith(
        "1497 x [1, 8, 8], handwritten digits of scikit-learn, grey levels 0..16: training, "
        "100 of 1 197 labelled, each read 4 times an epoch (26.7 % of the rows)"
    )
    kept = parse(Path("run/config.yaml").read_text())["data"]["init_args"]
    assert (kept["labels"], kept["labels_seed"], kept["labelled_share"]) == (100, 0, 0.25)


@pytest.mark.parametrize("name", ["MNIST", "mnist"])
def test_both_spellings_of_a_source(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is read for a configuration, so no file is needed."""
    words = ["--data", name, "--data.labels", "100", "--data.shift", "2", "--print_config"]
    assert main(["train", *words]) == 0
    printed = parse(capsys.readouterr().out)["data"]
    assert printed["class_path"] == "pyrovae.data.MNIST"
    assert (printed["init_args"]["labels"], printed["init_args"]["shift"]) == (100, 2)
    assert repr(source_for(name, labels=100, shift=2)) == repr(MNIST(labels=100, shift=2))


def test_a_target_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{b:.3f},{1000 + 100 * c:.2f}" for a, b, c in rng.normal(size=(80, 3))]
    Path("table.csv").write_text("\n".join(["a,b,price", *lines]) + "\n")
    words = ["--data", "table.csv", "--data.target", "price", "--data.labels", "10"]
    assert main(["train", *words, "--out", "run", *SMALL]) == 0
    printed = capsys.readouterr().out
    assert line_of(printed).endswith("64 x [2], table.csv: training, 10 of 64 labelled")
    kept = parse(Path("run/config.yaml").read_text())["data"]["init_args"]
    assert kept["columns"]["price"] == "target"
    assert main(["encode", "run", "--out", "latents.csv", "--split", "all"]) == 0
    with open("latents.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    prices = {line.split(",")[2] for line in lines}
    known = [row for row in rows if row["y"] not in ("", "nan")]
    assert {row["split"] for row in known} == {"train", "test"}
    assert sum(row["split"] == "train" for row in known) == 10
    assert all(f"{float(row['y']):.2f}" in prices for row in known)

"""One command for a table: every verb on a run of one with all kinds of columns and holes."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrovae.__main__ import main
from pyrovae.cli.errors import LINES
from pyrovae.config import parse
from pyrovae.data import Table
from pyrovae.report import vectors
from pyrovae.report.drawing import Picture
from pyrovae.report.held_out import Library
from pyrovae.report.reading import read_run
from pyrovae.report.vectors import quantiles
from tests.test_tables import BAD, text

SMALL = [
    *("--model.prior.dim", "2", "--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]"),
    *("--epochs", "2", "--samples", "20", "--compile", "false"),
]
COLUMNS = ["real", "integer", "positive", "count", "binary", "size", "city", "same"]

pytestmark = [
    pytest.mark.usefixtures("run"),
    pytest.mark.filterwarnings("ignore:poor importance weights"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a run of it."""
    made = tmp_path_factory.mktemp("tables")
    (made / "table.csv").write_text(text(80))
    lines = [line.split(",") for line in text(60).splitlines()]
    for at, cells in enumerate(lines[1:]):
        for column in (4, 6, 7):
            cells[column] = "" if (at + column) % 4 == 0 else cells[column]
    (made / "holes.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    before = Path.cwd()
    os.chdir(made)
    try:
        words = ["--data.columns", "{size: [small, large, huge]}", "--out", "run"]
        assert main(["train", "--data", "table.csv", *words, *SMALL]) == 0
    finally:
        os.chdir(before)
    return made


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def rows(file: str) -> tuple[list[str], list[list[str]]]:
    with open(file, newline="", encoding="utf-8") as opened:
        header, *others = csv.reader(opened)
    return header, others


def test_the_schema_is_printed_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed as a configuration is the one that the run keeps."""
    assert main(["train", "--data", "table.csv", "--print_config"]) == 0
    printed = parse(capsys.readouterr().out)["data"]["init_args"]["columns"]
    kept = parse(Path("run/config.yaml").read_text())["data"]["init_args"]["columns"]
    assert printed.pop("size") == {"category": ["huge", "large", "small"]}
    assert kept.pop("size") == ["small", "large", "huge"]
    assert printed == kept
    assert kept["city"] == {"category": ["Lima", "Oslo", "Rome"]}
    assert kept["same"] == {"constant": ["EU"]}
    assert Path("run/report.html").is_file()


def test_the_choice_and_its_reason_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", "table.csv", *SMALL, "--epochs", "1", "--out", "other"]) == 0
    printed = capsys.readouterr().out
    assert "No likelihood was given: likelihood Mixed, because the table has the columns" in printed
    assert "1 real, 1 integer, 1 positive, 1 count, 1 binary, 2 category" in printed
    lines = [line.split() for line in printed.splitlines() if line.startswith(tuple(COLUMNS))]
    assert [line[0] for line in lines[:8]] == COLUMNS
    assert "id" in printed
    assert "it counts the rows" in printed


def test_a_synthetic_table_has_the_same_columns_and_types() -> None:
    assert main(["sample", "run", "--n", "30"]) == 0
    header, drawn = rows("run/samples.csv")
    assert header == COLUMNS
    assert len(drawn) == 30
    for line in drawn:
        cells = dict(zip(header, line, strict=True))
        float(cells["real"])
        int(cells["integer"])
        assert float(cells["positive"]) > 0.0
        assert int(cells["count"]) >= 0
        assert cells["binary"] in ("no", "yes")
        assert cells["size"] in ("small", "large", "huge")
        assert cells["city"] in ("Rome", "Oslo", "Lima")
        assert cells["same"] == "EU"


def test_the_table_may_be_gone(tmp_path: Path) -> None:
    os.rename("table.csv", tmp_path / "away.csv")
    try:
        assert main(["sample", "run", "--n", "2", "--out", "two.csv"]) == 0
    finally:
        os.rename(tmp_path / "away.csv", "table.csv")
    assert rows("two.csv")[0] == COLUMNS


def test_the_other_verbs() -> None:
    assert main(["evaluate", "run", "--samples", "20"]) == 0
    assert main(["reconstruct", "run", "--n", "5"]) == 0
    header, made = rows("run/reconstructions.csv")
    assert header == COLUMNS
    assert len(made) == 5
    assert main(["encode", "run", "--out", "z.csv"]) == 0
    assert main(["report", "run"]) == 0


def test_the_holes_of_a_table_are_filled_in(capsys: pytest.CaptureFixture[str]) -> None:
    """The table comes back row for row; what was known is as it was, types and levels stay."""
    header, before = rows("holes.csv")
    words = ["impute", "run", "--data", "holes.csv", "--samples", "20", "--split", "all"]
    assert main([*words, "--out", "whole.csv"]) == 0
    said = capsys.readouterr().out
    names, after = rows("whole.csv")
    assert names == COLUMNS
    assert len(after) == len(before) == 60
    holes = 0
    for line, made in zip(before, after, strict=True):
        old, new = dict(zip(header, line, strict=True)), dict(zip(names, made, strict=True))
        for name in COLUMNS:
            hole = old[name] in ("", "NA")
            holes += hole and name != "same"
            assert hole or old[name] == new[name] or float(old[name]) == float(new[name])
        float(new["real"])
        assert new["integer"] == str(int(new["integer"]))
        assert float(new["positive"]) > 0.0
        assert int(new["count"]) >= 0
        assert new["binary"] in ("no", "yes")
        assert new["size"] in ("small", "large", "huge")
        assert new["city"] in ("Rome", "Oslo", "Lima")
        assert new["same"] == "EU"
    assert holes > 60
    assert f"{holes} missing entries of 60 data filled in" in said
    assert main([*words, "--out", "whole.npz", "--interval", "0.5"]) == 0
    with np.load("whole.npz") as arrays:
        x, spread = arrays["x"], arrays["spread"]
        assert arrays["columns"].tolist() == [
            *("real", "integer", "positive", "count", "binary", "size", "city")
        ]
        assert (~arrays["observed"]).sum() == holes
        assert (spread[:, 0] > 0.0).tolist() == (~arrays["observed"][:, 0]).tolist()
        assert x.shape == (60, 7)
    assert main([*words[:-2], "--out", "test.csv"]) == 0
    assert len(rows("test.csv")[1]) == 6
    capsys.readouterr()
    assert main([*words, "--out", "x.csv", "--interval", "0.5"]) == 2
    assert "x.csv has no room for intervals; write a .npz file" in capsys.readouterr().err


def test_a_table_is_scored(capsys: pytest.CaptureFixture[str]) -> None:
    """A row that is like no other comes first."""
    lines = Path("table.csv").read_text().splitlines()
    cells = lines[5].split(",")
    cells[1:3] = ["900", "700"]
    Path("odd.csv").write_text("\n".join([*lines[:5], ",".join(cells), *lines[6:]]) + "\n")
    words = ["score", "run", "--data", "odd.csv", "--split", "all", "--sort", "--samples", "20"]
    assert main([*words, "--out", "scores.csv"]) == 0
    header, found = rows("scores.csv")
    assert header == ["split", "index", "log_prob", "error", "ess"]
    assert len(found) == 80
    source = Table("odd.csv", columns={"real": "real"})
    split = getattr(source.load(), found[0][0])
    x = next(split.batches(batch_size=80))["x"][int(found[0][1])]
    assert x[:2].tolist() == [900.0, 700.0]


@pytest.mark.filterwarnings("default:.*hold none of")
def test_another_table_is_read_as_that_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A new city is missing and said; the levels keep their codes."""
    lines = text(40).replace("Oslo", "Bonn").splitlines()
    Path("new.csv").write_text("\n".join(lines) + "\n")
    assert main(["evaluate", "run", "--data", "new.csv", "--samples", "20"]) == 0
    printed = capsys.readouterr().out
    assert "13 cells of the column 'city' hold none of its 3 known levels" in printed
    assert "'Bonn' (13); they are taken as missing" in printed


def test_a_report_reads_another_table_as_that_of_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes agree where the levels come in another order, and of some there are none."""
    lines = text(80).splitlines()
    chosen = [line for line in lines[1:] if "Lima" not in line and "large" not in line]
    Path("turned.csv").write_text("\n".join([lines[0], *reversed(chosen)]) + "\n")
    other = Table("turned.csv", valid=0, test=0)
    library = Library(other, split="train", allow=())
    held = library.of(read_run(Path("run")))
    assert held.data is not None
    assert held.columns == ("real", "integer", "positive", "count", "binary", "size", "city")
    x = next(held.data.batches(batch_size=80))["x"]
    for row, line in zip(x, reversed(chosen), strict=True):
        cells = dict(zip(lines[0].split(","), line.split(","), strict=True))
        codes = [["small", "large", "huge"], ["Lima", "Oslo", "Rome"]]
        assert [levels[int(at)] for levels, at in zip(codes, row[-2:], strict=True)] == [
            cells["size"], cells["city"]
        ]  # fmt: skip
    assert library.of(read_run(Path("run"))) is held
    named = []

    def watched(data: Any, drawn: Any, names: list[str]) -> Picture:
        named.append(names)
        return quantiles(data, drawn, names)

    monkeypatch.setattr(vectors, "quantiles", watched)
    words = ["--data", "turned.csv", "--split", "train", "--out", "turned.html"]
    assert main(["report", "run", *words]) == 0
    assert named == [["real", "integer", "positive", "count", "binary", "size", "city"]]
    page = Path("turned.html").read_text()
    for said in ("training data, Table(", "5 is size, 6 is city"):
        assert said in page, said
    capsys.readouterr()
    assert main(["report", "run", "--data", "turned.cs"]) == 2
    assert main(["report", "run", "--data", "away.csv"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_goes_on() -> None:
    words = ["--epochs", "3", "--report", "false"]
    assert main(["train", "--resume", "run", *words]) == 0


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_ends_in_few_lines(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = BAD[name][0]
    file = tmp_path / "bad.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["train", "--data", str(file), "--out", str(tmp_path / "out"), *SMALL]) == 2
    said = capsys.readouterr().err.splitlines()
    assert 1 <= len(said) <= LINES
    assert said[0].startswith("pyrovae: ")
    assert "Traceback" not in "".join(said)
    assert "it arose in" not in "".join(said)
    assert not (tmp_path / "out").exists()

"""One command for a table: every verb on a run of one with all kinds of columns and holes."""

import csv
import os
from pathlib import Path

import pytest

from pyrovae.__main__ import main
from pyrovae.cli.errors import LINES
from pyrovae.config import parse
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


@pytest.mark.filterwarnings("default:.*hold none of")
def test_another_table_is_read_as_that_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A new city is missing and said; the levels keep their codes."""
    lines = text(40).replace("Oslo", "Bonn").splitlines()
    Path("new.csv").write_text("\n".join(lines) + "\n")
    assert main(["evaluate", "run", "--data", "new.csv", "--samples", "20"]) == 0
    printed = capsys.readouterr().out
    assert "13 cells of the column 'city' hold none of its 3 known levels" in printed
    assert "'Bonn' (13); they are taken as missing" in printed


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

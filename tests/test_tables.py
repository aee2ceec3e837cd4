"""Tables: what is inferred of columns, what is refused, and that nothing is lost on the way."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pyrovae.config import dump as dumped
from pyrovae.config import from_tree, parse, to_tree
from pyrovae.data import Source, Table, as_data, load, source_for
from pyrovae.data.cells import is_like_number, number

WHOLE: dict[str, Any] = {"valid": 0, "test": 0}


def text(rows: int = 40) -> str:
    """Return a table with a column of each kind, a third of the cells of one of them missing."""
    lines = ["id,real,integer,positive,count,binary,size,city,same"]
    for at in range(rows):
        city = ["Rome", "Oslo", "Lima"][at % 3]
        size = ["small", "large", "huge"][at // 3 % 3]
        real = "NA" if at % 3 == 0 else f"{(at - 7) / 8}"
        count = at * at % 11 * (at % 2)
        row = [
            at,
            real,
            at * 7 % 13 - 6,
            at / 4 + 0.5,
            count,
            ["no", "yes"][at % 2],
            size,
            city,
            "EU",
        ]
        lines.append(",".join(map(str, row)))
    return "\n".join(lines) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "table.csv"
    made.write_text(text())
    return made


def table(folder: Path, content: str | bytes, **options: Any) -> Table:
    """Return a table with this content, all of it to train on."""
    made = folder / "t.csv"
    made.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Table(str(made), **{**WHOLE, **options})


def kinds(source: Table) -> dict[str, str]:
    return {column.name: column.kind for column in source.schema.columns}


def test_each_kind_is_inferred_and_has_its_likelihood(file: Path) -> None:
    source = Table(str(file), columns={"size": ["small", "large", "huge"]})
    assert kinds(source) == {
        "id": "ignore", "real": "real", "integer": "integer", "positive": "positive",
        "count": "count", "binary": "binary", "size": "ordinal", "city": "category",
        "same": "constant",
    }  # fmt: skip
    assert source.event_shape == (7,)
    parts = [part["class_path"].rpartition(".")[2] for part in source.suggestion.arguments["parts"]]
    assert source.suggestion.likelihood == "Mixed"
    assert parts == [
        "Standardized", "Standardized", "NegativeBinomial", "Bernoulli", "Ordinal", "Categorical"
    ]  # fmt: skip
    header, *lines = source.described()
    assert header.split() == ["column", "kind", "levels", "or", "range", "missing", "suits"]
    assert re.fullmatch(r"real +real +-0.75 to 3.875 +35.0% +Standardized\(Normal\)", lines[1])
    assert re.search(r"size +ordinal +3: small < large < huge +0.0% +Ordinal", "\n".join(lines))
    assert "it counts the rows" in lines[0]


def test_x_holds_the_cells_and_gives_them_back(file: Path) -> None:
    """Every cell of the file comes back as it was, integers as integers, names as names."""
    source = Table(str(file), **WHOLE)
    assert source.form is not None
    batch = next(source.load().train.batches(batch_size=99))
    x, observed = batch["x"].numpy(), batch["observed"].numpy()
    cells = source.form.cells(x, observed)
    header, *rows = [line.split(",") for line in text().splitlines()]
    assert list(cells) == header[1:]
    for at, name in enumerate(header[1:], 1):
        for cell, row in zip(cells[name], rows, strict=True):
            same = float(cell) == float(row[at]) if "." in row[at] and cell else cell == row[at]
            assert same or (row[at] == "NA" and cell == "")
    assert not observed.all()
    assert (x[~observed] == 0).all()


def test_a_settled_source_reads_without_looking(file: Path, monkeypatch: Any) -> None:
    """And goes through a configuration unchanged."""
    settled = Table(str(file)).settled()
    again = from_tree(parse(dumped(to_tree(settled))), expected=Source)
    assert repr(again) == repr(settled) == repr(again.settled())
    assert isinstance(again, Table)
    monkeypatch.setattr("pyrovae.data.inference.Facts.add", None)
    assert torch.equal(again.load().train.tensors["x"], settled.load().train.tensors["x"])
    file.unlink()
    assert again.form is not None
    assert again.form.names[0] == "real"


def test_new_files_are_read_as_the_old_one(file: Path, tmp_path: Path) -> None:
    """Permuted columns, further ones, other levels: codes and places in x stay."""
    run = Table(str(file), label="city").settled()
    assert isinstance(run, Table)
    content = "new,city,count,size,binary,positive,integer,real\n7,Lima,3,huge,yes,2.5,-4,0.5\n"
    content += "7,Bonn,3,tiny,yes,2.5,-4,0.5\n"
    other = table(tmp_path, content).like(run)
    assert isinstance(other, Table)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batch = next(other.load().train.batches(batch_size=9))
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert "1 cells of the column 'size'" in messages[0]
    assert "'tiny' (1); they are taken as missing" in messages[0]
    assert "'Bonn' (1); they are taken as unlabelled" in messages[1]
    assert [column.name for column in other.schema.of_x] == [c.name for c in run.schema.of_x]
    assert batch["x"][0].tolist() == [0.5, -4.0, 2.5, 3.0, 1.0, 0.0]
    assert batch["observed"].tolist() == [[True] * 6, [True] * 5 + [False]]
    assert batch["y"].tolist() == [run.classes.index("Lima"), -1]
    with pytest.raises(ValueError, match=r"has no column 'real'"):
        table(tmp_path, "city,size\nRome,huge\n").like(run).load()


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        ("a;b\n1.5;2\n2.5;4\n0.5;9", (2,)),
        ("a\tb\n1.5\t2\n2.5\t4\n0.5\t9", (2,)),
        ("\ufeffa,b\r\n1.5,2\r\n2.5,4\r\n\r\n0.5,9\r\n", (2,)),
        ('"a, x",b\n"1.5",2\n2.5,4\n0.5,"9"', (2,)),
        ("a\n1.5\n2.5\n0.5", (1,)),
    ],
)
def test_separators_marks_and_quotes(tmp_path: Path, content: str, shape: tuple[int]) -> None:
    source = table(tmp_path, content)
    assert source.event_shape == shape
    assert source.load().train.tensors["x"][:, 0].tolist() == [1.5, 2.5, 0.5]


def test_line_breaks_and_quotes_in_cells_stay_in_names(tmp_path: Path) -> None:
    lines = ["name,x"] + [f'"O""Hara\nof {["Cork", "Mayo"][at % 2]}",{at}.5' for at in range(8)]
    source = table(tmp_path, "\n".join(lines))
    assert source.schema.columns[0].levels == ('O"Hara\nof Cork', 'O"Hara\nof Mayo')
    with pytest.raises(ValueError, match=r"line 18, column 'x': 'oops'"):
        table(tmp_path, "\n".join([*lines, "b,oops"])).load()


BAD: dict[str, tuple[str | bytes, str]] = {
    "ragged": ("a,b\n1,2\n3\n", r"line 3: 1 cells, and the first line names 2"),
    "ragged, too long": ("a,b\n1,2\n3,4,5\n", r"line 3: 3 cells"),
    "duplicate columns": ("a,b, a\n1,2,3\n", r"more than once: 'a'"),
    "all missing": ("a,b\nNA,\n?,\n", r"no column to model \('a': no cell is known"),
    "thousands": ('a,b\n1.5," 1,234 "\n2.5,3\n', r"line 2, column 'b': '1,234' reads like"),
    "units": ("a,b\n1.5,12 kg\n2.5,13 kg\n", r"line 2, column 'b': '12 kg' reads like"),
    "decimal comma": ("a;b\n1,5;2\n2,5;3\n", r"line 2, column 'a': '1,5' reads like"),
    "one wrong cell": ("a\n1\n2\n3\nfour\n", r"line 5, column 'a': 'four' is no number"),
    "infinity": ("a\n1.5\n-inf\n2.5\n", r"line 3, column 'a': '-inf' is infinite"),
    "too large": ("a\n1.5\n1e999\n2.5\n", r"'1e999' is infinite"),
    "too large for x": ("a\n1.5\n1e60\n2.5\n", r"line 3, column 'a': '1e60'"),
    "constant": ("a,b\n1,x\n1,x\n1,x\n", r"no column to model"),
    "empty": ("", r"is empty"),
    "blank": ("\n\n", r"is empty"),
    "header only": ("a,b\n", r"no row of data"),
    "no header": ("1.5,2\n3,4\n5,6\n", r"must begin with a line of names"),
    "latin": ("a,b\n1,caf\xe9\n".encode("latin-1"), r"line 2: no text in UTF-8"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), r"no text in UTF-8"),
    "open quote": ('a,b\n1,"x\n2,3\n', r"a double quote opens here"),
    "bad quote": ('a,b\n1,"x"y\n', r"quoted cell must end"),
    "one line without end": (b"a" * (2**20 + 5), r"first line has more than"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_refused_in_a_line(name: str, tmp_path: Path) -> None:
    content, said = BAD[name]
    with pytest.raises(ValueError, match=said) as caught:
        table(tmp_path, content).load()
    assert "\n" not in str(caught.value)


def test_one_row_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column to model"):
        table(tmp_path, "a,b\n1.5,2\n").load()
    with pytest.raises(ValueError, match="none would be left to train on"):
        table(tmp_path, "a,b\n1.5,2\n", columns={"a": "real"}, valid=0.1, test=0.1).load()
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        Table(str(tmp_path / "x.csv")).load()
    with pytest.raises(FileNotFoundError, match=r"did you mean .*t\.csv"):
        Table(str(tmp_path / "tt.csv")).load()


def test_identifiers_free_texts_and_postal_codes(tmp_path: Path) -> None:
    lines = [f"user{at},{'word ' * 60},{at:05d},{at % 7}.25" for at in range(1500)]
    content = "\n".join(["user,text,code,x", *lines])
    source = table(tmp_path, content)
    assert kinds(source) == {"user": "ignore", "text": "ignore", "code": "ignore", "x": "positive"}
    assert "over 1,000 different texts in 1,500" in source.schema.left_out["user"]
    with pytest.raises(ValueError, match=r"'user' is declared category.*more than 1000"):
        table(
            tmp_path, "\n".join(["user,text,code,x", *lines]), columns={"user": "category"}
        ).load()


def test_unnamed_columns_are_left_out(tmp_path: Path) -> None:
    source = table(tmp_path, ",x\n5,1.5\n9,2.5\n")
    assert kinds(source) == {"column 1": "ignore", "x": "positive"}


def test_lost_digits_are_said(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="differences are lost by rounding"):
        table(tmp_path, "t\n1700000000.5\n1700000003.5\n1700000009.5\n").load()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": "cont"}, "did you mean 'count'"),
        ({"b": "real"}, "has no column 'b'"),
        ({"a": "count"}, r"line 3, column 'a': '-2' is not of the kind count"),
        ({"a": "positive"}, "numbers above zero"),
        ({"a": ["x"]}, "expects 2 to 1000 levels; got 1"),
        ({"a": {"binary": ["1", "2", "3"]}}, "expects 2 levels; got 3"),
        ({"a": {"category": ["1", "1"]}}, "level twice"),
        ({"a": {"real": ["1"]}}, "expects one of"),
        ({"a": {"label": ["1", "-2"]}}, "of the kind label"),
        ({"a": 3}, "expects one of"),
    ],
)
def test_declarations_that_do_not_hold(columns: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        table(tmp_path, "a\n1\n-2\n3\n", columns=columns).load()


def test_an_order_among_texts_must_be_said(tmp_path: Path) -> None:
    content = "a\nlow\nhigh\nmid\nlow\n"
    with pytest.raises(ValueError, match=r"order of its texts is unknown.*\[high, low, mid"):
        table(tmp_path, content, columns={"a": "ordinal"}).load()
    source = table(tmp_path, content, columns={"a": ["low", "mid", "high"]})
    assert source.load().train.tensors["x"].flatten().tolist() == [0.0, 2.0, 1.0, 0.0]
    numbers = table(tmp_path, "a\n10\n9\n10\n2\n", columns={"a": "ordinal"})
    assert numbers.schema.columns[0].levels == ("2", "9", "10")


def test_wrong_types_are_refused() -> None:
    for given, kind in [
        ({"columns": ["a"]}, TypeError), ({"missing": 3}, TypeError), ({"label": 3}, TypeError),
        ({"path": "a.xls"}, ValueError), ({"valid": -1}, ValueError), ({"seed": "a"}, ValueError),
        ({"columns": {"a": [True, False]}}, TypeError),
    ]:  # fmt: skip
        with pytest.raises(kind):
            Table(**given)
    with pytest.raises(ValueError, match="needs the path"):
        Table().load()
    with pytest.raises(TypeError, match="expects a data frame"):
        Table.of({"a": [1]})


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0), ("+1.", 1.0), ("-.5E+2", -50.0), ("1_0", None), ("\u0661", None), ("0x1", None),
        ("01", None), ("0", 0.0), ("0.5", 0.5), ("1 2", None), ("nan", None), ("", None),
        ("1e999", float("inf")), ("-Infinity", float("-inf")), ("1,5", None),
    ],
)  # fmt: skip
def test_numbers(cell: str, value: float | None) -> None:
    assert number(cell) == value


def test_no_number_reads_like_one_and_is_none() -> None:
    assert not any(map(is_like_number, ["1", "1.5", "-3e4", "inf", "abc", "2024-01-31", "A1"]))


def test_data_frames(tmp_path: Path) -> None:
    """With their types, and what pandas calls missing."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "age": pandas.array([30, None, 41, 7] * 3, dtype="Int64"),
            "weight": [1.5, 2.5, None, -0.5] * 3,
            "sex": pandas.Categorical(["f", "m", None, "f"] * 3),
            "sick": [True, False, False, True] * 3,
            "day": [1, 2, 3, 1] * 3,
        }
    )
    source = Table.of(frame, columns={"day": "category"}, **WHOLE)
    assert kinds(source)["sex"] == "binary"
    tensors = source.load().train.tensors
    assert source.form is not None
    back = source.form.frame(tensors["x"].numpy(), tensors["observed"].numpy())
    pandas.testing.assert_frame_equal(back, frame, check_categorical=False)
    assert as_data(frame).event_shape == (5,)
    file = tmp_path / "f.csv"
    frame.to_csv(file, index=False)
    again = Table(str(file), columns={"day": "category"}, **WHOLE).load().train.tensors
    assert torch.equal(again["x"], tensors["x"])


def test_parquet_needs_its_extra(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    file = tmp_path / "t.parquet"
    source = Table(str(file), **WHOLE)
    with pytest.raises(FileNotFoundError):
        source.load()
    try:
        pandas.DataFrame({"a": [1.5, 2.5]}).to_parquet(file)
    except ImportError:
        file.write_bytes(b"PAR1")
        with pytest.raises(ImportError, match=r"pyrovae\[parquet\]"):
            source.load()
    else:
        assert source.load().train.tensors["x"].tolist() == [[1.5], [2.5]]
        file.write_bytes(b"PAR1")
        with pytest.raises(ValueError, match="no sound Parquet"):
            Table(str(file)).load()


def test_splits_are_those_of_the_seed(file: Path) -> None:
    train, valid, test = load(str(file), valid=0.2, test=5, seed=3)
    assert valid is not None
    assert test is not None
    assert (len(train), len(valid), len(test)) == (27, 8, 5)
    assert repr(source_for(file)) == f"Table({str(file)!r})"
    first, second = (Table(str(file), seed=3).load().train.tensors["x"] for _ in range(2))
    assert torch.equal(first, second)


def test_x_of_another_shape_is_not_written(file: Path) -> None:
    form = Table(str(file)).form
    assert form is not None
    with pytest.raises(ValueError, match="7 columns in x"):
        form.cells(np.zeros((2, 3)))
    assert form.cells(np.zeros((0, 7)))["city"] == []


def test_a_wide_schema_is_refused_before_training(tmp_path: Path) -> None:
    names = ",".join(f"c{at}" for at in range(1100))
    row = ",".join(["1.5"] * 1100)
    with pytest.raises(ValueError, match=r"1100 columns .* more than the 2000 words"):
        table(tmp_path, f"{names}\n{row}\n{row.replace('1', '2')}\n").load()


def test_any_name_goes_through_a_configuration(tmp_path: Path) -> None:
    """As the name of a column, and as a level."""
    odd = [
        "null",
        "1e3x",
        "no",
        "a: b",
        "#c",
        "- d",
        "é\u2028\x85e",
        "q\"'",
        "{x}",
        "tab\there",
        "😀",
    ]
    lines = [f'"{name.replace(chr(34), chr(34) * 2)}",{at}.5' for at, name in enumerate(odd)] * 3
    for name in odd:
        header = name.replace('"', '""')
        source = table(tmp_path, "\n".join([f'"{header}",zz', *lines])).settled()
        again = from_tree(parse(dumped(to_tree(source))), expected=Source)
        assert isinstance(again, Table)
        assert repr(again) == repr(source)
        assert again.schema.columns[0].name == name
        assert set(again.schema.columns[0].levels) == set(odd[1:])  # null is missing
        known = again.load().train.tensors["observed"]
        assert known.sum().item() == known.numel() - 3

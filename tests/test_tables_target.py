"""The target of a table: which column is y, as classes or as numbers, and how it travels."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pyrovae.config import dump as dumped
from pyrovae.config import from_tree, parse, to_tree
from pyrovae.data import Hidden, LabelForm, Source, Table

WHOLE: dict[str, Any] = {"valid": 0, "test": 0}


def rows(count: int = 60) -> list[dict[str, Any]]:
    """Return rows with a column for each kind of target, missing in every seventh row."""
    rng = np.random.default_rng(0)
    made = []
    for at in range(count):
        row = {
            "a": f"{rng.normal():.4f}",
            "b": f"{rng.normal():.4f}",
            "price": f"{100000 + 12345.5 * at}",
            "city": ["Rome", "Oslo", "Lima"][at % 3],
            "digit": at % 10,
            "sold": ["no", "yes"][at % 2],
            "year": 1900 + at,
            "stars": at % 5 + 1,
        }
        if at % 7 == 0:
            row |= dict.fromkeys(list(row)[2:], "NA")
        made.append(row)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "table.csv"
    found = rows()
    lines = [",".join(found[0]), *(",".join(map(str, row.values())) for row in found)]
    made.write_text("\n".join(lines) + "\n")
    return made


@pytest.mark.parametrize(
    ("target", "columns", "classes"),
    [
        ("price", None, ()),
        ("year", None, ()),  # whole numbers, too many for classes
        ("city", None, ("Lima", "Oslo", "Rome")),
        ("sold", None, ("no", "yes")),
        ("digit", None, tuple(map(str, range(10)))),
        ("stars", None, ("1", "2", "3", "4", "5")),
        ("stars", {"stars": "real"}, ()),
        ("stars", {"stars": "count"}, ()),
        ("stars", {"stars": "category"}, ("1", "2", "3", "4", "5")),
        ("city", {"city": ["Oslo", "Rome", "Lima"]}, ("Oslo", "Rome", "Lima")),
        ("city", {"city": {"category": ["Rome", "Oslo", "Lima"]}}, ("Rome", "Oslo", "Lima")),
    ],
)
def test_y_is_the_column(
    file: Path, target: str, columns: dict[str, Any] | None, classes: tuple[str, ...]
) -> None:
    source = Table(str(file), target=target, columns=columns, **WHOLE)
    plain = Table(str(file), **WHOLE)
    assert source.classes == classes
    assert source.label_form == LabelForm(levels=len(classes) or None)
    assert target not in [column.name for column in source.schema.of_x]
    assert len(source.schema.of_x) == len(plain.schema.of_x) - 1
    batch = next(source.load().train.batches(batch_size=99))
    y = batch["y"]
    for row, found in zip(rows(), y.tolist(), strict=True):
        cell = str(row[target])
        if cell == "NA":
            assert found == -1 if classes else np.isnan(found)
        elif classes:
            assert classes[found] == cell
        else:
            assert found == float(np.float32(float(cell)))
    assert y.dtype == (torch.int64 if classes else torch.get_default_dtype())
    assert y.shape == (60,)
    # x is what it is without a target, less one column
    form, whole = source.form, plain.form
    assert form is not None
    assert whole is not None
    assert target not in form.names
    other = next(plain.load().train.batches(batch_size=99))
    kept = [whole.names_of_x.index(name) for name in form.names_of_x]
    if columns is None:
        assert torch.equal(batch["x"], other["x"][:, kept])
    line = next(line for line in source.described() if line.startswith(target))
    assert line.endswith(" y")


@pytest.mark.parametrize("target", ["price", "city"])
def test_a_run_reads_other_data_as_its_own(file: Path, tmp_path: Path, target: str) -> None:
    """The declaration goes through a configuration, and tells new files, without y, what to do."""
    source = Table(str(file), target=target, labels=9, labelled_share=0.5, labels_seed=2)
    settled = source.settled()
    again = from_tree(parse(dumped(to_tree(settled))), expected=Source)
    assert repr(again) == repr(settled) == repr(again.settled())
    assert "labels=9" in repr(settled)
    assert again.label_form == source.label_form
    assert again.classes == source.classes
    one, two = source.load(), again.load()
    for first, second in zip(one, two, strict=True):
        assert first is not None
        assert second is not None
        pair = [next(data.batches(batch_size=99)) for data in (first, second)]
        assert torch.equal(pair[0]["y"].nan_to_num(-7), pair[1]["y"].nan_to_num(-7))
        assert torch.equal(pair[0]["x"], pair[1]["x"])
    assert "9 of 48 labelled, each read" in one.train.description
    other = tmp_path / "new.csv"
    head, *lines = file.read_text().splitlines()
    other.write_text("\n".join([head, *lines[:4]]) + "\n")
    read = Table(str(other), **WHOLE).like(settled)
    assert isinstance(read, Table)
    y = next(read.load().train.batches(batch_size=9))["y"]
    assert len(y) == 4
    assert read.label_form == source.label_form
    place = head.split(",").index(target)
    cut = [
        ",".join(c for at, c in enumerate(line.split(",")) if at != place)
        for line in [head, *lines]
    ]
    other.write_text("\n".join(cut) + "\n")
    bare = Table(str(other), **WHOLE).like(settled)
    assert bare.label_form is None
    assert bare.load().train.keys == ("x", "observed", "index")


def test_unknown_classes_and_hidden_tables(file: Path, tmp_path: Path) -> None:
    settled = Table(str(file), target="city", **WHOLE).settled()
    other = tmp_path / "new.csv"
    other.write_text(file.read_text().replace("Oslo", "Bonn"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        y = Table(str(other), **WHOLE).like(settled).load().train.labels()
    assert "'Bonn' (17); they are taken as unlabelled" in str(caught[0].message)
    assert y is not None
    assert int((y == 1).sum()) == 0
    hidden = Hidden(Table(str(file), target="city", labels=6), share=0.2)
    assert hidden.classes == ("Lima", "Oslo", "Rome")
    assert hidden.label_form == LabelForm(levels=3)
    y = hidden.load().train.labels()
    assert y is not None
    assert torch.bincount(y[y >= 0]).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"target": "pirce"}, ValueError, r"no column 'pirce'; did you mean 'price'"),
        ({"target": "price", "label": "city"}, ValueError, r"one y: give label='city' or target"),
        ({"target": 3}, TypeError, r"expects target to be the name of a column; got 3"),
        ({"target": "city", "columns": {"city": "ignore"}}, ValueError, r"declared ignore.*real"),
        ({"target": "city", "columns": {"city": "real"}}, ValueError, r"'Oslo' is not of the kind"),
        ({"columns": {"city": "target"}}, ValueError, r"of the kind target: name it as target"),
        ({"columns": {"city": "label"}}, ValueError, r"kind label: name it as label or target"),
        ({"target": "price", "labels": 1000}, ValueError, r"at most \d+.*got 1000"),
        ({"labels": 3}, ValueError, r"labels=3, and the training data have no labels"),
    ],
)
def test_refusals(file: Path, given: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Table(str(file), **given).load()


def test_a_column_of_mixed_cells_or_none_is_no_target(tmp_path: Path) -> None:
    made = tmp_path / "t.csv"
    for cells, said in [
        (["1", "2", "3", "4 kg"], r"'4 kg' reads like a number"),
        (["1", "2", "inf", "4"], r"'inf' is infinite"),
        (["NA"] * 4, r"it has 0 different cells"),
    ]:
        made.write_text("a,y\n" + "".join(f"{at}.5,{cell}\n" for at, cell in enumerate(cells)))
        with pytest.raises(ValueError, match=said):
            Table(str(made), target="y", **WHOLE).load()
    made.write_text(
        "a,y\n" + "".join(f"{at}.5,{c}\n" for at, c in enumerate(["1", "1.0", "2"] * 3))
    )
    assert (
        Table(str(made), target="y", **WHOLE).label_form == LabelForm()
    )  # 1 and 1.0 are one number
    made.write_text("y\n1\n2\n")
    with pytest.raises(ValueError, match=r"no column to model"):
        Table(str(made), target="y", **WHOLE).load()

"""Budgets of labels: which are kept, for every source, and how often their rows are read."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_matrix, save_npz
from torch import Tensor

from pyrovae.data import (
    MNIST,
    Arrays,
    Data,
    Digits,
    FashionMNIST,
    Hidden,
    ImageFolder,
    LabelForm,
    MappedData,
    Source,
    SparseCounts,
    TensorData,
    TorchvisionImages,
    as_data,
    choose_labels,
    image_source,
    mnist,
)
from pyrovae.data.image_files import Images
from pyrovae.data.labelling import repeats

NAN = float("nan")


def codes(count: int, levels: int, seed: int = 0) -> Tensor:
    return torch.randint(levels, (count,), generator=torch.Generator().manual_seed(seed))


def labels_of(data: Data) -> Tensor:
    y = data.labels()
    assert y is not None
    return y


# ---------------------------------------------------------------------------------- the choice


@pytest.mark.parametrize("count", [0, 1, 3, 10, 11, 57, 100])
def test_the_choice_is_balanced_for_every_seed(count: int) -> None:
    y = codes(1000, 10)
    for seed in (*range(40), 2**63 - 1):
        chosen = choose_labels(y, count, seed=seed)
        assert chosen.dtype == torch.bool
        sizes = torch.bincount(y[chosen], minlength=10)
        assert int(sizes.sum()) == count
        assert sizes.max() - sizes.min() <= 1
        assert torch.equal(chosen, choose_labels(y, count, seed=seed))


def test_seeds_differ_and_fewer_are_among_more() -> None:
    y = codes(500, 3)
    found = [choose_labels(y, 10, seed=seed).nonzero().flatten() for seed in range(50)]
    assert len({tuple(rows.tolist()) for rows in found}) == 50
    for few, more in itertools.pairwise([0, 1, 2, 3, 10, 11, 100, 101]):
        assert bool((choose_labels(y, more, seed=3) | ~choose_labels(y, few, seed=3)).all())


def test_every_datum_and_every_class_is_as_likely() -> None:
    """Chi-square over 2000 seeds at a false-alarm rate of 1e-4 for each of three tests."""
    from scipy.stats import chi2

    y = torch.tensor([0] * 10 + [1] * 6 + [-1] * 3 + [2] * 4)
    found = torch.stack([choose_labels(y, 4, seed=seed) for seed in range(2000)]).double().sum(0)
    assert found[16:19].sum() == 0
    per_class = torch.stack([found[y == code].sum() for code in range(3)])
    extra = per_class - 2000  # who got the fourth label
    assert extra.sum() == 2000
    expected = 2000 / 3
    assert float(((extra - expected) ** 2 / expected).sum()) < chi2.isf(1e-4, 2)
    for code in (0, 1):
        own = found[y == code]
        mean = own.mean()
        # numbers of a class are drawn without return, which makes the statistic smaller
        assert float(((own - mean) ** 2 / mean).sum()) < chi2.isf(1e-4, len(own) - 1)


def test_real_labels_are_chosen_from_the_known_ones() -> None:
    y = torch.tensor([[1.0, 2.0], [NAN, NAN], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
    for count in range(4):
        chosen = choose_labels(y, count, seed=1)
        assert int(chosen.sum()) == count
        assert not chosen[1]
    assert len({tuple(choose_labels(y, 1, seed=seed).tolist()) for seed in range(30)}) == 3


@pytest.mark.parametrize(
    ("y", "count", "said"),
    [
        ([0, 1, 2, -1], 4, r"at most 3, which is how many of 4 .* got 4"),
        ([-1, -1], 1, r"at most 0, .* got 1"),
        ([0, 0, 0, 0, 1], 4, r"over 2 classes, since class 1 has 1 .* at most 3, or None .* all 5"),
        ([0, 0, 1, 1, 1, 2, 2], 7, None),
        ([5, 5, 5, 7, 7], 5, None),
        ([0, 0, 0, 1], 4, r"at most 3"),
        ([NAN, 1.0], 2, r"at most 1"),
    ],
)
def test_too_few_labels_to_choose_from(y: list[Any], count: int, said: str | None) -> None:
    """The number that the message names is the largest one that can be had."""
    labels = torch.tensor(y)
    if said is None:
        assert int(choose_labels(labels, count, seed=0).sum()) == count
        return
    with pytest.raises(ValueError, match=said):
        choose_labels(labels, count, seed=0)
    most = {4: 3, 1: 0, 2: 1}[count]
    assert int(choose_labels(labels, most, seed=0).sum()) == most


def test_a_class_that_is_absent_takes_no_share() -> None:
    y = torch.tensor([0, 0, 3, 3, 9, 9, -1])
    assert sorted(y[choose_labels(y, 3, seed=0)].tolist()) == [0, 3, 9]


@pytest.mark.parametrize(("labelled", "unlabelled"), [(1, 9), (100, 49_900), (7, 0), (500, 500)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_repeats_come_nearest_to_the_share(labelled: int, unlabelled: int, share: float) -> None:
    times = repeats(labelled, unlabelled, share)
    assert times >= 1

    def rows(count: int) -> float:
        return abs(count - unlabelled * share / (labelled * (1 - share)))

    assert all(rows(times) <= rows(other) for other in (times + 1, max(1, times - 1)))


# ---------------------------------------------------------------------------------- the sources


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the files of MNIST: 400 images to train on, 50 to test on."""

    def made(count: int, seed: int) -> tuple[Tensor, Tensor]:
        own = torch.Generator().manual_seed(seed)
        x = torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=own)
        return x, codes(count, 10, seed)

    images = Images(*made(400, 0), *made(50, 1))
    monkeypatch.setattr(mnist, "read_images", lambda name, root: images)


def picture_folder(folder: Path) -> None:
    for at in range(60):
        place = folder / "abc"[at % 3]
        place.mkdir(exist_ok=True, parents=True)
        Image.new("L", (4, 4), at).save(place / f"{at:02d}.png")


ROWS = np.random.default_rng(0).normal(size=(90, 3))
PLACES = 90 * 3


def source_of(kind: str, folder: Path, **budget: Any) -> Source:
    """Return a source of this kind, with labels."""
    if kind == "codes":
        np.savez(folder / "a.npz", x=ROWS, y=np.arange(90, dtype=np.uint8) % 3)
        return Arrays(str(folder / "a.npz"), **budget)
    if kind == "numbers":
        np.savez(folder / "a.npz", x=ROWS, y=ROWS[:, :2])
        return Arrays(str(folder / "a.npz"), **budget)
    if kind == "sparse":
        counts = csr_matrix(np.arange(PLACES).reshape(90, 3) % 4)
        save_npz(folder / "s.npz", counts)
        with np.load(folder / "s.npz") as read:
            held = dict(read)
        np.savez(folder / "s.npz", **held, y=np.arange(90) % 3)
        return SparseCounts(str(folder / "s.npz"), **budget)
    if kind in ("folder", "folder on the disk"):
        picture_folder(folder / "images")
        return ImageFolder(str(folder / "images"), **budget)
    if kind == "torchvision":
        shapes = {"size": 90, "image_size": (3, 6, 6), "num_classes": 3}
        return TorchvisionImages("FakeData", options=shapes, **budget)
    return {"digits": Digits, "mnist": MNIST, "fashion": FashionMNIST}[kind](valid=50, **budget)


KINDS = {
    "digits": 10,
    "mnist": 10,
    "fashion": 10,
    "codes": 3,
    "numbers": None,
    "sparse": 3,
    "folder": 3,
    "folder on the disk": 3,
    "torchvision": 3,
}


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("kind", KINDS)
def test_every_source_keeps_its_budget(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right number of right labels, none to validate on, all to test on, and the same x."""
    if kind == "folder on the disk":
        monkeypatch.setattr(image_source, "fits", lambda count, standard: False)
    whole = source_of(kind, tmp_path)
    budget: dict[str, Any] = {"labels": 13, "labels_seed": 5}
    source = source_of(kind, tmp_path, **budget)
    levels = KINDS[kind]
    assert source.label_form == LabelForm(shape=(2,) if levels is None else (), levels=levels)
    assert repr(eval(repr(source))) == repr(source)
    before, after = whole.load(), source.load()
    true, kept = labels_of(before.train), labels_of(after.train)
    known = ~kept.isnan().any(-1) if levels is None else kept >= 0
    assert int(known.sum()) == 13
    assert torch.equal(kept[known], true[known])
    assert torch.equal(known, choose_labels(true, 13, seed=5))
    assert kept.dtype == true.dtype
    rows = next(after.train.batches(batch_size=len(true)))
    assert torch.equal(rows["y"].nan_to_num(), kept.nan_to_num())
    count = f"{len(true):,}".replace(",", " ")
    assert after.train.description == f"{before.train.description}, 13 of {count} labelled"
    assert before.valid is not None
    assert after.valid is not None
    assert after.test is not None
    assert before.test is not None
    held = labels_of(after.valid)
    assert bool(held.isnan().all() if levels is None else (held == -1).all())
    assert after.valid.description == f"{before.valid.description}, its labels put aside"
    assert torch.equal(labels_of(after.test), labels_of(before.test))
    for one, two in zip(before, after, strict=True):
        batches = []
        for data in (one, two):
            assert data is not None
            torch.manual_seed(3)  # dynamic binarisation, too, draws the same
            order = torch.Generator().manual_seed(1)
            batches.append(next(data.batches(batch_size=20, generator=order)))
        assert torch.equal(batches[0]["x"], batches[1]["x"])
        assert torch.equal(batches[0]["index"], batches[1]["index"])


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("kind", ["mnist", "numbers", "sparse", "folder on the disk"])
def test_labelled_rows_are_repeated_a_whole_number_of_times(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "folder on the disk":
        monkeypatch.setattr(image_source, "fits", lambda count, standard: False)
    once = source_of(kind, tmp_path, labels=6).load().train
    many = source_of(kind, tmp_path, labels=6, labelled_share=0.5).load().train
    times = repeats(6, len(once) - 6, 0.5)
    assert times > 1
    assert len(many) == len(once) + 6 * (times - 1)
    assert f"each read {times} times an epoch" in many.description
    order = torch.Generator().manual_seed(0)
    batches = list(many.batches(batch_size=16, generator=order))
    index = torch.cat([batch["index"] for batch in batches])
    y = torch.cat([batch["y"] for batch in batches])
    assert y.shape == labels_of(many).shape
    often = torch.bincount(index)
    chosen = labels_of(once)
    known = chosen >= 0 if not chosen.is_floating_point() else ~chosen.isnan().any(-1)
    assert torch.equal(often, torch.where(known, times, 1))
    assert torch.equal(y.nan_to_num(-1), chosen[index].nan_to_num(-1))
    if kind == "numbers":
        x = torch.cat([batch["x"] for batch in batches])
        assert torch.equal(x, next(once.batches(batch_size=len(once)))["x"][index])
    late = list(many.batches(batch_size=16, generator=torch.Generator().manual_seed(0), start=2))
    assert torch.equal(late[0]["index"], batches[2]["index"])
    shares = [
        many.shares(batch_size=16, part=part, parts=2, generator=torch.Generator().manual_seed(0))
        for part in range(2)
    ]
    for batch, one, two in zip(batches, *shares, strict=True):
        assert one.batch is not None
        assert torch.equal(batch["index"][::2], one.batch["index"])
        if two.batch is not None:
            assert torch.equal(batch["index"][1::2], two.batch["index"])


def test_hidden_entries_are_those_of_the_datum_in_all_its_rows() -> None:
    source = Hidden(Digits(labels=10, labelled_share=0.3), share=0.5)
    assert source.label_form == LabelForm(levels=10)
    train, valid, _ = source.load()
    batch = next(train.batches(batch_size=len(train)))
    first = {}
    for at, index in enumerate(batch["index"].tolist()):
        assert torch.equal(batch["observed"][first.setdefault(index, at)], batch["observed"][at])
    assert len(first) == 1197 < len(train)
    assert valid is not None
    assert bool((labels_of(valid) == -1).all())
    assert "10 of 1 197 labelled" in train.description


def test_no_label_all_labels_and_one() -> None:
    for labels in (0, 1):
        train, valid, _ = Digits(labels=labels).load()
        assert int((labels_of(train) >= 0).sum()) == labels
        assert f"{labels} of 1 197 labelled" in train.description
        assert valid is not None
        assert "y" in valid.keys
    y = labels_of(Digits().load().train)
    assert len(labels_of(Digits(labelled_share=0.5).load().train)) == len(y)  # all are labelled
    with pytest.raises(ValueError, match=r"Digits: 1197 labels cannot be balanced over 10"):
        Digits(labels=1197).load()
    with pytest.raises(ValueError, match=r"Digits: expected labels to be at most 1197.* got 1198"):
        Digits(labels=1198).load()
    with pytest.raises(ValueError, match=r"labelled_share=0\.5, and none of the training data"):
        Digits(labels=0, labelled_share=0.5).load()


def test_data_without_labels_have_none_to_keep(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    source = Arrays(str(tmp_path / "a.npy"), labels=3, labelled_share=0.5)
    assert source.label_form is None
    with pytest.raises(ValueError, match=r"Arrays: labels=3, labelled_share=0\.5, and the .* no"):
        source.load()
    assert Arrays(str(tmp_path / "a.npy")).load().train.labels() is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"labels": -1}, r"Digits expects labels .*; got -1"),
        ({"labels": 1.5}, r"got 1\.5"),
        ({"labels": True}, r"got True"),
        ({"labels": "100"}, r"got '100'"),
        ({"labels_seed": -1}, r"labels_seed .* got -1"),
        ({"labels_seed": 2**63}, r"2\*\*63 - 1"),
        ({"labelled_share": 0.0}, r"labelled_share .* between 0 and 1.* got 0\.0"),
        ({"labelled_share": 1.0}, r"got 1\.0"),
        ({"labelled_share": NAN}, r"got nan"),
        ({"labelled_share": "half"}, r"got 'half'"),
    ],
)
def test_budgets_out_of_range(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Digits(**given)


# ------------------------------------------------------------------------------ kinds of labels


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int64])
def test_class_codes_of_every_kind_become_int64(dtype: torch.dtype) -> None:
    y = torch.tensor([0, 1, 1], dtype=dtype)
    found = as_data({"x": torch.zeros(3, 2), "y": y}).labels()
    assert found is not None
    assert found.dtype == torch.int64
    assert found.tolist() == [0, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_real_labels_keep_their_kind_and_shape(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    y = torch.arange(4.0).reshape(4, *(1,) * len(shape)).expand(4, *shape).to(dtype)
    y = torch.where(y == 2, NAN, y)
    data = TensorData({"x": torch.zeros(4, 2), "y": y})
    batch = next(data.batches(batch_size=2, start=1))
    assert batch["y"].dtype == dtype
    assert batch["y"].shape == (2, *shape)
    assert bool(batch["y"][0].isnan().all())
    assert bool((batch["y"][1] == 3).all())


def test_real_labels_of_mapped_and_sparse_data() -> None:
    y = np.stack([np.arange(5.0), np.arange(5.0)], 1)
    for data in (
        MappedData({"x": np.zeros((5, 2)), "y": y}, rows=torch.tensor([4, 2])),
        as_data({"x": csr_matrix(np.eye(5)), "y": y}),
    ):
        found = labels_of(data)
        assert torch.equal(found, next(data.batches(batch_size=5))["y"])
        assert found.dtype == torch.float64
        assert found.shape[1:] == (2,)
    with pytest.raises(ValueError, match=r"y must be of shape \(5,\).*got \(4, 2\)"):
        MappedData({"x": np.zeros((5, 2)), "y": y[:4]})


@pytest.mark.parametrize(
    ("y", "form"),
    [
        (np.array([0, 3, -1]), LabelForm(levels=4)),
        (np.array([-1, -1, -1]), None),
        (np.array([True, False, True]), LabelForm(levels=2)),
        (np.array([0.5, NAN, 2.0], np.float32), LabelForm()),
        (np.zeros((3, 2, 2)), LabelForm(shape=(2, 2))),
    ],
)
def test_the_form_of_arrays_is_that_of_all_rows(y: Any, form: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=y)
    assert Arrays(str(tmp_path / "a.npz")).label_form == form


def test_the_form_of_arrays_says_what_is_wrong(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.eye(3, dtype=int))
    with pytest.raises(ValueError, match=r"a\.npz: y must be one class code"):
        _ = Arrays(str(tmp_path / "a.npz")).label_form

"""Torch data sets of every kind read like data in memory."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from pyrovae.data import DatasetData, TensorData, items
from pyrovae.data.items import as_item, collated


class Listed(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        return self.items[row]


class Noisy(Listed):
    def __getitem__(self, row):
        return torch.randn(2) + random.random() + np.random.rand()


class Streamed(IterableDataset):
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


X = torch.arange(20, dtype=torch.uint8).view(10, 2)
Y = torch.arange(10)


@pytest.mark.parametrize("start", [0, 2])
@pytest.mark.parametrize("seed", [None, 7])
def test_reads_like_data_in_memory(start, seed):
    def read(data):
        order = None if seed is None else generator(seed)
        return list(data.batches(batch_size=3, generator=order, start=start))

    held = read(TensorData({"x": X, "y": Y}))
    for batch, truth in zip(read(DatasetData(TensorDataset(X, Y))), held, strict=True):
        assert batch.keys() == truth.keys()
        for key in truth:
            assert torch.equal(batch[key], truth[key])
            assert batch[key].dtype == truth[key].dtype


def test_workers_read_the_same():
    data = DatasetData(TensorDataset(X, Y), workers=1)
    batches = list(data.batches(batch_size=4, generator=generator(3)))
    order = torch.randperm(10, generator=generator(3))
    assert torch.equal(torch.cat([batch["index"] for batch in batches]), order)
    assert torch.equal(torch.cat([batch["y"] for batch in batches]), order)


IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize(
    ("item", "keys", "shape"),
    [
        (torch.zeros(2, 3), ("x",), (2, 3)),
        (np.zeros(4, dtype=np.float64), ("x",), (4,)),
        (1.5, ("x",), ()),
        ((torch.zeros(2),), ("x",), (2,)),
        ((torch.zeros(2), 3), ("x", "y"), (2,)),
        ((torch.zeros(2), np.int64(3)), ("x", "y"), (2,)),
        ((torch.zeros(2), None), ("x", "y"), (2,)),
        ({"y": 1, "x": torch.zeros(2)}, ("x", "y"), (2,)),
        (
            {"x": torch.tensor([1.0, float("nan")]), "observed": torch.tensor([True, False])},
            ("x", "observed"),
            (2,),
        ),
        (Image.fromarray(IMAGE), ("x",), (1, 3, 4)),
        ((Image.fromarray(np.stack([IMAGE] * 3, -1)), 2), ("x", "y"), (3, 3, 4)),
        (Image.fromarray(IMAGE).convert("P"), ("x",), (3, 3, 4)),
    ],
)
def test_kinds_of_items(item, keys, shape):
    data = DatasetData(Listed([item] * 3))
    assert data.keys == (*keys, "index")
    assert data.event_shape == shape
    batch = next(data.batches(batch_size=2))
    assert tuple(batch) == data.keys
    assert batch["x"].shape == (2, *shape)
    assert batch["x"].is_floating_point()
    assert batch["x"].isfinite().all()


@pytest.mark.parametrize(
    "given",
    [
        [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])],
        [np.array([1, 2], dtype=">i2"), np.array([3, 4], dtype=">i2")],
        [1.5, 2.5],
        [3, 4],
        [True, False],
        [(torch.tensor([1, 2], dtype=torch.uint16), 0), (torch.tensor([3, 4]).to(torch.uint16), 1)],
        [(torch.ones(2), torch.tensor(1)), (torch.zeros(2), torch.tensor(0))],
        [(torch.ones(2), 1), (torch.zeros(2), None)],
        [(torch.ones(2), 1), (torch.zeros(2, dtype=torch.float64), np.int64(2))],
        [(np.ones(2), 1), (torch.zeros(2), torch.tensor(2))],
        [(torch.ones(2, requires_grad=True),), (torch.zeros(2),)],
        [(torch.ones(2), 1), {"x": torch.ones(2), "y": 2}],
        [{"x": torch.ones(2), "y": 3}, {"y": 2, "x": torch.ones(2)}],
    ],
)
def test_items_stacked_at_once_are_those_stacked_one_by_one(given):
    batch = collated(given)
    one_by_one = [as_item(item) for item in given]
    assert batch.keys() == one_by_one[0].keys()
    for key, value in batch.items():
        truth = torch.stack([item[key] for item in one_by_one])
        assert torch.equal(value, truth)
        assert value.dtype == (torch.int64 if key == "y" else truth.dtype)
        assert not value.requires_grad


def test_plain_items_are_never_looked_at_one_by_one(monkeypatch):
    monkeypatch.setattr(items, "as_item", None)
    data = DatasetData(Listed([(torch.ones(2), 3)] * 5))
    assert next(data.batches(batch_size=5))["y"].tolist() == [3] * 5
    assert next(DatasetData(Streamed(list(X))).batches(batch_size=3))["x"].shape == (3, 2)


def test_grey_levels_of_images_are_kept():
    batch = next(DatasetData(Listed([Image.fromarray(IMAGE)])).batches(batch_size=1))
    assert torch.equal(batch["x"][0, 0], torch.from_numpy(IMAGE).float())


def test_a_stream_has_no_length_and_no_shuffling():
    data = DatasetData(Streamed(list(X)))
    assert not data.sized
    with pytest.raises(TypeError, match="is a stream without length"):
        len(data)
    with pytest.raises(TypeError, match="is a stream without length"):
        data.steps(4)
    batches = list(data.batches(batch_size=4, generator=generator(1)))
    assert torch.equal(torch.cat([batch["x"] for batch in batches]), X.float())
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(10))
    late = list(data.batches(batch_size=4, start=2))
    assert late[0]["index"].tolist() == [8, 9]
    assert torch.equal(late[0]["x"], X[8:].float())


def test_reading_leaves_the_callers_random_state():
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    DatasetData(Noisy([0] * 3))  # one item is looked at, and draws
    for data in (DatasetData(Listed(list(X))), DatasetData(Streamed(list(X)))):
        list(data.batches(batch_size=4, generator=generator()))
        list(data.batches(batch_size=4))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()


class Endless(Dataset):
    def __getitem__(self, row):
        return torch.zeros(2)


@pytest.mark.parametrize(
    ("dataset", "error", "said"),
    [
        ([1, 2], TypeError, r"expects a torch Dataset; got list"),
        (Endless(), TypeError, r"Endless has no length: define __len__"),
        (Listed([]), ValueError, r"must not be empty; Listed has no items"),
        (Streamed([]), ValueError, r"must not be empty; Streamed has no items"),
        (Listed([(1, 2, 3)]), TypeError, r"x, \(x, y\) or a dict; got a tuple of 3"),
        (Listed([{"x": 1.0, "lable": 1}]), ValueError, r"keys x, y, observed; got 'lable'"),
        (Listed([{"y": 1}]), ValueError, r"needs a key 'x'; got the keys \['y'\]"),
        (Listed(["word"]), TypeError, r"x must be a tensor or a NumPy array; got str"),
        (Listed([torch.tensor(float("inf"))]), ValueError, r"NaN or infinity in 1 of 1"),
        (Listed([(torch.zeros(2), "cat")]), TypeError, r"y must be a tensor.*got str"),
        (Listed([(torch.zeros(2), float("inf"))]), ValueError, r"infinity in y\[0\]"),
    ],
)
def test_refusals(dataset, error, said):
    with pytest.raises(error, match=said):
        DatasetData(dataset)


def test_real_labels_of_items():
    nan = float("nan")
    items = [(torch.zeros(2), 0.5), (torch.zeros(2), nan), (torch.zeros(2), np.float32(3.0))]
    data = DatasetData(Listed(items))
    y = data.labels()
    assert y.dtype == torch.float32
    assert torch.equal(y.nan_to_num(-9.0), torch.tensor([0.5, -9.0, 3.0]))
    assert torch.equal(y.nan_to_num(), next(data.batches(batch_size=3))["y"].nan_to_num())
    assert DatasetData(Listed([torch.zeros(2)])).labels() is None


@pytest.mark.parametrize(("first", "second"), [(0.5, 1), (0.5, None), (None, 0.5), (1, 0.5)])
def test_codes_and_real_labels_do_not_mix(first, second):
    """Neither in a batch nor from one batch to the next: None is -1, which is no unknown number."""
    data = DatasetData(Listed([(torch.zeros(2), first), (torch.zeros(2), second)]))
    with pytest.raises(ValueError, match=r"labels of one kind"):
        next(data.batches(batch_size=2))
    with pytest.raises(ValueError, match=r"labels of one kind.*an unknown real number NaN"):
        list(data.batches(batch_size=1))


def test_refused_batches():
    ragged = DatasetData(Listed([torch.zeros(2), torch.zeros(3)]))
    with pytest.raises(ValueError, match=r"one shape; got x of shapes \[\(2,\), \(3,\)\]: crop"):
        next(ragged.batches(batch_size=2))
    mixed = DatasetData(Listed([(torch.zeros(2), 1), torch.zeros(2)]))
    with pytest.raises(ValueError, match=r"must have the same keys, with y = -1 or None"):
        next(mixed.batches(batch_size=2))

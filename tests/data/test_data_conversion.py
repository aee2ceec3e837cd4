"""Whatever a user calls data becomes `Data`, or is refused with the remedy."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from pyrovae.data import Data, DatasetData, Digits, TensorData, as_data

X = torch.rand(6, 2)
Y = torch.arange(6)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(X)


@pytest.mark.parametrize(
    "given",
    [X, X.numpy(), {"x": X}, {"x": X.numpy(), "y": None}, TensorDataset(X), Stream()],
)
def test_every_kind_gives_the_same_x(given):
    data = as_data(given)
    assert isinstance(data, Data)
    assert data.keys == ("x", "index")
    assert data.event_shape == (2,)
    assert torch.equal(next(data.batches(batch_size=6))["x"], X)


def test_data_are_returned_as_they_are():
    data = TensorData({"x": X})
    assert as_data(data) is data


def test_kinds_of_data():
    assert isinstance(as_data(TensorDataset(X, Y)), TensorData)
    assert as_data(TensorDataset(X, Y)).keys == ("x", "y", "index")
    assert isinstance(as_data(Stream()), DatasetData)
    with pytest.raises(TypeError, match=r"tuple of 3: return a dict with the keys x, y, observed"):
        as_data(TensorDataset(X, Y, X))


def test_a_source_gives_its_training_split():
    assert len(as_data(Digits())) == 1197


class Frame:
    def to_numpy(self):
        return np.zeros(3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (DataLoader(TensorDataset(X)), r"got DataLoader: pass its dataset, loader\.dataset"),
        ("mnist", r"got str: read it with pyrovae\.data\.load\('mnist'\)"),
        (Digits, r"got ABCMeta: call it, Digits\(\)"),
        ((X, Y), r"got tuple: name its parts, \{'x': x, 'y': y\}"),
        (Frame(), r"got Frame: convert it with \.to_numpy\(\)"),
        ([1.0, 2.0], r"got list: convert it with torch\.as_tensor"),
        (None, r"got NoneType"),
    ],
)
def test_refusals(given, said):
    with pytest.raises(TypeError, match=said):
        as_data(given)


def test_splits_are_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"got Splits: pass one of them, such as splits\.train"):
        as_data(Digits().load())


def test_a_dataset_without_length_is_refused():
    with pytest.raises(TypeError, match="has no length"):
        as_data(Dataset())

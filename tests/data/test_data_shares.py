"""Data.shares: what several processes read of an epoch is together what one reads."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from pyrovae.data import Data, TensorData
from pyrovae.data.datasets import DatasetData


class Items(Dataset[Tensor]):
    def __init__(self, count: int) -> None:
        self.count = count
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, at: int) -> Tensor:
        self.read.append(at)
        return torch.full((2,), float(at))


class Stream(IterableDataset[Tensor]):
    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Tensor]:
        return (torch.full((2,), float(at)) for at in range(self.count))


def data_of(kind: str, count: int) -> Data:
    if kind == "tensors":
        return TensorData({"x": torch.arange(float(count))[:, None].expand(count, 2)})
    return DatasetData(Items(count) if kind == "items" else Stream(count))


@pytest.mark.parametrize("kind", ["tensors", "items", "stream"])
@pytest.mark.parametrize("parts", [1, 2, 3, 5])
@pytest.mark.parametrize(("count", "batch_size"), [(1, 1), (7, 3), (8, 4), (9, 4), (10, 2)])
@pytest.mark.parametrize("start", [0, 1])
def test_the_shares_together_are_the_batches(
    kind: str, parts: int, count: int, batch_size: int, start: int
) -> None:
    def order() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    data = data_of(kind, count)
    given = {"batch_size": batch_size, "start": start}
    wholes = list(data.batches(generator=order(), **given))
    shares = [
        list(data.shares(part=part, parts=parts, generator=order(), **given))
        for part in range(parts)
    ]
    for own in shares:
        assert [share.size for share in own] == [len(whole["x"]) for whole in wholes]
    for at, whole in enumerate(wholes):
        for part in range(parts):
            batch = shares[part][at].batch
            if part >= len(whole["x"]):
                assert batch is None
                continue
            assert batch is not None
            assert batch.keys() == whole.keys()
            for key, value in whole.items():
                assert torch.equal(batch[key], value[part::parts])


def test_only_the_rows_of_the_share_are_read() -> None:
    items = Items(10)
    data = DatasetData(items)
    items.read.clear()
    list(data.shares(batch_size=4, part=1, parts=2))
    assert items.read == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(("part", "parts"), [(-1, 2), (2, 2), (0, 0)])
def test_a_share_that_does_not_exist_is_refused(part: int, parts: int) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        data_of("tensors", 4).shares(batch_size=2, part=part, parts=parts)

"""Agreement of clusters with classes: against brute force over maps, and numbers by hand."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch

from pyrovae.evaluation import clustering


def brute(y: np.ndarray, c: np.ndarray, k: int) -> float:
    return max(float((np.array(m)[c] == y).mean()) for m in permutations(range(k)))


@pytest.mark.parametrize("seed", range(5))
def test_the_accuracy_is_the_best_of_all_maps(seed: int) -> None:
    random = np.random.default_rng(seed)
    y, c = random.integers(0, 5, 40), random.integers(0, 5, 40)
    found = clustering(torch.tensor(y), torch.tensor(c))
    assert found.accuracy == pytest.approx(brute(y, c, 5))
    mapped = np.array(found.classes)[c]
    assert (mapped == y).mean() == pytest.approx(found.accuracy)


def test_numbers_by_hand() -> None:
    """Classes (3, 2) against clusters (2, 3), of which four agree."""
    found = clustering([0, 0, 0, 1, 1], [1, 1, 0, 0, 0])
    assert found.accuracy == 0.8
    assert found.classes == (1, 0)
    entropy = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    # p(y=0, c=1) = 0.4, p(y=0, c=0) = 0.2, p(y=1, c=0) = 0.4
    mutual = 0.4 * math.log(0.4 / 0.24) + 0.2 * math.log(0.2 / 0.36) + 0.4 * math.log(0.4 / 0.24)
    assert found.nmi == pytest.approx(mutual / entropy)
    # pairs: together in both 1 + 0 + 1 = 2, in each 3 + 1 = 4, of 10; expected 1.6, at most 4
    assert found.ari == pytest.approx((2 - 1.6) / (4 - 1.6))
    assert found.accuracy_error == pytest.approx(math.sqrt(0.8 * 0.2 / 5))
    assert str(found).startswith("clustering accuracy 0.8000 +- 0.1789, NMI ")


def test_names_of_clusters_do_not_matter() -> None:
    y = torch.arange(30) % 3
    found = clustering(y, (y + 1) % 3)
    assert (found.accuracy, found.used, found.classes) == (1.0, 3, (2, 0, 1))
    assert found.nmi == pytest.approx(1.0)
    assert found.ari == pytest.approx(1.0)


def test_more_and_fewer_clusters_than_classes() -> None:
    y = torch.arange(40) % 4
    assert clustering(y, torch.zeros(40)).accuracy == 0.25
    assert clustering(y, torch.zeros(40)).nmi == pytest.approx(0.0)
    assert clustering(y, torch.arange(40)).accuracy == 0.1
    found = clustering(y, 2 * y + (torch.arange(40) // 4) % 2)  # each class is split in two
    assert found.accuracy == 0.5
    assert found.used == 8
    assert sorted(found.classes) == [-1] * 4 + [0, 1, 2, 3]


def test_unknown_classes_are_left_out() -> None:
    found = clustering([0, -1, 1, -1], [3, 0, 1, 1])
    assert (found.accuracy, found.data, found.used) == (1.0, 2, 2)
    assert clustering([1], [7]).accuracy == 1.0


@pytest.mark.parametrize(
    ("y", "c", "message"),
    [
        ([0, 1], [0], "one cluster for each datum; got 2 classes and 1 clusters"),
        ([-1, -1], [0, 1], "of known classes; got none"),
        ([], [], "of known classes; got none"),
        ([0.5], [0], "y_true to be whole numbers of at least -1"),
        ([float("nan")], [0], "y_true to be whole numbers"),
        ([0, 1], [0, -1], "assigned to be whole numbers of at least 0"),
        ([[0, 1]], [0, 1], "of shape .N.; got torch.int64 of shape .1, 2."),
        ([True], [0], "got torch.bool"),
    ],
)
def test_what_is_no_clustering(y: list[float], c: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clustering(y, c)

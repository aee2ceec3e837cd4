"""Transforms do what their formulas say, draw from the global state, and leave their input."""

import dataclasses
import math
import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from pyrovae.data import Binarize, ToUnit, binarized
from pyrovae.data.random_bytes import RandomBytes


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_binarised_mean_is_the_grey_level(dtype):
    """Every grey level's frequency is within 5 standard errors.

    Over 254 levels the false-alarm rate is 254 * 5.7e-7 < 2e-4; the seed is fixed besides.
    """
    torch.manual_seed(0)
    count = 20_000
    grey = torch.arange(256, dtype=torch.uint8).repeat(count, 1)
    given = grey / 255 if dtype.is_floating_point else grey.to(dtype)
    mean = Binarize()({"x": given})["x"].double().mean(0)
    truth = torch.arange(256).double() / 255
    error = (truth * (1 - truth) / count).sqrt()
    assert ((mean - truth).abs() <= 5 * error).all()  # exact at 0 and 255, where the error is 0


def test_binarised_neighbours_and_batches_are_independent():
    """Correlations of 10^6 pairs at lags 1 to 9 are below 5e-3, five standard errors."""
    torch.manual_seed(1)
    grey = torch.full((1_000_010,), 100, dtype=torch.uint8)
    first, second = binarized(grey).double(), binarized(grey).double()
    for a, b in [(first, second), *((first[:-lag], first[lag:]) for lag in range(1, 10))]:
        assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1]) < 5e-3


def test_binarised_counts_are_binomial():
    """Counts of white in 2^18 draws of each grey level, against the binomial distribution.

    Exact two-sided p-values: one of 254 below 2e-8 has a false-alarm rate of 5e-6. The sum of the
    squared standard errors would show a bias of a 256th part as a tie left undecided makes it: its
    p-value below 1e-6 is the false-alarm rate. The seed is fixed besides.
    """
    torch.manual_seed(4)
    count = 2**18
    grey = torch.arange(256, dtype=torch.uint8)[:, None].expand(256, 1024).contiguous()
    white = sum(binarized(grey).sum(1) for _ in range(count // 1024))
    assert (white[0], white[-1]) == (0, count)
    truth = np.arange(1, 255) / 255
    found = white[1:-1].numpy()
    smaller = np.minimum(
        stats.binom.cdf(found, count, truth), stats.binom.sf(found - 1, count, truth)
    )
    assert 2 * smaller.min() > 2e-8
    squares = ((found - count * truth) ** 2 / (count * truth * (1 - truth))).sum()
    assert stats.chi2.sf(squares, 254) > 1e-6
    assert stats.chi2.cdf(squares, 254) > 1e-6  # nor closer to the mean than chance allows


def test_ties_make_the_probabilities_of_bytes_exact(monkeypatch):
    """Over all 256 random bytes, g are white for certain and one is a tie, white with g / 255."""
    monkeypatch.setattr(
        RandomBytes, "bytes", lambda _, count: np.arange(count, dtype=np.int64).astype(np.uint8)
    )
    torch.manual_seed(5)
    ties = 20_000
    for grey in (0, 1, 127, 128, 200, 254, 255):
        white = binarized(torch.full((ties, 256), grey, dtype=torch.uint8)).double().mean(0)
        assert white[:grey].eq(1.0).all()
        assert white[grey + 1 :].eq(0.0).all()
        error = math.sqrt(grey * (255 - grey) / ties) / 255  # at 0 and 255 there is none
        assert abs(white[grey] - grey / 255) <= 5 * error + 1e-12
        assert Fraction(grey, 256) + Fraction(1, 256) * Fraction(grey, 255) == Fraction(grey, 255)


def test_random_bytes_follow_from_the_random_state_alone():
    torch.manual_seed(6)
    np.random.seed(0)
    first = RandomBytes()
    state = torch.get_rng_state()
    drawn = [first.bytes(13), first.uniform(3), first.bytes(0)]
    assert torch.equal(torch.get_rng_state(), state)
    np.random.seed(1)
    torch.manual_seed(6)
    again = RandomBytes()
    assert all(map(np.array_equal, drawn, [again.bytes(13), again.uniform(3), again.bytes(0)]))
    assert not np.array_equal(RandomBytes().bytes(13), drawn[0])
    uniform = again.uniform(100_000)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-6
    assert 0.0 <= uniform.min() <= uniform.max() < 1.0


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 1, 28, 28)])
def test_binarised_shapes_and_strides(shape):
    grey = torch.full(shape, 255, dtype=torch.uint8)
    assert binarized(grey).shape == shape
    assert binarized(grey).all()
    assert not binarized(torch.zeros(4, 6, dtype=torch.uint8).T).any()
    turned = torch.tensor([[0, 255, 0], [255, 255, 0]], dtype=torch.uint8).T
    assert torch.equal(binarized(turned), turned == 255)
    assert binarized(torch.zeros(0, 7, dtype=torch.uint8)).shape == (0, 7)


def test_draws_come_from_the_global_state_or_the_given_generator():
    grey = torch.full((999,), 128, dtype=torch.uint8)
    torch.manual_seed(3)
    first, other = Binarize()({"x": grey})["x"], Binarize()({"x": grey})["x"]
    torch.manual_seed(3)
    assert torch.equal(Binarize()({"x": grey})["x"], first)
    assert not torch.equal(first, other)
    state = torch.get_rng_state()
    draws = [binarized(grey, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), state)


def test_levels_and_dtypes():
    assert Binarize(levels=16)({"x": torch.tensor([0, 16])})["x"].tolist() == [0.0, 1.0]
    half = Binarize()({"x": torch.ones(2, dtype=torch.float64)})["x"]
    assert half.dtype == torch.float64
    unit = ToUnit(levels=16)({"x": torch.tensor([0, 4, 16])})["x"]
    assert unit.tolist() == [0.0, 0.25, 1.0]
    assert unit.dtype == torch.get_default_dtype()


@pytest.mark.parametrize("transform", [Binarize(), ToUnit()])
def test_other_keys_pass_and_inputs_stay(transform):
    x, y = torch.tensor([[7, 200]], dtype=torch.uint8), torch.tensor([1])
    batch = {"x": x, "y": y}
    out = transform(batch)
    assert out["y"] is y
    assert batch["x"] is x
    assert x.tolist() == [[7, 200]]


def test_transforms_are_declared_and_frozen():
    assert repr(Binarize()) == "Binarize()"
    assert repr(ToUnit(levels=16)) == "ToUnit(levels=16)"
    assert eval(repr(Binarize(levels=3))) == Binarize(levels=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Binarize().levels = 4
    for levels in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match=r"expects levels to be a positive integer.*got"):
            ToUnit(levels=levels)


def test_binarising_beats_the_plain_way():
    """The fast way must not fall behind `torch.bernoulli`; the best of many is compared."""
    grey = torch.randint(0, 256, (256, 784), dtype=torch.uint8)

    def best(function):
        spent = math.inf
        for _ in range(30):
            begin = time.perf_counter()
            function()
            spent = min(spent, time.perf_counter() - begin)
        return spent

    assert best(lambda: Binarize()({"x": grey})) < best(lambda: torch.bernoulli(grey / 255))

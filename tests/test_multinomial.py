"""Bags of words: totals given by the data, masks, draws, and the evidence under a Dirichlet.

Statistical checks use fixed seeds; each has a false-alarm rate of 1e-6 or less unless it says so.
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import array, small_vae
from scipy import special, stats
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import LogitsMultinomial
from pyrovae.heads import raw_of
from pyrovae.likelihoods import Multinomial
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import LogisticNormal
from pyrovae.priors import Dirichlet
from pyrovae.scopes import validation


def bags(elements: int, total: int) -> torch.Tensor:
    """Every bag of a total."""
    every = [x for x in product(range(total + 1), repeat=elements) if sum(x) == total]
    return torch.tensor(every, dtype=torch.get_default_dtype())


# ----------------------------------------------------------------------------------- the density


@pytest.mark.parametrize("total", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("elements", [1, 2, 4])
def test_the_bags_of_each_total_sum_to_one(total: int, elements: int, float64: torch.dtype) -> None:
    """The same distribution scores all of them: the total is that of the value."""
    torch.manual_seed(elements)
    made = Multinomial((elements,))(2.0 * torch.randn(elements), Context())
    space = bags(elements, total)
    assert made.log_prob(space).exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    p = special.softmax(array(made.logits))
    np.testing.assert_allclose(
        array(made.log_prob(space)), stats.multinomial.logpmf(array(space), total, p), atol=1e-12
    )


@pytest.mark.parametrize("known", list(product([False, True], repeat=4)), ids=str)
def test_what_is_known_sums_to_one_given_its_own_total(
    known: tuple[bool, ...], float64: torch.dtype
) -> None:
    torch.manual_seed(0)
    raw = torch.randn(4)
    observed = torch.tensor(known)
    made = Multinomial((4,))(raw, Context(observed=observed))
    for total in range(4):
        seen = bags(sum(known), total) if any(known) else torch.zeros(1, 0)
        x = torch.full((len(seen), 4), float("nan"))
        x[:, observed] = seen
        mass = made.log_prob(x).exp().sum().item()
        assert mass == pytest.approx(1.0, abs=1e-12)


def test_the_known_given_their_total_is_the_conditional_of_all(float64: torch.dtype) -> None:
    """By brute force: p(x_1, x_2 | x_1 + x_2) from the joint of all four counts."""
    torch.manual_seed(1)
    raw = torch.randn(4)
    observed = torch.tensor([True, True, False, False])
    joint = bags(4, 6)
    mass = Multinomial((4,))(raw, Context()).log_prob(joint).exp()
    part = Multinomial((4,))(raw, Context(observed=observed))
    for x in bags(2, 3):
        both = mass[(joint[:, :2] == x).all(-1)].sum()
        given = mass[joint[:, :2].sum(-1) == 3].sum()
        score = part.log_prob(torch.cat([x, torch.zeros(2)]))
        torch.testing.assert_close(score.exp(), both / given, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 3, 2)])
def test_a_mask_of_each_row_is_the_deletion(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    raw = torch.randn(5, *shape, dtype=dtype, requires_grad=True)
    x = torch.poisson(torch.full((5, *shape), 2.0, dtype=dtype))
    observed = torch.rand(5, *shape) < 0.6
    observed[3] = False
    x = torch.where(observed, x, float("nan"))
    score = Multinomial(shape)(raw, Context(observed=observed)).log_prob(x)
    (gradient,) = torch.autograd.grad(score.sum(), raw)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    for row in range(5):
        kept = observed[row]
        if not kept.any():
            assert score[row] == 0
            assert (gradient[row] == 0).all()
            continue
        alone = raw.detach()[row][kept].requires_grad_()
        expected = Multinomial((int(kept.sum()),))(alone, Context()).log_prob(x[row][kept])
        (slope,) = torch.autograd.grad(expected, alone)
        assert (gradient[row][~kept] == 0).all()
        torch.testing.assert_close(score[row], expected, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(gradient[row][kept], slope, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("total", [30, 10_000, 3_000_000])
def test_large_totals_keep_their_digits_in_single_precision(total: int) -> None:
    """The terms are of the size of the total and cancel to hundreds of nats, or fewer."""
    generator = np.random.default_rng(total)
    raw = generator.normal(size=400).astype(np.float32)
    p = special.softmax(raw.astype(np.float64))
    x = generator.multinomial(total, p).astype(np.float64)
    score = Multinomial((400,))(torch.tensor(raw), Context()).log_prob(torch.tensor(x).float())
    assert score.item() == pytest.approx(stats.multinomial.logpmf(x, total, p), abs=5e-7 * total)


@pytest.mark.parametrize("high", [1e4, -1e4])
def test_extremes_are_finite_at_values_they_forbid(high: float) -> None:
    raw = torch.tensor([high, 0.0, -high, high], requires_grad=True)
    for x in ([0.0, 0, 0, 0], [3.0, 0, 0, 0], [0.0, 0, 7, 0], [1.0, 1, 1, 1]):
        for observed in (None, torch.tensor([False, True, True, False])):
            made = Multinomial((4,))(raw, Context(observed=observed))
            score = made.log_prob(torch.tensor(x))
            (gradient,) = torch.autograd.grad(score, raw)
            assert score.isfinite()
            assert gradient.isfinite().all()


def test_an_empty_bag_tells_nothing() -> None:
    raw = torch.randn(3, 4, requires_grad=True)
    score = Multinomial((4,))(raw, Context()).log_prob(torch.zeros(3, 4))
    (gradient,) = torch.autograd.grad(score.sum(), raw)
    assert torch.equal(score, torch.zeros(3))
    assert (gradient == 0).all()


def test_leading_dimensions() -> None:
    raw = torch.randn(7, 1, 2, 3)
    observed = torch.rand(5, 2, 3) < 0.7
    x = torch.poisson(torch.ones(5, 2, 3))
    made = Multinomial((2, 3))(raw, Context(observed=observed))
    assert (made.batch_shape, made.event_shape) == ((7, 5), (2, 3))
    score = made.log_prob(x)
    wide = made.expand((4, 7, 5))
    assert torch.equal(wide.log_prob(x), score.expand(4, 7, 5))
    assert wide.sample((2,)).shape == (2, 4, 7, 5, 2, 3)
    for row in range(5):
        alone = Multinomial((2, 3))(raw[:, 0], Context(observed=observed[row]))
        torch.testing.assert_close(alone.log_prob(x[row]), score[:, row])


@pytest.mark.parametrize("masked", [False, True])
def test_the_density_can_be_recorded(*, masked: bool) -> None:
    """Without a look at any number; torch's own check of values is such a look."""
    likelihood = Multinomial((3,))
    observed = (torch.tensor([True, False, True]).expand(4, 3),) if masked else ()

    def score(raw: torch.Tensor, x: torch.Tensor, *observed: torch.Tensor) -> torch.Tensor:
        with validation(enabled=False):
            return likelihood(raw, Context(observed=next(iter(observed), None))).log_prob(x)

    raw, x = torch.randn(4, 3), torch.poisson(torch.ones(4, 3))
    graph = make_fx(score, tracing_mode="fake", _allow_non_fake_inputs=True)(raw, x, *observed)
    other = 2 * raw, x + 1, *observed
    assert torch.equal(graph(*other), score(*other))


# --------------------------------------------------------------------------------------- draws


@pytest.mark.parametrize("elements", [1, 2, 3, 5])
def test_draws_follow_the_density(elements: int, float64: torch.dtype) -> None:
    """Chi-square over every bag; odd numbers leave places of the tree empty."""
    torch.manual_seed(elements)
    made = LogitsMultinomial(torch.randn(elements), total_count=3)
    space = bags(elements, 3)
    draws = made.sample((6000,))
    counts = (draws.unsqueeze(1) == space).all(-1).sum(0)
    assert counts.sum() == 6000
    expected = 6000 * made.log_prob(space).exp()
    if elements > 1:
        assert stats.chisquare(array(counts), array(expected)).pvalue > 1e-6
    for moment, drawn in ((made.mean, draws.mean(0)), (made.variance, draws.var(0))):
        torch.testing.assert_close(moment, drawn, rtol=0.15, atol=0.05)


def test_each_of_a_batch_has_its_own_total_and_probabilities(float64: torch.dtype) -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 3, 5)
    total = torch.tensor([0.0, 1.0, 40.0, 1e6]).unsqueeze(-1)
    made = LogitsMultinomial(logits, total_count=total, event_dim=1)
    draws = made.sample((500,))
    assert torch.equal(draws.sum(-1), total.expand(500, 4, 3))
    apart = (draws.mean(0) - made.mean) / (made.variance / 500).sqrt().clamp(min=1e-9)
    assert apart.abs().max() < 6.0


def test_a_total_between_two_integers_is_drawn_as_one_of_them(float64: torch.dtype) -> None:
    """The mean is exact, and the variance that of the mixture of both."""
    torch.manual_seed(0)
    made = LogitsMultinomial(torch.tensor([0.0, 1.0, -1.0]), total_count=2.25)
    parts = [LogitsMultinomial(made.logits, total_count=n) for n in (2, 3)]
    mean = 0.75 * parts[0].mean + 0.25 * parts[1].mean
    square = sum(
        share * (part.variance + part.mean.square())
        for share, part in zip((0.75, 0.25), parts, strict=True)
    )
    torch.testing.assert_close(made.mean, mean)
    torch.testing.assert_close(made.variance, square - mean.square())
    totals = made.sample((8000,)).sum(-1)
    assert set(totals.tolist()) == {2.0, 3.0}
    assert abs(totals.mean().item() - 2.25) < 5 * 0.434 / 8000**0.5


def test_what_is_impossible_is_never_drawn() -> None:
    made = LogitsMultinomial(torch.tensor([-1e4, 0.0, -1e4, 1.0, -1e4]), total_count=1000)
    draws = made.sample((200,))
    assert (draws[:, [0, 2, 4]] == 0).all()
    assert (draws.sum(-1) == 1000).all()
    rare = LogitsMultinomial(torch.tensor([0.0, -16.0]).double(), total_count=1e9).sample((50,))
    assert 90 < rare[:, 1].mean() < 136  # e^-16 of 1e9 is 112.5


def test_draws_repeat_by_the_seed_and_none_are_drawn_of_none() -> None:
    made = LogitsMultinomial(torch.randn(3, 7), total_count=20)
    drawn = []
    for _ in range(2):
        torch.manual_seed(4)
        drawn.append(made.sample((5,)))
    assert torch.equal(*drawn)
    assert LogitsMultinomial(torch.randn(0, 7), total_count=20).sample().shape == (0, 7)
    assert made.sample((0,)).shape == (0, 3, 7)


# ------------------------------------------------------------------------------------ the model


class Coordinates(nn.Module):
    """From log(1 + x) to the Laplace approximation of the posterior under a Dirichlet(a)."""

    def __init__(self, concentration: float) -> None:
        super().__init__()
        self.concentration = nn.Parameter(torch.tensor(concentration))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        added = inputs.expm1() + self.concentration
        return torch.cat([added.log(), raw_of(1.1 * added.rsqrt())], dim=-1)


class Log(nn.Module):
    """From probabilities to their logarithms, which are the logits."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.log()


def test_the_evidence_under_a_dirichlet(float64: torch.dtype) -> None:
    """Against SciPy's Dirichlet-multinomial, of all entries and of those observed.

    Of the observed ones: the shares among some coordinates of a Dirichlet are a Dirichlet of these.
    Four standard errors on each of 16 estimates: a false alarm with 1e-3, at this seed none.
    """
    vae = pyrovae.VAE(
        prior=Dirichlet(4, concentration=3.0),
        likelihood=Multinomial((4,)),
        posterior=LogisticNormal(),
        encoder=lambda i, o: Coordinates(3.0),
        decoder=lambda i, o: Log(),
    )
    x = torch.poisson(torch.full((8, 4), 4.0), generator=torch.Generator().manual_seed(0))
    x[0] = 0.0
    a = np.full(4, 3.0)
    truth = [stats.dirichlet_multinomial.logpmf(row, a, row.sum()) for row in array(x).astype(int)]
    observed = torch.tensor([True, False, True, True])
    part = array(x[:, observed]).astype(int)
    known = [stats.dirichlet_multinomial.logpmf(row, a[:3], row.sum()) for row in part]
    seen = {"x": x, "observed": observed.expand(8, 4)}
    for data, expected in ({"x": x}, truth), (seen, known):
        for row in range(8):
            one = {key: value[row : row + 1] for key, value in data.items()}
            result = pyrovae.evaluate(vae, one, samples=4000)
            assert result.log_prob_error < 0.05, "the check would see nothing"
            gap = result.log_prob - expected[row]
            assert abs(gap) < 4.0 * result.log_prob_error + 1e-9


def test_bits_are_counted_where_all_is_observed() -> None:
    vae = small_vae(likelihood=Multinomial((3,), total=4), shape=(3,))
    x = vae.sample(6)
    whole = pyrovae.evaluate(vae, x, samples=10)
    assert whole.bits_per_dim == pytest.approx(-whole.log_prob / (3 * np.log(2.0)))
    part = pyrovae.evaluate(vae, {"x": x, "observed": x >= 0}, samples=10)
    assert part.bits_per_dim is None


def test_the_total_of_draws_is_the_mean_of_the_data_and_is_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.poisson(torch.full((40, 6), 3.0))
    vae = small_vae(likelihood=Multinomial((6,)), shape=(6,))
    assert vae.likelihood.words == 1
    vae.prepare({"x": x})
    total = x.sum(-1).mean()
    torch.testing.assert_close(vae.likelihood.words, total)
    torch.testing.assert_close(vae.reconstruct(x).sum(-1), total.expand(40))
    assert set(vae.sample(50).sum(-1).tolist()) <= {float(total.floor()), float(total.ceil())}
    pyrovae.save(vae, tmp_path / "model")
    loaded = pyrovae.load(tmp_path / "model")
    assert loaded.likelihood.words == vae.likelihood.words
    assert repr(loaded.likelihood) == "Multinomial((6,))"
    fixed = small_vae(likelihood=Multinomial((6,), total=9), shape=(6,))
    fixed.prepare({"x": x})
    assert (fixed.sample(5).sum(-1) == 9).all()


def test_a_word_that_is_not_there_has_half_a_count() -> None:
    x = torch.tensor([[4.0, 0.0, 2.0], [2.0, 0.0, 4.0]])
    vae = small_vae(likelihood=Multinomial((3,)), shape=(3,), decoder=MLP(()))
    nn.init.zeros_(vae.decoder_network.network[1].weight)
    nn.init.zeros_(vae.decoder_network.network[1].bias)
    vae.prepare({"x": x})
    shares = vae.decode(torch.zeros(2)).probs
    torch.testing.assert_close(shares, torch.tensor([3.0, 0.25, 3.0]) / 6.25)
    empty = small_vae(likelihood=Multinomial((3,)), shape=(3,))
    empty.prepare({"x": torch.zeros(2, 3)})
    assert (empty.sample(4) == 0).all()


@pytest.mark.parametrize("masked", [False, True])
def test_it_trains(*, masked: bool) -> None:
    """Two kinds of bags; Adam's steps raise the bound, measured at fixed noise."""
    torch.manual_seed(0)
    p = torch.tensor([[0.7, 0.1, 0.1, 0.05, 0.05], [0.05, 0.05, 0.1, 0.1, 0.7]])
    x = LogitsMultinomial(p[torch.arange(64) % 2].log(), total_count=12).sample()
    batch = {"x": x}
    if masked:
        batch["observed"] = torch.rand(x.shape) < 0.7
    vae = small_vae(likelihood=Multinomial((5,)), shape=(5,))
    vae.prepare(batch)

    def bound() -> float:
        torch.manual_seed(1)
        return -float(ELBO().loss(vae.model, vae.guide, **batch))

    optimizer = torch.optim.Adam(vae.parameters(), lr=0.03)
    before = bound()
    for _ in range(20):
        optimizer.zero_grad()
        ELBO().loss_and_grads(vae.model, vae.guide, **batch)
        optimizer.step()
    assert bound() > before + 1.0


@pytest.mark.parametrize("total", [0, -2, 2.5, "7", True, (3,)], ids=str)
def test_bad_totals(total: Any) -> None:
    with pytest.raises(ValueError, match="Multinomial expects total to be a positive integer"):
        Multinomial((3,), total=total)


@pytest.mark.parametrize("bad", [-1.0, 0.5, float("inf"), float("nan")])
def test_data_that_are_no_counts(bad: float) -> None:
    vae = small_vae(likelihood=Multinomial((3,)), shape=(3,))
    x = torch.ones(4, 3)
    x[2, 1] = bad
    with pytest.raises(ValueError, match=r"cannot score x\[2, 1\] = .*each x one bag of them"):
        vae.check({"x": x})
    vae.check({"x": x, "observed": x == 1})

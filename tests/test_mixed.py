"""Mixed and Standardized: likelihoods of likelihoods, against their parts."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import pyrovae
from pyrovae.context import Context
from pyrovae.likelihoods import Bernoulli, Binomial, Likelihood, Mixed, Normal, Standardized
from pyrovae.models import VAE
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal, VampPrior

pytestmark = pytest.mark.usefixtures("float64")


def made() -> Mixed:
    parts = (
        Standardized(Normal((2,), scale="network")),
        Bernoulli((1,)),
        Binomial((2,), total_count=3),
    )
    return Mixed(parts)


def table(rows: int = 60) -> Tensor:
    """Columns far from zero and of unlike sizes, a bit, and two counts."""
    torch.manual_seed(1)
    reals = torch.randn(rows, 2) * torch.tensor([1e-3, 1e4]) + torch.tensor([50.0, -3e5])
    bits = (torch.rand(rows, 1) < 0.3).double()
    counts = torch.randint(0, 4, (rows, 2)).double()
    return torch.cat([reals, bits, counts], 1)


def vae_of(likelihood: Likelihood, prior: Any = None) -> VAE:
    return VAE(
        prior=StandardNormal(2) if prior is None else prior,
        likelihood=likelihood,
        posterior=MeanFieldNormal(),
        encoder=MLP((8,)),
        decoder=MLP((8,)),
    )


def test_the_score_is_the_sum_of_the_parts() -> None:
    mixed, x = made(), table(7)
    mixed.prepare({"x": table()})
    raw = torch.randn(7, *mixed.head.out_shape(mixed.event_shape))
    first, second, third = mixed.parts
    assert isinstance(first, Standardized)
    loc = first.centre + first.spread * raw[:, :2]
    scale = first.spread * (1e-4 + torch.nn.functional.softplus(raw[:, 2:4] + 0.541324854612918))
    truth = torch.distributions.Normal(loc, scale).log_prob(x[:, :2]).sum(1)
    for part, columns, raws in ((second, [2], raw[:, 4:5]), (third, [3, 4], raw[:, 5:])):
        truth = truth + part(raws, Context()).log_prob(x[:, columns])
    torch.testing.assert_close(mixed(raw, Context()).log_prob(x), truth)


@pytest.mark.parametrize("hidden", range(5))
def test_a_mask_is_the_deletion_of_a_column(hidden: int) -> None:
    """Value and gradient, whatever stands in the column."""
    mixed, x = made(), table(7)
    mixed.prepare({"x": table()})
    raw = torch.randn(7, *mixed.head.out_shape(mixed.event_shape)).requires_grad_()
    seen = torch.ones(7, 5, dtype=torch.bool)
    seen[:, hidden] = False
    scores = []
    for other in (x, torch.where(seen, x, table(20)[7:14])):
        score = mixed(raw, Context(observed=seen)).log_prob(other)
        (gradient,) = torch.autograd.grad(score.sum(), raw)
        scores.append((score.detach(), gradient))
    assert torch.equal(scores[0][0], scores[1][0])
    assert torch.equal(scores[0][1], scores[1][1])
    alone = torch.zeros(7, 5, dtype=torch.bool)
    alone[:, hidden] = True
    whole = mixed(raw, Context()).log_prob(x)
    rest = mixed(raw, Context(observed=alone)).log_prob(x)
    torch.testing.assert_close(scores[0][0] + rest, whole)


def test_standardisation_changes_the_units_and_nothing_else() -> None:
    """A model of u and one of x = a + s u agree but for the stretch, which is counted."""
    x = table()[:, :2]
    part = Standardized(Normal((2,), scale="element"))
    start = part.prepare({"x": x})
    assert start is not None
    torch.testing.assert_close(part.centre, x.mean(0))
    torch.testing.assert_close(part.spread, x.std(0, correction=0))
    torch.testing.assert_close(part.inputs(x), (x - x.mean(0)) / x.std(0, correction=0))
    u = part.inputs(x)
    raw = torch.randn(60, 2)
    inner = part.likelihood(raw, Context()).log_prob(u)
    outer = part(raw, Context()).log_prob(x)
    torch.testing.assert_close(outer, inner - x.std(0, correction=0).log().sum())
    assert start.abs().max() < 1e-6


def test_the_moments_are_those_of_the_known_entries() -> None:
    x = table()[:, :2]
    seen = torch.rand(60, 2) < 0.5
    part = Standardized(Normal((2,)))
    part.prepare({"x": torch.where(seen, x, 7.0), "observed": seen})
    for column in range(2):
        known = x[seen[:, column], column]
        torch.testing.assert_close(part.centre[column], known.mean())
        torch.testing.assert_close(part.spread[column], known.std(correction=0))


def test_a_constant_column_keeps_its_spread() -> None:
    part = Standardized(Normal((2,)))
    part.prepare({"x": torch.full((9, 2), 0.1)})
    assert part.spread.tolist() == [1.0, 1.0]
    torch.testing.assert_close(part.inputs(torch.full((9, 2), 0.1)), torch.zeros(9, 2))


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.parametrize("prior", [StandardNormal, VampPrior])
def test_a_model_of_a_mixed_table(prior: Any, tmp_path: Any) -> None:
    """It trains with holes, draws rows of the right kinds, and is the same when loaded."""
    x = table(300)
    seen = torch.rand(300, 5) < 0.7
    data = {"x": torch.where(seen, x, 0.0), "observed": seen}
    model = vae_of(made(), prior(2)).double()
    before = copy.deepcopy(model)
    before.prepare(data)
    pyrovae.fit(model, data, epochs=15, batch_size=50, seed=0, progress=False)
    scores = [pyrovae.evaluate(m, data, samples=50).elbo for m in (before, model)]
    assert scores[1] > scores[0]
    rows = model.sample(500)
    assert ((rows[:, 2] == 0) | (rows[:, 2] == 1)).all()
    assert rows[:, 3:].unique().tolist() == [0.0, 1.0, 2.0, 3.0]
    torch.testing.assert_close(rows[:, 1].mean(), x[:, 1].mean(), rtol=0.0, atol=2e4)
    pyrovae.save(model, tmp_path / "model")
    again = pyrovae.load(tmp_path / "model")
    score = pyrovae.evaluate(again, data, samples=50).elbo
    assert score == scores[1]


def test_a_bad_value_is_laid_to_the_part_that_scores_it() -> None:
    x = table()
    x[4, 3] = 7.0
    with pytest.raises(ValueError, match=r"Binomial\(\(2,\).* cannot score x\[4, 3\] = 7 .*to 3"):
        pyrovae.fit(vae_of(made()).double(), {"x": x}, epochs=1, batch_size=10, progress=False)


def test_a_part_belongs_to_one_model() -> None:
    likelihood = made()
    vae_of(likelihood)
    inner = likelihood.parts[0]
    with pytest.raises(ValueError, match="already part of another model"):
        vae_of(Mixed((Normal((1,), scale="element"), vae_claimed(inner))))


def vae_claimed(part: Likelihood) -> Likelihood:
    """A copy that is bound to a model of its own."""
    copied = copy.deepcopy(Normal((2,), scale="element"))
    vae_of(Mixed((copied, Bernoulli((1,)))))
    return copied


@pytest.mark.parametrize(
    ("parts", "error", "said"),
    [
        ((), ValueError, "at least one likelihood"),
        ((Normal((2,)), Normal((2, 3))), ValueError, "differ in the first"),
        ((Normal((2,)), "Bernoulli"), TypeError, "expects likelihoods"),
        ((Normal((2,)),) * 2, ValueError, "of its own"),
    ],
)
def test_parts_that_do_not_fit(parts: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Mixed(parts)


@pytest.mark.parametrize("inner", [Bernoulli((2,)), Binomial((2,), total_count=4)])
def test_what_cannot_be_standardised(inner: Likelihood) -> None:
    with pytest.raises(ValueError, match="score these as they are"):
        Standardized(inner)


def test_the_calls_are_their_representations() -> None:
    mixed = made()
    names = {kind.__name__: kind for kind in (Mixed, Standardized, Normal, Bernoulli, Binomial)}
    assert repr(eval(repr(mixed), names)) == repr(mixed)


def test_parts_within_parts_belong_to_one_model() -> None:
    """Each of them is claimed once, at any depth, and by one model only."""
    inner = Normal((2,), scale="element")
    vae_of(Mixed((Standardized(inner), Bernoulli((1,)))))
    with pytest.raises(ValueError, match="already part of another model"):
        vae_of(Mixed((inner, Bernoulli((1,)))))


@pytest.mark.filterwarnings("ignore:poor importance weights")
def test_bits_are_counted_only_where_all_elements_are() -> None:
    x = table()
    counts = Mixed((Bernoulli((1,)), Binomial((2,), total_count=3)))
    result = pyrovae.evaluate(vae_of(counts).double(), {"x": x[:, 2:]}, samples=5)
    assert result.bits_per_dim == pytest.approx(-result.log_prob / (3 * math.log(2.0)))
    assert pyrovae.evaluate(vae_of(made()).double(), {"x": x}, samples=5).bits_per_dim is None
    again = Mixed((Bernoulli((1,)), Binomial((2,), total_count=3)))
    holes = {"x": x[:, 2:], "observed": torch.rand(60, 3) < 0.5}
    assert pyrovae.evaluate(vae_of(again).double(), holes, samples=5).bits_per_dim is None

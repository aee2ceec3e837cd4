"""The optimal scale of a normal likelihood is its closed form, wherever it is looked at."""

from pathlib import Path
from typing import Any

import pyro
import pytest
import torch
from cases import randomized, small_vae
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor

import pyrovae
from pyrovae.context import Context
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE, trace_terms
from pyrovae.training import compiled
from pyrovae.training.compiled import CompiledLoss


def made(**parts: Any) -> Any:
    return randomized(small_vae(likelihood="Normal optimal", shape=(4,), **parts), spread=0.3)


def errors(vae: Any, terms: Any, x: Tensor) -> Tensor:
    """Squared errors at the draws of a record, found by the decoder alone."""
    return (x - vae.decoder_network(terms.latent["z"].value)).square()


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_closed_form(particles: int, *, masked: bool, float64: torch.dtype) -> None:
    vae = made().train()
    x = 2.0 * torch.randn(9, 4)
    observed = torch.rand(9, 4) < 0.6 if masked else torch.ones(9, 4, dtype=torch.bool)
    given = {"observed": observed} if masked else {}
    terms = trace_terms(vae.model, vae.guide, (x,), given, particles=particles)
    square = errors(vae, terms, x).reshape(-1, 9, 4)
    truth = square[:, observed].mean()
    scale = vae.likelihood.optimal.eval()(torch.zeros(4), Context())
    torch.testing.assert_close(scale.square(), truth, rtol=1e-12, atol=0.0)
    normal = torch.distributions.Normal(x - square.sqrt(), truth.sqrt())
    scores = torch.where(observed, normal.log_prob(x), 0.0).sum(-1)
    found = terms.log_likelihood.reshape(-1, 9)
    torch.testing.assert_close(found, scores, rtol=1e-12, atol=1e-12)


def test_no_other_scale_is_better(float64: torch.dtype) -> None:
    x, loc = torch.randn(7, 4), torch.randn(7, 4)
    likelihood = Normal((4,), scale="optimal")
    best = likelihood(loc, Context(x=x)).log_prob(x).sum()
    for scale in torch.linspace(0.2, 4.0, 100):
        assert Normal((4,), scale=scale.item())(loc, Context()).log_prob(x).sum() <= best
    n, error = x.numel(), (x - loc).square().mean()
    profile = -0.5 * n * (torch.log(2 * torch.pi * error) + 1.0)
    torch.testing.assert_close(best, profile, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("observed", [None, torch.tensor([[True, False], [True, True]])])
def test_the_gradient_is_that_of_the_bound_at_its_maximum(observed: Any) -> None:
    """Of `-n / 2 log(mean squared error)`, though sigma is a constant to the gradient."""
    x = torch.randn(2, 2, dtype=torch.float64)
    loc = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    likelihood = Normal((2,), scale="optimal").double()
    score = likelihood(loc, Context(x=x, observed=observed)).log_prob(x).sum()
    (found,) = torch.autograd.grad(score, loc)
    known = torch.ones(2, 2, dtype=torch.bool) if observed is None else observed
    kept = (x - loc).square()[:, known]
    (expected,) = torch.autograd.grad(-0.5 * kept.numel() * kept.mean().log(), loc)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_what_is_masked_counts_for_nothing() -> None:
    x = torch.randn(5, 4)
    observed = torch.rand(5, 4) < 0.5
    scales = []
    for hole in (0.0, 1e6, float("nan")):
        likelihood = Normal((4,), scale="optimal")
        given = torch.where(observed, x, hole)
        likelihood(torch.zeros(5, 4), Context(x=given, observed=observed))
        scales.append(likelihood.optimal.variance)
    torch.testing.assert_close(scales[0], x[observed].square().mean())
    assert torch.equal(scales[0], scales[1])
    assert torch.equal(scales[0], scales[2])


def test_nothing_observed_leaves_it() -> None:
    likelihood = Normal((2,), scale="optimal")
    likelihood.optimal.begin(torch.tensor(4.0))
    nothing = torch.zeros(3, 2, dtype=torch.bool)
    p = likelihood(torch.zeros(3, 2), Context(x=torch.ones(3, 2), observed=nothing))
    assert torch.equal(p.log_prob(torch.ones(3, 2)), torch.zeros(3))
    assert likelihood.optimal.variance == 4.0


def test_a_perfect_fit_stays_finite() -> None:
    loc = torch.zeros(3, 2, requires_grad=True)
    score = Normal((2,), scale="optimal")(loc, Context(x=torch.zeros(3, 2))).log_prob(
        torch.zeros(3, 2)
    )
    score.sum().backward()
    assert score.isfinite().all()
    assert loc.grad.isfinite().all()


def test_what_is_used_later_is_the_weighted_mean_of_the_last_batches(float64: Any) -> None:
    """A small last batch of an epoch counts by its entries."""
    likelihood = Normal((2,), scale="optimal")
    batches = [torch.randn(rows, 2) * rows for rows in (50, 50, 1)]
    for x in batches:
        likelihood(torch.zeros(len(x), 2), Context(x=x))
    decay = [0.81, 0.9, 1.0]
    total = sum(d * x.square().sum() for d, x in zip(decay, batches, strict=True))
    weight = sum(d * x.numel() for d, x in zip(decay, batches, strict=True))
    torch.testing.assert_close(likelihood.optimal.variance, total / weight)
    alone = likelihood.eval()(torch.zeros(1, 2), Context(x=batches[0])).variance
    torch.testing.assert_close(alone, (total / weight).expand(1, 2))


@pytest.mark.filterwarnings("ignore:poor importance weights")
def test_only_training_moves_it(tmp_path: Path) -> None:
    vae = made()
    x = 3.0 + 2.0 * torch.randn(40, 4)
    before = vae.likelihood.optimal.variance.clone()
    history = pyrovae.fit(vae, x, valid=x, epochs=3, batch_size=16, progress=False)
    assert history.failure is None
    state = {key: value.clone() for key, value in vae.state_dict().items()}
    assert state["likelihood.optimal.variance"] != before
    result = pyrovae.evaluate(vae, x, samples=20)
    vae.sample(3)
    vae.reconstruct(x)
    vae.check({"x": x})
    assert all(torch.equal(value, state[key]) for key, value in vae.state_dict().items())
    pyrovae.save(vae, tmp_path / "model")
    again = pyrovae.load(tmp_path / "model")
    assert torch.equal(again.likelihood.optimal.variance, vae.likelihood.optimal.variance)
    assert pyrovae.evaluate(again, x, samples=20).log_prob == result.log_prob
    decoded = again.decode(torch.zeros(2, 2))
    torch.testing.assert_close(decoded.variance, again.likelihood.optimal.variance.expand(2, 4))


def test_under_plain_svi() -> None:
    vae = made().train()
    x = 2.0 * torch.randn(9, 4)
    svi = SVI(vae.model, vae.guide, pyro.optim.SGD({"lr": 1e-9}), Trace_ELBO())
    svi.step(x)
    torch.manual_seed(3)
    variance = vae.likelihood.optimal.variance.clone()
    draws = [errors(vae, trace_terms(vae.model, vae.guide, (x,)), x).mean() for _ in range(50)]
    assert min(draws) <= variance <= max(draws)


@pytest.mark.parametrize("masked", [False, True])
def test_the_recorded_step_moves_it_alike(
    monkeypatch: pytest.MonkeyPatch, *, masked: bool, float64: torch.dtype
) -> None:
    monkeypatch.setattr(compiled, "compiled_graph", lambda graph, inputs: graph)
    x = torch.randn(9, 4)
    batch = {"x": x} | ({"observed": x > -0.5} if masked else {})
    for objective in (ELBO(particles=3), IWAE(particles=2)):
        found = []
        for kind in (lambda loss: loss, CompiledLoss):
            torch.manual_seed(7)
            vae = made().train()
            loss = kind(objective(vae.model, vae.guide))
            for seed in range(3):
                torch.manual_seed(seed)
                value = loss(**batch)
                value.backward()
            found.append((value.detach(), vae.likelihood.optimal.variance))
        torch.testing.assert_close(*found, rtol=1e-13, atol=0.0)
        assert found[0][1] != 1.0


def test_it_is_refused_where_every_z_is_visited() -> None:
    with pytest.raises(ValueError, match=r"Normal\(.*optimal.*Categorical.*closed form"):
        small_vae(posterior="Categorical enumerated", likelihood="Normal optimal")


def test_it_begins_at_the_spread_of_the_data_and_finds_the_noise() -> None:
    """Linear data with noise of 0.1: the scale falls from the data's spread to about the noise."""
    torch.manual_seed(4)
    z = torch.randn(256, 2)
    x = z @ torch.randn(2, 4) + 0.1 * torch.randn(256, 4)
    vae = small_vae(likelihood="Normal optimal", shape=(4,), encoder=MLP((32,)), decoder=MLP((32,)))
    vae.prepare({"x": x})
    begun = vae.decode(torch.zeros(1, 2)).variance[0]
    torch.testing.assert_close(begun, x.var(0, correction=0).mean().expand(4))
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)
    loss = ELBO()(vae.model, vae.guide)
    for _ in range(250):
        optimizer.zero_grad()
        (loss(x) / len(x)).backward()
        optimizer.step()
    assert vae.likelihood.optimal.variance.sqrt().item() == pytest.approx(0.12, abs=0.05)

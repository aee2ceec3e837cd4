"""The record is ready for what later bounds need: enumerated sites, and steps kept as a graph."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import OBJECTIVES, data_for, randomized, small_vae
from pyro import poutine
from pyro.infer import TraceEnum_ELBO
from torch import Tensor
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from pyrovae.evaluation import evaluate, log_prob
from pyrovae.objectives import ELBO, IWAE, trace_terms
from pyrovae.scopes import validation

pytestmark = pytest.mark.usefixtures("float64")

X = torch.tensor([[0.3, -1.2], [0.5, 0.1], [2.0, -0.4], [-1.0, 0.7]], dtype=torch.float64)
MEANS = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.5, 2.0]], dtype=torch.float64)


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        y = pyro.sample("y", dist.Categorical(torch.tensor([0.2, 0.3, 0.5])))
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z + MEANS[y], 0.5).to_event(1), obs=x)


@pytest.mark.parametrize("particles", [1, 4])
def test_an_enumerated_site_is_a_dimension_on_the_left(particles: int) -> None:
    """Averaged under q(y | x), the record gives Pyro's bound, in value and gradient."""
    logits = torch.randn(len(X), 3, requires_grad=True)
    loc = torch.randn(len(X), 2, requires_grad=True)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            q = dist.Categorical(logits=logits[: len(x)])
            y = pyro.sample("y", q, infer={"enumerate": "parallel"})
            pyro.sample("z", dist.Normal(loc[: len(x)] + 0.1 * MEANS[y], 0.7).to_event(1))

    torch.manual_seed(1)
    enumerated = poutine.enum(guide, first_available_dim=-3)
    terms = trace_terms(model, enumerated, (X,), particles=particles)
    y, z = terms.latent["y"], terms.latent["z"]
    for term in (z.log_p, z.log_q, z.kl, terms.log_weight):
        assert term.shape == (3, particles, len(X))
    assert y.log_p.shape == y.log_q.shape == (3, 1, len(X))  # the same for all particles
    assert y.kl.shape == (1, len(X))
    assert z.kl_per_dimension("auto").shape == (3, particles, len(X), 2)
    bound = (y.log_q.exp() * terms.log_weight).sum(0).mean(-2)

    torch.manual_seed(1)
    pyros: Any = TraceEnum_ELBO(
        num_particles=particles,
        vectorize_particles=particles > 1,
        max_plate_nesting=1 if particles > 1 else 2,  # without particles, as the record has it
    )
    loss = pyros.differentiable_loss(model, guide, X)
    torch.testing.assert_close(-bound.sum(), loss, rtol=1e-12, atol=0.0)
    mine = torch.autograd.grad(-bound.sum(), (logits, loc))
    theirs = torch.autograd.grad(loss, (logits, loc))
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)

    torch.manual_seed(1)
    ours = ELBO(kl="sampled", particles=particles).differentiable_loss(model, guide, X)
    torch.testing.assert_close(ours, loss, rtol=1e-12, atol=0.0)
    torch.manual_seed(1)
    inner = (terms.log_weight - math.log(particles)).logsumexp(-2)
    expected = -(y.log_q.squeeze(-2).exp() * inner).sum()
    ours = IWAE(particles=particles).differentiable_loss(model, guide, X)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=0.0)


def exact() -> Tensor:
    """The evidence of the model above: given y, x is normal."""
    given = dist.Normal(MEANS.unsqueeze(1), 1.25**0.5).to_event(1).log_prob(X)
    return (given + torch.tensor([0.2, 0.3, 0.5]).log().unsqueeze(-1)).logsumexp(0)


def test_an_enumerated_site_is_summed_out_of_the_evidence() -> None:
    """With z from its posterior given y the weights are constant, so one draw is exact."""

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            logits = torch.zeros(len(x), 3)
            y = pyro.sample("y", dist.Categorical(logits=logits), infer={"enumerate": "parallel"})
            loc = (x - MEANS[y]) * 0.8
            pyro.sample("z", dist.Normal(loc, 0.2**0.5).to_event(1))

    for samples in (1, 7):
        found = log_prob((model, guide), X, samples=samples)
        torch.testing.assert_close(found, exact(), rtol=1e-9, atol=0.0)


def test_a_pair_that_is_enumerated_whole_has_no_error() -> None:
    def codes(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", dist.Categorical(torch.tensor([0.2, 0.3, 0.5])))
            pyro.sample("x", dist.Normal(MEANS[y], 0.5).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            logits = x @ MEANS.T
            pyro.sample("y", dist.Categorical(logits=logits), infer={"enumerate": "parallel"})

    given = dist.Normal(MEANS.unsqueeze(1), 0.5).to_event(1).log_prob(X)
    joint = given + torch.tensor([0.2, 0.3, 0.5]).log().unsqueeze(-1)
    log_q = (X @ MEANS.T).log_softmax(-1).T
    result = evaluate((codes, guide), X, samples=9)
    assert result.log_prob == pytest.approx(joint.logsumexp(0).mean().item(), rel=1e-9)
    assert result.elbo == pytest.approx((log_q.exp() * (joint - log_q)).sum(0).mean().item())
    assert result.reconstruction == pytest.approx((log_q.exp() * given).sum(0).mean().item())
    assert result.log_prob_error == pytest.approx(0.0, abs=1e-6)
    assert result.ess == pytest.approx(9.0)


def test_what_follows_a_draw_cannot_be_enumerated_under_a_logarithm() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x, 0.7).to_event(1))
            pyro.sample("y", dist.Categorical(logits=z @ MEANS.T), infer={"enumerate": "parallel"})

    with pytest.raises(ValueError, match="the enumerated 'y' hangs on the draw of another site"):
        IWAE(particles=3).loss(model, guide, X)
    assert ELBO(kl="sampled", particles=3).loss(model, guide, X) > 0.0


MODELS = [
    *((name, "StandardNormal", "MeanFieldNormal") for name in OBJECTIVES),
    ("ELBO", "GaussianMixture", "FullRankNormal"),
    ("IWAE", "VampPrior", "FullRankNormal"),
]


@pytest.mark.parametrize(("name", "prior", "posterior"), MODELS)
def test_a_step_kept_as_a_graph_is_the_eager_one(name: str, prior: str, posterior: str) -> None:
    """Loss and gradient are plain tensor operations: noise stays fresh, the step an input."""
    vae = randomized(small_vae(prior, posterior), spread=0.2)
    loss = OBJECTIVES[name].make()(vae.model, vae.guide)
    loss.settle(data_for(vae))  # so that the parameters of an opponent are there
    parameters, buffers = dict(loss.named_parameters()), dict(loss.named_buffers())

    def step(parameters: Any, buffers: Any, x: Tensor) -> tuple[Tensor, Any]:
        with validation(enabled=False):
            value = functional_call(loss, (parameters, buffers), (x,))
        return value.detach(), torch.autograd.grad(value, list(parameters.values()))

    graph = make_fx(step)(parameters, buffers, data_for(vae))
    x = data_for(vae, seed=12)
    later = {**buffers, "step": buffers["step"] + 3}
    torch.manual_seed(2)
    kept = graph(parameters, later, x)
    torch.manual_seed(2)
    torch.testing.assert_close(kept, step(parameters, later, x), rtol=0.0, atol=0.0)
    assert not torch.equal(graph(parameters, later, x)[0], kept[0])

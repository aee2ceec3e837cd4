"""The plain Pyro way always works: the model and the guide are ordinary Pyro programs."""

from typing import Any

import pyro
import pytest
import torch
from cases import FIRST, PAIRS, POSTERIORS, data_for, small_vae
from pyro import poutine
from pyro.infer import (
    SVI,
    Predictive,
    RenyiELBO,
    Trace_ELBO,
    TraceEnum_ELBO,
    TraceMeanField_ELBO,
)
from torch import Tensor, nn

from pyrovae.models import VAE
from pyrovae.objectives import ELBO, IWAE

LOSSES = {
    "Trace_ELBO": lambda: Trace_ELBO(),
    "Trace_ELBO K=3": lambda: Trace_ELBO(3, max_plate_nesting=1, vectorize_particles=True),
    "TraceMeanField_ELBO": lambda: TraceMeanField_ELBO(),
    "RenyiELBO": lambda: RenyiELBO(alpha=0, num_particles=3, vectorize_particles=True),
    "ELBO": lambda: ELBO(),
    "IWAE": lambda: IWAE(particles=3),
}


def two_kinds(n: int = 24) -> Tensor:
    """Images that are all ones or all zeros: one bit to learn, and much to gain by it."""
    return (torch.arange(n) % 2).float().reshape(n, 1, 1, 1).expand(n, 1, 4, 3).contiguous()


def fixed_loss(vae: VAE, x: Tensor) -> float:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return ELBO(particles=20).loss(vae.model, vae.guide, x)


@pytest.mark.parametrize("name", LOSSES)
def test_svi_trains(name: str) -> None:
    vae = small_vae()
    x = two_kinds()
    before = fixed_loss(vae, x)
    start = {key: value.clone() for key, value in vae.named_parameters()}
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 0.02}), LOSSES[name]())
    for _ in range(60):
        svi.step(x)
    assert fixed_loss(vae, x) < 0.7 * before
    still = [key for key, value in vae.named_parameters() if torch.equal(value, start[key])]
    assert not still


@pytest.mark.parametrize(("prior", "posterior"), [p for p in PAIRS if not POSTERIORS[p[1]].point])
def test_svi_moves_every_parameter_of_every_pair(prior: str, posterior: str) -> None:
    vae = small_vae(prior, posterior)
    start = {key: value.clone() for key, value in vae.named_parameters()}
    bound = TraceEnum_ELBO() if vae.posterior.enumerated else Trace_ELBO()
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-3}), bound)
    svi.step(data_for(vae))
    still = [key for key, value in vae.named_parameters() if torch.equal(value, start[key])]
    assert not still


@pytest.mark.parametrize("make", [Trace_ELBO, TraceMeanField_ELBO, ELBO, IWAE])
def test_the_native_torch_way_trains(make: Any) -> None:
    vae = small_vae(prior="GaussianMixture")
    x = two_kinds()
    module = make()(vae.model, vae.guide)
    assert {id(p) for p in module.parameters()} == {id(p) for p in vae.parameters()}
    assert len(list(module.parameters())) == len(list(vae.parameters()))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        torch.manual_seed(7)
        loss = module(x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_predictive_without_a_guide() -> None:
    vae = small_vae()
    for parallel in (False, True):
        drawn = Predictive(vae.model, num_samples=6, parallel=parallel)()
        assert {k: tuple(v.shape) for k, v in drawn.items()} == {
            "z": (6, 1, 2),
            "x": (6, 1, 1, 4, 3),
        }
        assert set(drawn["x"].unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("posterior", FIRST[1])
def test_predictive_with_the_guide(posterior: str, parallel: bool) -> None:
    """z follows q(z | x): each mean within 6 standard errors, false alarm 10 x 2e-9."""
    vae = small_vae(posterior=posterior)
    x = data_for(vae)
    sites = ["z", "x"]
    predictive = Predictive(
        vae.model, guide=vae.guide, num_samples=200, parallel=parallel, return_sites=sites
    )
    with torch.no_grad():
        drawn = predictive(x)
        q = vae.encode(x)
    assert drawn["z"].shape == (200, 5, 2)
    assert drawn["x"].shape == (200, 5, 1, 4, 3) or torch.equal(drawn["x"], x)
    error = q.stddev / 200**0.5
    assert ((drawn["z"].mean(0) - q.mean).abs() < 6 * error).all()


def test_condition() -> None:
    vae = small_vae()
    z = torch.tensor([[0.3, -1.0]])
    trace = poutine.trace(poutine.condition(vae.model, data={"z": z})).get_trace()
    assert trace.nodes["z"]["is_observed"]
    assert trace.nodes["z"]["value"] is z
    expected = vae.decode(z)
    score = trace.nodes["x"]["fn"].log_prob(torch.ones(1, 1, 4, 3))
    torch.testing.assert_close(score, expected.log_prob(torch.ones(1, 1, 4, 3)))


def test_render_model_shows_the_sites() -> None:
    vae = small_vae()
    graph = pyro.render_model(vae.model, model_args=(data_for(vae),))
    assert type(graph).__name__ == "Digraph"
    assert "z -> x" in graph.source
    assert "label=data" in graph.source
    assert "x [label=x fillcolor=gray" in graph.source
    assert "z [label=z fillcolor=white" in graph.source


@pytest.mark.parametrize("n", [1, 4])
def test_shapes_of_a_trace(n: int) -> None:
    vae = small_vae()
    x = data_for(vae, n)
    trace = poutine.trace(vae.model).get_trace(x)
    trace.compute_log_prob()
    assert [name for name, node in trace.nodes.items() if node["type"] == "sample"] == [
        "data",
        "z",
        "x",
    ]
    for name, event in [("z", (2,)), ("x", (1, 4, 3))]:
        node = trace.nodes[name]
        assert node["fn"].batch_shape == (n,)
        assert node["fn"].event_shape == event
        assert node["log_prob"].shape == (n,)
        assert node["scale"] == 1.0
        assert [frame.name for frame in node["cond_indep_stack"]] == ["data"]
    assert trace.nodes["x"]["is_observed"]
    assert not poutine.trace(vae.model).get_trace().nodes["x"]["is_observed"]


def test_all_keys_of_a_batch_are_taken() -> None:
    vae = small_vae()
    x = data_for(vae)
    batch = {"y": torch.arange(5), "index": torch.arange(5), "observed": torch.ones_like(x) > 0}
    torch.manual_seed(1)
    full = Trace_ELBO().loss(vae.model, vae.guide, x, **batch)
    torch.manual_seed(1)
    assert full == pytest.approx(Trace_ELBO().loss(vae.model, vae.guide, x), rel=1e-6)


def test_the_guide_needs_x() -> None:
    with pytest.raises(ValueError, match="given x, and got no x"):
        small_vae().guide()


def test_programs_are_modules_and_leave_the_state_alone() -> None:
    vae = small_vae()
    assert isinstance(vae.model, nn.Module)
    keys = list(vae.state_dict())
    assert not [key for key in keys if "module" in key or "model" in key or "guide" in key]
    vae.model.eval()
    assert not vae.training

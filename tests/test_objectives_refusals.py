"""Pairs of programs that have no right answer are refused, and never scored wrongly."""

import contextlib
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import FIRST, data_for, randomized, small_vae
from pyro import poutine
from torch import Tensor

from pyrovae.objectives import ELBO, IWAE, analytic_kl, trace_terms

X = torch.tensor([0.5, -1.0, 2.0])


@pytest.mark.parametrize("posterior", FIRST[1])
@pytest.mark.parametrize("prior", ["GaussianMixture", "VampPrior"])
def test_analytic_kl_of_a_mixture_names_the_pair(prior: str, posterior: str) -> None:
    vae = small_vae(prior, posterior)
    objective = ELBO(kl="analytic")
    with pytest.raises(ValueError, match="kl='analytic'") as raised:
        objective.loss(vae.model, vae.guide, data_for(vae))
    names = {"MeanFieldNormal": "Independent(Normal)", "FullRankNormal": "MultivariateNormal"}
    diagonal = prior == "GaussianMixture" or posterior == "MeanFieldNormal"
    mixture = "DiagonalNormalMixture" if diagonal else "MixtureSameFamily"
    assert f"KL({names[posterior]} || {mixture})" in str(raised.value).replace("Expanded", "")
    assert "site 'z'" in str(raised.value)
    auto = ELBO()
    terms = auto.trace(vae.model, vae.guide, data_for(vae))
    assert auto.method(terms) == {"z": "sampled"}


@pytest.mark.parametrize("posterior", FIRST[1])
def test_auto_takes_the_closed_form(posterior: str) -> None:
    vae = small_vae("StandardNormal", posterior)
    terms = ELBO().trace(vae.model, vae.guide, data_for(vae))
    assert ELBO().method(terms) == {"z": "analytic"}
    assert ELBO(kl="sampled").method(terms) == {"z": "sampled"}
    assert IWAE().method(terms) == {"z": "sampled"}


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x / 2, 0.5))


def observing(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x / 2, 0.5))
        pyro.sample("label", dist.Normal(x, 1.0), obs=x)


def factoring(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x / 2, 0.5))
        pyro.factor("penalty", x, has_rsample=False)


def outside(x: Tensor) -> None:
    pyro.sample("z", dist.Normal(x / 2, 0.5).to_event(1))


def drawing_more(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x / 2, 0.5))
        pyro.sample("w", dist.Normal(x, 1.0))


def empty(x: Tensor) -> None:
    return None


def discrete(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Poisson(x.abs()))


def outer_model(x: Tensor) -> None:
    pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)


def global_model(x: Tensor) -> None:
    weight = pyro.sample("weight", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(weight, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def unscored(x: Tensor) -> None:
    model(x)
    pyro.sample("outside", dist.Normal(0.0, 1.0), obs=x[0])


@pytest.mark.parametrize("objective", [ELBO(), ELBO(particles=3), IWAE(particles=3)], ids=repr)
@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ((model, observing), "the guide observes site 'label'"),
        ((model, factoring), "the guide observes site 'penalty'"),
        ((outer_model, outside), "site 'z' stands outside the plate 'data'"),
        ((unscored, guide), "site 'outside' stands outside the plate 'data'"),
        ((global_model, guide), "does not draw the model's latent site 'weight'"),
        ((model, drawing_more), "the guide draws site 'w', which is not a latent site"),
        ((model, empty), "the guide does not draw the model's latent site 'z'"),
        ((model, discrete), "site 'z': .*Poisson.* has no reparameterised draw"),
    ],
)
def test_refused_pairs(programs: Any, said: str, objective: Any) -> None:
    for call in (objective.loss_and_grads, objective(*programs)):
        arguments = (*programs, X) if call == objective.loss_and_grads else (X,)
        with pytest.raises(ValueError, match=said):
            call(*arguments)


def test_a_discrete_guide_can_be_scored_without_a_gradient() -> None:
    terms = trace_terms(model, discrete, (X,), particles=2)
    assert terms.log_weight.shape == (2, 3)


def test_auxiliary_sites_are_allowed_in_the_guide() -> None:
    def auxiliary(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("a", dist.Normal(x, 1.0), infer={"is_auxiliary": True})
            pyro.sample("z", dist.Normal(x / 2, 0.5))

    terms = trace_terms(model, auxiliary, (X,), particles=2)
    site = terms.latent["a"]
    expected = dist.Normal(X, 1.0).log_prob(site.value)
    torch.testing.assert_close(site.log_q, expected)
    assert (site.log_p == 0).all()


def test_a_batch_that_no_plate_declares_is_refused() -> None:
    """A z without `.to_event(1)`, where latent and batch size agree: Pyro refuses it."""

    def square(x: Tensor) -> None:
        with pyro.plate("data", 3):
            z = pyro.sample("z", dist.Normal(torch.zeros(3, 3), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def square_guide(x: Tensor) -> None:
        with pyro.plate("data", 3):
            pyro.sample("z", dist.Normal(x, 1.0))

    with pytest.raises(ValueError, match="z"):
        pyro.infer.Trace_ELBO().loss(square, square_guide, torch.zeros(3, 3))
    with pytest.raises(ValueError, match="z"):
        ELBO().loss(square, square_guide, torch.zeros(3, 3))


def test_a_latent_outside_the_plate_in_the_model_only_is_refused() -> None:
    def leaking(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", 3):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    with pytest.raises(ValueError, match="site 'z' stands outside"):
        ELBO().loss(leaking, guide, X)


def test_a_data_plate_elsewhere_than_at_minus_one() -> None:
    """Scored as Pyro scores it, or refused; three times too large is neither."""

    def left(x: Tensor) -> None:
        with pyro.plate("data", 3, dim=-2):
            z = pyro.sample("z", dist.Normal(torch.zeros(3, 1), 1.0))
            with pyro.plate("pixels", 4, dim=-1):
                pyro.sample("x", dist.Normal(z.expand(3, 4), 1.0), obs=x)

    def left_guide(x: Tensor) -> None:
        with pyro.plate("data", 3, dim=-2):
            pyro.sample("z", dist.Normal(x.mean(-1, keepdim=True), 1.0))

    x = torch.ones(3, 4)
    torch.manual_seed(1)
    truth = pyro.infer.Trace_ELBO(max_plate_nesting=2).loss(left, left_guide, x)
    torch.manual_seed(1)
    with contextlib.suppress(ValueError):
        mine = ELBO(kl="sampled").loss(left, left_guide, x)
        assert mine == pytest.approx(truth, rel=1e-5)


def test_free_bits_respect_scale() -> None:
    """With a floor of almost nothing the bound is the one without a floor."""

    def scaled(x: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.scale(scale=2.0):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def scaled_guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.scale(scale=2.0):
            pyro.sample("z", dist.Normal(x, 0.5).to_event(1))

    x = torch.ones(3, 2)
    losses = []
    for floor in (0.0, 1e-9):
        torch.manual_seed(1)
        losses.append(ELBO(free_bits=floor).loss(scaled, scaled_guide, x))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_free_bits_respect_the_kl_policy() -> None:
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae)
    losses = []
    for kl, floor in [("sampled", 0.0), ("sampled", 1e-9), ("analytic", 1e-9)]:
        torch.manual_seed(4)  # at this seed the mean sampled KL of each dimension is positive
        losses.append(ELBO(kl=kl, free_bits=floor).loss(vae.model, vae.guide, x))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] != pytest.approx(losses[0], rel=1e-3)


def test_a_divergence_that_crashes_in_torch_is_none() -> None:
    """Beta || Uniform of other batch shapes: torch raises an IndexError of its own."""
    q = dist.Beta(torch.ones(3, 2), 2.0 * torch.ones(3, 2)).to_event(1)
    p = dist.Uniform(torch.zeros(2), torch.ones(2)).to_event(1)
    kl = analytic_kl(q, p)
    truth = 2 * (torch.tensor(2.0).log() - 0.5)
    assert kl is None or torch.allclose(kl, truth.expand(3))

"""Wasserstein and InfoVAE: what they are made of, which pairs they take, and what they say."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import data_for, randomized, small_vae
from pyro.infer import SVI
from torch import Tensor

import pyrovae
from pyrovae import priors
from pyrovae.distances import MMD, Energy, Sinkhorn, SlicedWasserstein
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, InfoVAE, Objective, Wasserstein, unit_of
from pyrovae.posteriors import Deterministic
from pyrovae.schedules import Ramp
from pyrovae.training.least_rows import enough

ALL = [Wasserstein(), InfoVAE(), InfoVAE(alpha=1.0)]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("particles", [1, 3])
def test_it_is_reconstruction_less_the_distance_of_the_draws(particles: int) -> None:
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae, 6)
    objective = Wasserstein(distance=Energy(), weight=3.0, particles=particles)
    torch.manual_seed(1)
    terms = objective.trace(vae.model, vae.guide, x)
    found = objective.measure(terms)
    torch.manual_seed(1)
    terms = objective.trace(vae.model, vae.guide, x)
    z = terms.latent["z"].value
    prior = torch.randn(z.shape)
    pairs = zip(z, prior, strict=True) if particles > 1 else [(z, prior)]
    distance = torch.stack([Energy()(a, b) for a, b in pairs]).mean()
    reconstruction = terms.log_likelihood.mean(0)
    torch.testing.assert_close(found.bound, reconstruction - 3.0 * distance)
    logged = found.logged
    assert set(logged) == {"loss", "reconstruction", "elbo", "kl", "distance", "weight"}
    torch.testing.assert_close(logged["distance"], distance)
    torch.testing.assert_close(logged["loss"], -found.bound.mean())
    torch.testing.assert_close(logged["elbo"], logged["reconstruction"] - logged["kl"])
    assert all(value.shape == () and not value.requires_grad for value in logged.values())
    assert all(unit_of(name) in ("", unit_of("loss"), unit_of("weight")) for name in logged)


def gradients(objective: Objective, vae: pyrovae.VAE, x: Tensor) -> list[Tensor]:
    torch.manual_seed(2)
    loss = objective(vae.model, vae.guide)(x)
    return [loss.detach(), *torch.autograd.grad(loss, list(vae.parameters()), allow_unused=True)]


@pytest.mark.usefixtures("float64")
def test_info_vae_has_the_others_at_its_ends() -> None:
    """And its weights are as stated in between."""
    vae = randomized(small_vae(priors.Normal(2)), spread=0.3)
    x = data_for(vae, 6)
    same = dict(rtol=1e-10, atol=1e-10)
    elbo, ours = (gradients(o, vae, x) for o in (ELBO(), InfoVAE(weight=1.0)))
    torch.testing.assert_close(ours, elbo, **same)
    other, ours = (
        gradients(o, vae, x) for o in (Wasserstein(weight=4.0), InfoVAE(alpha=1.0, weight=4.0))
    )
    torch.testing.assert_close(ours, other, **same)
    objective = InfoVAE(alpha=-0.5, weight=4.0, kl="sampled")
    torch.manual_seed(3)
    terms = objective.trace(vae.model, vae.guide, x)
    found = objective.measure(terms)
    kl = (terms.latent["z"].log_q - terms.latent["z"].log_p).mean(0)
    truth = terms.log_likelihood.mean(0) - 1.5 * kl - 2.5 * found.logged["distance"]
    torch.testing.assert_close(found.bound, truth)


@pytest.mark.parametrize(
    "objective",
    [
        Wasserstein(weight=Ramp(0.0, 2.0, steps=4)),
        InfoVAE(alpha=0.5, weight=Ramp(0.5, 2.0, steps=4)),
    ],
    ids=repr,
)
def test_a_weight_may_follow_a_schedule(objective: Objective) -> None:
    vae = small_vae()
    module = objective(vae.model, vae.guide)
    module.step.fill_(2)
    module(data_for(vae))
    assert module.logged["weight"].item() == pytest.approx(1.0, abs=0.26)
    final = objective.measure(module.trace(data_for(vae)))
    assert final.logged["weight"].item() == 2.0


@pytest.mark.parametrize("objective", ALL, ids=repr)
def test_a_learned_prior_gets_its_gradient(objective: Objective) -> None:
    for prior in (priors.Normal(2), priors.FlowPrior(2, kind="coupling", layers=1, hidden=(4,))):
        vae = randomized(small_vae(prior), spread=0.3)
        objective(vae.model, vae.guide)(data_for(vae)).backward()
        for name, parameter in vae.prior.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0.0, name


def test_of_a_point_there_is_no_kl() -> None:
    vae = small_vae(posterior=Deterministic())
    for objective in (Wasserstein(particles=2), InfoVAE(alpha=1.0)):
        module = objective(vae.model, vae.guide)
        module(data_for(vae)).backward()
        assert set(module.logged) == {"loss", "reconstruction", "distance", "weight"}
        assert objective.method(module.trace(data_for(vae))) == {}
    with pytest.raises(ValueError, match="no density"):
        InfoVAE(alpha=0.9)(vae.model, vae.guide)(data_for(vae))


@pytest.mark.parametrize("distance", [MMD(), Energy(), SlicedWasserstein(), Sinkhorn()], ids=repr)
def test_fit_brings_points_to_the_prior(distance: Any) -> None:
    """The encoder starts far off, and its draws come to have the prior's moments."""
    torch.manual_seed(4)
    vae = small_vae(posterior=Deterministic(), encoder=MLP(()), decoder=MLP(()))
    with torch.no_grad():
        for parameter in vae.encoder_network.parameters():
            parameter.add_(1.0)
    x = (torch.rand(64, 1, 4, 3) < 0.5).float()
    before = vae.encode(x).mean.square().mean()
    history = pyrovae.fit(
        vae, x, objective=Wasserstein(distance=distance, weight=100.0), epochs=40, batch_size=64,
        optimizer=lambda p: torch.optim.Adam(p, lr=0.1), seed=0, progress=False,
    )  # fmt: skip
    z = vae.encode(x).mean
    assert before > 5.0
    assert history["train/distance"][-1] < 0.2 * history["train/distance"][0]
    assert z.square().mean() < 0.4 * before
    assert "train/kl" not in history.records[0]


def test_plain_svi_takes_it() -> None:
    vae = small_vae(posterior=Deterministic())
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 0.01}), Wasserstein())
    x = data_for(vae)
    assert all(isinstance(svi.step(x), float) for _ in range(2))


# -------------------------------------------------------------------------------------- refusals


def two_sites(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        top = pyro.sample("top", dist.Normal(0.0, 1.0))
        z = pyro.sample("z", dist.Normal(top, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def guide_of_two(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("top", dist.Normal(x, 1.0))
        pyro.sample("z", dist.Normal(x, 1.0))


def masked(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        with pyro.poutine.mask(mask=x > 0.0):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def one_site(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def guide_of_one(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x, 1.0))


@pytest.mark.parametrize("objective", ALL, ids=repr)
def test_what_has_no_distance_is_refused_with_the_reason(objective: Objective) -> None:
    x = torch.tensor([0.3, -0.2, 0.5])
    assert objective(one_site, guide_of_one)(x).isfinite()
    with pytest.raises(ValueError, match="one latent site; got 'top', 'z'"):
        objective(two_sites, guide_of_two)(x)
    with pytest.raises(ValueError, match="site 'z' is masked"):
        objective(masked, guide_of_one)(x)
    vae = small_vae(posterior="Categorical enumerated")
    with pytest.raises(ValueError, match=r"site 'z' is discrete: .*such as RelaxedCategorical"):
        objective(vae.model, vae.guide)(data_for(vae))
    with pytest.raises(ValueError, match="site 'z' is discrete"):  # before the first step
        pyrovae.fit(vae, data_for(vae, 20), objective=objective, progress=False, batch_size=10)


def test_too_few_rows_are_said_before_the_first_step() -> None:
    vae = small_vae()
    with pytest.raises(ValueError, match=r"2 rows of every batch, .*batch_size=4.*such as 3"):
        pyrovae.fit(vae, data_for(vae, 21), objective=Wasserstein(), batch_size=4, progress=False)
    with pytest.raises(ValueError, match="1 validation data"):
        pyrovae.fit(
            vae, data_for(vae, 20), valid=data_for(vae, 1), objective=InfoVAE(), batch_size=4,
            progress=False,
        )  # fmt: skip
    sliced = Wasserstein(distance=SlicedWasserstein())  # which needs but one
    pyrovae.fit(vae, data_for(vae, 5), objective=sliced, batch_size=2, epochs=1, progress=False)
    with pytest.raises(ValueError, match="at least 2 draws"):
        Wasserstein()(vae.model, vae.guide)(data_for(vae, 1))


@pytest.mark.parametrize(
    ("rows", "least", "parts", "gather", "expected"),
    [
        (1, 2, 1, False, False),
        (2, 2, 1, False, True),
        (1, 1, 2, False, True),  # the second process has no rows, and nothing to do
        (1, 2, 2, False, False),
        (3, 2, 2, False, False),
        (4, 2, 2, False, True),
        (1, 1, 2, True, False),  # it would wait for the second for ever
        (2, 2, 2, True, True),
        (2, 3, 2, True, False),
        (0, 2, 2, True, True),
    ],
)
def test_shares_that_are_large_enough(
    rows: int, least: int, parts: int, gather: bool, expected: bool
) -> None:
    assert enough(rows, least, parts, gather=gather) == expected


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Wasserstein(weight=-1.0), ValueError),
        (lambda: Wasserstein(weight=Ramp(-1.0, 1.0)), ValueError),
        (lambda: Wasserstein(weight=float("nan")), ValueError),
        (lambda: Wasserstein(distance="MMD"), TypeError),
        (lambda: Wasserstein(distance=MMD), TypeError),
        (lambda: Wasserstein(gather=1), TypeError),
        (lambda: Wasserstein(particles=0), ValueError),
        (lambda: InfoVAE(alpha=1.5), ValueError),
        (lambda: InfoVAE(alpha=float("nan")), ValueError),
        (lambda: InfoVAE(weight=0.5), ValueError),
        (lambda: InfoVAE(alpha=-2.0, weight=Ramp(1.0, 5.0)), ValueError),
        (lambda: InfoVAE(kl="exact"), ValueError),
        (lambda: InfoVAE(distance=None), TypeError),
    ],
)
def test_bad_settings(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="expects"):
        call()


def test_it_is_printed_with_its_formula() -> None:
    assert str(Wasserstein()) == (
        "Wasserstein() raises E_q[log p(x|z)] - weight D(q(z), p(z)), in nats per datum"
    )
    assert "(alpha + weight - 1) D(q(z), p(z))" in str(InfoVAE())

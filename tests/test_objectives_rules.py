"""What the bounds weigh, log and take for settings, against formulas written out here."""

import copy
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import OBJECTIVES, data_for, randomized, small_vae
from pyro.infer import SVI
from torch import Tensor

from pyrovae.objectives import ELBO, IWAE, Objective
from pyrovae.schedules import Ramp, Schedule

# --------------------------------------------------------------------- beta, schedules, free bits


def pieces(vae: Any, x: Tensor, seed: int = 1) -> tuple[Tensor, Tensor]:
    """log p(x | z) and KL per dimension, by torch's distributions from encode and decode."""
    q = vae.encode(x).base_dist
    torch.manual_seed(seed)
    z = q.rsample()
    prior = torch.distributions.Normal(torch.zeros(2), torch.ones(2))
    kl = torch.distributions.kl_divergence(torch.distributions.Normal(q.loc, q.scale), prior)
    return vae.decode(z).log_prob(x), kl


def loss_of(objective: Any, vae: Any, x: Tensor, seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    return objective.differentiable_loss(vae.model, vae.guide, x)


@pytest.mark.parametrize("beta", [0, 0.0, 1, 3.0])
def test_beta_weighs_the_kl(beta: float, float64: torch.dtype) -> None:
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae)
    log_likelihood, kl = pieces(vae, x)
    truth = -(log_likelihood - beta * kl.sum(-1)).sum()
    loss = loss_of(ELBO(beta=beta), vae, x)
    torch.testing.assert_close(loss, truth, rtol=1e-12, atol=1e-12)
    parameters = list(vae.parameters())
    for a, b in zip(*(torch.autograd.grad(v, parameters) for v in (loss, truth)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("floor", [1e-6, 0.05, 3.0])
def test_free_bits_floor_each_dimension_of_the_batch_mean(
    floor: float, float64: torch.dtype
) -> None:
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae)
    log_likelihood, kl = pieces(vae, x)
    floored = torch.stack([kl[:, j].mean().clamp(min=floor) for j in range(2)]).sum()
    truth = -(log_likelihood.sum() - 2.0 * len(x) * floored)
    loss = loss_of(ELBO(beta=2.0, free_bits=floor), vae, x)
    torch.testing.assert_close(loss, truth, rtol=1e-12, atol=1e-12)


def test_free_bits_are_refused_where_the_kl_does_not_split() -> None:
    for prior, posterior in [
        ("GaussianMixture", "MeanFieldNormal"),
        ("StandardNormal", "FullRankNormal"),
    ]:
        vae = small_vae(prior, posterior)
        with pytest.raises(
            ValueError, match=r"free_bits .* site 'z' .* MeanFieldNormal with Stand"
        ):
            loss_of(ELBO(free_bits=0.1), vae, data_for(vae))


def test_schedule_under_svi_counts_steps(float64: torch.dtype) -> None:
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae)
    objective = ELBO(beta=Ramp(0.0, 2.0, steps=4))
    svi = SVI(vae.model, vae.guide, pyro.optim.SGD({"lr": 0.0}), objective)
    other = ELBO(beta=Ramp(0.0, 2.0, steps=4))
    log_likelihood, kl = (term.detach() for term in pieces(vae, x))
    for step in range(6):
        beta = 2.0 * min(1.0, step / 4)
        truth = -(log_likelihood - beta * kl.sum(-1)).sum().item()
        torch.manual_seed(1)
        assert svi.evaluate_loss(x) == pytest.approx(truth, rel=1e-12)  # looks, does not count
        torch.manual_seed(1)
        assert svi.step(x) == pytest.approx(truth, rel=1e-12)
    zero = loss_of(other, vae, x)  # another instance has not moved
    assert zero.item() == pytest.approx(-log_likelihood.sum().item(), rel=1e-12)


def test_schedule_in_a_module_follows_the_buffer(float64: torch.dtype) -> None:
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae)
    objective = ELBO(beta=Ramp(0.0, 2.0, steps=4))
    module = objective(vae.model, vae.guide)
    log_likelihood, kl = pieces(vae, x)
    for step in (0, 3, 1, 100):
        module.step.fill_(step)
        beta = 2.0 * min(1.0, step / 4)
        for _ in range(2):  # a call moves nothing
            torch.manual_seed(1)
            truth = -(log_likelihood - beta * kl.sum(-1)).sum()
            torch.testing.assert_close(module(x), truth, rtol=1e-12, atol=1e-12)
        assert module.logged["beta"].item() == beta
    assert module.step.item() == 100
    final = objective.measure(objective.trace(vae.model, vae.guide, x))
    assert final.logged["beta"].item() == 2.0  # what validation reads


def test_logged_values(float64: torch.dtype) -> None:
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae)
    log_likelihood, kl = (term.detach().mean(0).sum() for term in pieces(vae, x))
    module = ELBO(beta=3.0)(vae.model, vae.guide)
    torch.manual_seed(1)
    loss = module(x)
    truth = {
        "loss": 3.0 * kl - log_likelihood,
        "elbo": log_likelihood - kl,
        "reconstruction": log_likelihood,
        "kl": kl,
        "beta": torch.tensor(3.0),
    }
    assert set(module.logged) == set(truth)
    for name, value in truth.items():
        torch.testing.assert_close(module.logged[name], value, msg=name)
        assert not module.logged[name].requires_grad
    torch.testing.assert_close(loss, len(x) * truth["loss"])
    module = IWAE(particles=6)(vae.model, vae.guide)
    torch.manual_seed(1)
    loss = module(x)
    logged = module.logged
    torch.testing.assert_close(loss, -len(x) * logged["iwae"])
    torch.testing.assert_close(logged["elbo"], logged["reconstruction"] - logged["kl"])
    assert logged["elbo"] < logged["iwae"]


def test_every_objective_is_a_sum_over_the_batch() -> None:
    vae = small_vae()
    for case in OBJECTIVES.values():
        objective = case.make()
        terms = objective.trace(vae.model, vae.guide, data_for(vae, 7))
        assert terms.log_weight.shape == (objective.draws, 7)
        assert objective(vae.model, vae.guide).read(terms).bound.shape == (7,)
        assert isinstance(objective.loss(vae.model, vae.guide, data_for(vae)), float)


# ----------------------------------------------------------------------------- closed-form truth


def conjugate(m: float, s: float, mu: float, t: float) -> tuple[Any, Any]:
    """Programs with posterior N(m, s^2) at x = 0 and guide N(mu, t^2); evidence N(0; a, b^2)."""
    noise = 1.0 / (1.0 / s**2 - 1.0) ** 0.5  # prior variance 1

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z - m / s**2 * noise**2, noise), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.tensor(mu), t).expand([len(x)]))

    return model, guide


def test_iwae_gap(float64: torch.dtype) -> None:
    """Literature 3.2 no. 4; one-dimensional, gap by quadrature where no closed form exists.

    20,000 independent data; each check at 5 standard errors, false alarm 6e-7.
    """
    m, s, mu, t = 0.3, 0.7, 0.1, 0.9
    model, guide = conjugate(m, s, mu, t)
    noise = 1.0 / (1.0 / s**2 - 1.0) ** 0.5
    evidence = dist.Normal(-m / s**2 * noise**2, (1.0 + noise**2) ** 0.5).log_prob(
        torch.tensor(0.0)
    )
    x = torch.zeros(20000)

    def gap(objective: Objective) -> tuple[float, float]:
        bound = objective.measure(objective.trace(model, guide, x)).bound
        return (evidence - bound.mean()).item(), (bound.std() / len(x) ** 0.5).item()

    mean, error = gap(ELBO(kl="sampled"))
    assert abs(mean - 0.1160325) < 5 * error
    generator = torch.Generator().manual_seed(9)  # the ratio p(z|x)/q, drawn without our code
    z = mu + t * torch.randn(400000, 5, generator=generator)
    p, q = torch.distributions.Normal(m, s), torch.distributions.Normal(mu, t)
    truth = -(p.log_prob(z) - q.log_prob(z)).exp().mean(-1).log()
    true_error = (truth.std() / 400000**0.5).item()
    assert truth.mean().item() == pytest.approx(0.0138, abs=0.001)
    mean, error = gap(IWAE(particles=5))
    assert abs(mean - truth.mean().item()) < 5 * (error**2 + true_error**2) ** 0.5
    mean, error = gap(IWAE(particles=50))
    assert abs(mean - 0.1277713 / 100) < 5 * error + 1e-4  # leading order, next is O(1/K^2)


def test_exact_guide_has_no_gap_at_all(float64: torch.dtype) -> None:
    model, guide = conjugate(0.3, 0.7, 0.3, 0.7)
    for objective in (ELBO(kl="sampled"), IWAE(particles=3)):
        bound = objective.measure(objective.trace(model, guide, torch.zeros(9))).bound
        torch.testing.assert_close(bound, bound[0].expand(9), rtol=1e-12, atol=1e-12)


# -------------------------------------------------------------------------- settings and refusals


def test_objectives_are_immutable() -> None:
    for case in OBJECTIVES.values():
        objective = case.make()
        for name in ("particles", "num_particles", *(["beta", "kl"] * isinstance(objective, ELBO))):
            with pytest.raises(AttributeError, match=f"immutable: make a new one with {name}="):
                setattr(objective, name, 7)
        assert repr(copy.deepcopy(objective)) == repr(objective)


class Falling(Schedule):
    def __call__(self, step: Tensor) -> Tensor:
        return 1.0 / (1.0 + step)

    @property
    def final(self) -> float:
        return 0.0


def test_a_schedule_of_ones_own() -> None:
    vae = small_vae()
    module = ELBO(beta=Falling())(vae.model, vae.guide)
    module.step.fill_(3)
    module(data_for(vae))
    assert module.logged["beta"].item() == 0.25


@pytest.mark.parametrize(
    "call",
    [
        lambda: ELBO(beta=-1.0),
        lambda: ELBO(beta=float("nan")),
        lambda: ELBO(beta="1"),
        lambda: ELBO(beta=Ramp(-1.0, 1.0)),
        lambda: ELBO(beta=Ramp(1.0, -1.0)),
        lambda: ELBO(kl="exact"),
        lambda: ELBO(kl=None),
        lambda: ELBO(particles=0),
        lambda: ELBO(particles=True),
        lambda: ELBO(particles=2.0),
        lambda: ELBO(free_bits=-0.1),
        lambda: ELBO(free_bits=True),
        lambda: ELBO(free_bits=float("inf")),
        lambda: IWAE(particles=0),
        lambda: IWAE(particles=None),
    ],
)
def test_bad_settings(call: Any) -> None:
    with pytest.raises(ValueError, match="expects"):
        call()

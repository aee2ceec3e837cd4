"""Every bound stands where theory has it: linear-Gaussian models, where all of them are known.

Statistical checks allow five standard errors, a false alarm of 6e-7 each.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import data_for, randomized, small_vae
from pyro.infer import SVI, RenyiELBO
from torch import Tensor, nn

import pyrovae
from pyrovae.evaluation import evaluate
from pyrovae.objectives import (
    CUBO,
    ELBO,
    IWAE,
    QUANTITIES,
    Capacity,
    MultiplyIWAE,
    Objective,
    Renyi,
    Terms,
    trace_terms,
)
from pyrovae.objectives.importance import power_mean
from pyrovae.schedules import Ramp

pytestmark = pytest.mark.usefixtures("float64")

# ------------------------------------------------------ x = W z + s e, a guide off its posterior

W = torch.tensor([[1.0, 0.4], [-0.3, 0.8], [0.5, 0.5]], dtype=torch.float64)
NOISE = 0.9
DATUM = torch.tensor([0.7, -0.4, 1.1], dtype=torch.float64)
LOC = torch.tensor([0.55, 0.1], dtype=torch.float64)
SCALE = torch.tensor([0.8, 0.75], dtype=torch.float64)


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z @ W.T, NOISE).to_event(1), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(LOC.expand(len(x), 2), SCALE).to_event(1))


def evidence() -> float:
    """The exact log p(x) of the datum, N(0, W W^T + s^2 I)."""
    covariance = W @ W.T + NOISE**2 * torch.eye(3)
    law = torch.distributions.MultivariateNormal(torch.zeros(3), covariance)
    return law.log_prob(DATUM).item()


def posterior() -> tuple[Tensor, Tensor]:
    """The mean and the precision of p(z | x)."""
    precision = torch.eye(2) + W.T @ W / NOISE**2
    return torch.linalg.solve(precision, W.T @ DATUM / NOISE**2), precision


def log_moment(power: float, m: Tensor, p: Tensor, mu: Tensor, q: Tensor) -> float:
    """log E_q[(p / q)^power] of the normals with means m, mu and precisions p, q."""
    s, t = power, 1.0 - power
    total = s * p + t * q
    assert (torch.linalg.eigvalsh(total) > 0).all(), "the moment is infinite"
    both = s * p @ m + t * q @ mu
    square = s * m @ p @ m + t * mu @ q @ mu - both @ torch.linalg.solve(total, both)
    logs = s * p.logdet() + t * q.logdet() - total.logdet()
    return (0.5 * (logs - square)).item()


def moment(power: float) -> float:
    """log E_q[w^power], w = p(x, z) / q(z | x), in closed form."""
    m, precision = posterior()
    return power * evidence() + log_moment(power, m, precision, LOC, (SCALE**-2).diag())


def record(particles: int, rows: int, seed: int = 4) -> Terms:
    torch.manual_seed(seed)
    with torch.no_grad():
        return trace_terms(model, guide, (DATUM.expand(rows, 3),), particles=particles)


def bounds(objective: Objective, rows: int, seed: int = 4) -> Tensor:
    """Independent values of a bound, by the objective's own trace."""
    torch.manual_seed(seed)
    with torch.no_grad():
        terms = objective.trace(model, guide, DATUM.expand(rows, 3))
        return objective.measure(terms).bound


def mean_of(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def test_the_closed_form_gives_the_worked_numbers() -> None:
    """p = N(0.3, 0.7^2), q = N(0.1, 0.9^2): chi2 + 1 = 1.1277713."""
    one = torch.ones(1)
    case = 0.3 * one, one.diag() / 0.49, 0.1 * one, one.diag() / 0.81
    assert math.exp(log_moment(2.0, *case)) == pytest.approx(1.1277713, abs=1e-7)
    assert log_moment(1.0, *case) == pytest.approx(0.0, abs=1e-12)
    slope = (log_moment(1e-5, *case) - log_moment(-1e-5, *case)) / 2e-5
    assert slope == pytest.approx(-0.1160325, abs=1e-6)  # minus the KL of q from p


# ------------------------------------------------------------------------------- the proven order


def test_bounds_of_the_same_draws_stand_in_order() -> None:
    """Means of growing powers grow: not in expectation only, but draw by draw."""
    terms = record(20, 50)
    rising = [
        Renyi(alpha=1e6),
        Renyi(alpha=4.0),
        Renyi(alpha=1.5),
        ELBO(kl="sampled"),
        MultiplyIWAE(particles=2, groups=10),
        IWAE(),
        Renyi(alpha=-0.5),
        CUBO(order=2.0),
        CUBO(order=5.0),
        Renyi(alpha=-1e6),
    ]
    values = [objective.measure(terms).bound for objective in rising]
    for lower, upper in pairwise(values):
        assert (lower < upper).all()
    weights = terms.log_weight
    torch.testing.assert_close(values[0], weights.amin(-2), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(values[-1], weights.amax(-2), rtol=0.0, atol=1e-5)
    between = [Renyi(alpha=alpha).measure(terms).bound for alpha in (0.9, 0.5, 0.1)]
    for lower, upper in zip([values[3], *between], [*between, values[5]], strict=True):
        assert (lower < upper).all()


def test_orders_that_have_names_are_these() -> None:
    terms = record(20, 50)

    def of(objective: Objective) -> Tensor:
        return objective.measure(terms).bound

    exactly = {"rtol": 1e-13, "atol": 1e-13}
    torch.testing.assert_close(of(Renyi(alpha=0.0)), of(IWAE()), **exactly)
    torch.testing.assert_close(of(Renyi(alpha=1.0)), of(ELBO(kl="sampled")), **exactly)
    torch.testing.assert_close(of(CUBO(order=1.0)), of(IWAE()), **exactly)
    torch.testing.assert_close(of(Renyi(alpha=-1.0)), of(CUBO(order=2.0)), **exactly)
    torch.testing.assert_close(of(MultiplyIWAE(particles=20, groups=1)), of(IWAE()), **exactly)
    one = MultiplyIWAE(particles=1, groups=20)
    torch.testing.assert_close(of(one), of(ELBO(kl="sampled")), **exactly)


def test_groups_are_disjoint_and_cover_all_draws() -> None:
    terms = record(6, 4)
    weights = terms.log_weight.exp()
    truth = torch.stack([weights[[0, 3]], weights[[1, 4]], weights[[2, 5]]]).mean(1).log().mean(0)
    found = MultiplyIWAE(particles=2, groups=3).measure(terms).bound
    torch.testing.assert_close(found, truth, rtol=1e-13, atol=0.0)
    with pytest.raises(ValueError, match="a multiple of groups=4 draws; got one of 6"):
        MultiplyIWAE(groups=4).measure(terms)


def test_the_importance_weighted_bound_rises_to_the_evidence() -> None:
    """By chi2 / (2K), to second order, with the average weight less one as a control variate."""
    mu2 = math.exp(moment(2.0) - 2 * evidence()) - 1.0
    mu3 = math.exp(moment(3.0) - 3 * evidence()) - 3.0 * mu2 - 1.0
    rows = 4000
    last = -math.inf
    for particles in (1, 4, 32, 96):
        ratio = bounds(IWAE(particles=particles), rows) - evidence()
        mean, error = mean_of(ratio - ratio.exp() + 1.0)
        assert last < mean < 0.0
        last = mean + 5 * error
        if particles >= 32:
            second = 0.75 * mu2**2 - mu3 / 3.0
            truth = mu2 + 2 * second / particles
            assert -mean * 2 * particles == pytest.approx(truth, abs=10 * error * particles)
            assert 2 * particles * error < 0.05 * mu2, "the check has no power"
    kl = -mean_of(bounds(ELBO(kl="sampled"), rows))[0] + evidence()
    m, precision = posterior()
    truth = torch.distributions.kl_divergence(
        torch.distributions.MultivariateNormal(LOC, scale_tril=SCALE.diag()),
        torch.distributions.MultivariateNormal(m, precision_matrix=precision),
    )
    assert kl == pytest.approx(truth.item(), rel=0.1)


def test_the_mean_of_groups_has_the_expectation_of_one_group() -> None:
    several = mean_of(bounds(MultiplyIWAE(particles=3, groups=7), 5000))
    one = mean_of(bounds(IWAE(particles=3), 15000, seed=5))
    assert abs(several[0] - one[0]) < 5 * math.hypot(several[1], one[1])
    assert several[1] < mean_of(bounds(IWAE(particles=3), 5000))[1] / 2


@pytest.mark.parametrize("alpha", [-1.0, -0.5, 0.0, 0.5, 0.9, 1.5])
def test_the_bound_of_each_order_has_its_closed_form(alpha: float) -> None:
    """exp((1 - alpha) L) is estimated without bias; the bound itself is met by many draws."""
    power, truth = 1.0 - alpha, moment(1.0 - alpha)
    mean, error = mean_of((power * bounds(Renyi(alpha=alpha, particles=5), 8000) - truth).exp())
    assert abs(mean - 1.0) < 5 * error
    assert error < 0.05, "the check has no power"
    mean, error = mean_of(bounds(Renyi(alpha=alpha, particles=5000), 60))
    assert mean == pytest.approx(truth / power, abs=5 * error + 2e-3)
    assert (truth / power > evidence()) == (alpha < 0.0) or alpha == 0.0


@pytest.mark.parametrize("order", [1.0, 2.0, 2.5])
def test_the_chi_bound_is_estimated_without_bias_inside_the_logarithm(order: float) -> None:
    values = bounds(CUBO(order=order, particles=5), 8000)
    mean, error = mean_of((order * values - moment(order)).exp())
    assert abs(mean - 1.0) < 5 * error
    assert error < 0.05, "the check has no power"
    assert moment(order) / order >= evidence() - 1e-12
    assert values.mean().item() < moment(order) / order  # itself it is estimated from below


def test_evaluation_reports_the_chi_bound() -> None:
    x = DATUM.expand(100, 3)
    result = evaluate((model, guide), x, samples=400, seed=3)
    assert result.elbo < result.log_prob < evidence() + 0.02
    assert result.log_prob < result.cubo
    assert result.cubo == pytest.approx(moment(2.0) / 2, abs=0.03)
    assert result.to_dict()["cubo"] == result.cubo
    assert "CUBO" in str(result)
    single = evaluate((model, guide), x, samples=1)
    assert single.elbo == single.log_prob == single.cubo


def exact_guide(x: Tensor) -> None:
    m, precision = posterior()
    q = dist.MultivariateNormal(m.expand(len(x), 2), precision_matrix=precision)
    with pyro.plate("data", len(x)):
        pyro.sample("z", q)


@pytest.mark.parametrize(
    "objective",
    [Renyi(), Renyi(alpha=-3.0), Renyi(alpha=2.0), MultiplyIWAE(), CUBO()],
    ids=repr,
)
def test_at_the_exact_posterior_every_bound_is_the_evidence(objective: Objective) -> None:
    bound = objective.measure(objective.trace(model, exact_guide, DATUM.expand(3, 3))).bound
    torch.testing.assert_close(bound, torch.full((3,), evidence()), rtol=1e-12, atol=1e-12)
    result = evaluate((model, exact_guide), DATUM.expand(3, 3), samples=10)
    assert result.cubo == pytest.approx(evidence(), abs=1e-10)


# ------------------------------------------------------------------------------------- power means


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("power", [1e-9, 1e-5, 0.009, 0.011, 1.0, -1e-9, -1e-4, -0.011, -2.0])
def test_power_means_keep_their_digits(power: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(2)
    log_weight = 3.0 * torch.randn(50, 8, generator=generator, dtype=dtype) - 500.0
    given = log_weight.numpy().astype(np.longdouble)
    centre = given.mean(0)  # so that the logarithm is of something near one
    inner = np.expm1(power * (given - centre)).mean(0)
    truth = (centre + np.log1p(inner) / np.longdouble(power)).astype(float)
    rounding = 500.0 * torch.finfo(dtype).eps * (4.0 if abs(power) >= 1 else 100.0)
    found = power_mean(log_weight, power).double()
    torch.testing.assert_close(found, torch.from_numpy(truth), rtol=0.0, atol=rounding)
    assert power_mean(log_weight, power, keepdim=True).shape == (1, 8)


@pytest.mark.parametrize("power", [-1e6, -1.5, -1e-3, 0.0, 1e-3, 1.5, 1e6])
def test_power_means_have_the_gradient_of_their_value(power: float) -> None:
    """The shares w^s / sum w^s, also where weights are 1000 nats apart."""
    log_weight = torch.tensor([[0.3, -400.0], [0.1, 600.0], [-1.0, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(power_mean(log_weight, power).sum(), log_weight)
    truth = (power * log_weight).softmax(0).detach()
    torch.testing.assert_close(gradient, truth, rtol=1e-9, atol=1e-12)


def test_weights_of_zero_are_no_nan() -> None:
    none, some = torch.full((4, 1), -math.inf), torch.zeros(4, 1)
    some[0] = -math.inf
    for power in (-2.0, -1e-3, 0.0, 1e-3, 1.0, 2.0):
        assert power_mean(none, power).item() == -math.inf
        expected = math.log(0.75) / power if power > 0 else -math.inf
        assert power_mean(some, power).item() == pytest.approx(expected)


# -------------------------------------------------------------------------------- against Pyro's


@pytest.mark.parametrize("alpha", [-1.0, 0.5, 2.5])
@pytest.mark.parametrize(("prior", "q"), [("StandardNormal", "MeanFieldNormal"),
                                          ("GaussianMixture", "FullRankNormal")])  # fmt: skip
def test_renyi_as_in_pyro(alpha: float, prior: str, q: str) -> None:
    vae = randomized(small_vae(prior, q), spread=0.2)
    x = data_for(vae)
    parameters = dict(vae.named_parameters())
    torch.manual_seed(1)
    loss = Renyi(alpha=alpha, particles=4).differentiable_loss(vae.model, vae.guide, x)
    mine = torch.autograd.grad(loss, list(parameters.values()))
    theirs = RenyiELBO(alpha=alpha, num_particles=4, vectorize_particles=True, max_plate_nesting=1)
    torch.manual_seed(1)
    value = theirs.loss_and_grads(vae.model, vae.guide, x)
    assert loss.item() == pytest.approx(value, rel=1e-12)
    for (name, parameter), gradient in zip(parameters.items(), mine, strict=True):
        torch.testing.assert_close(
            gradient, parameter.grad, rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}"
        )
    assert sum(bool(gradient.abs().max() > 0) for gradient in mine) > 2


# ------------------------------------------------------------------- enumerated sites, brute force


MEANS = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.5, 2.0]], dtype=torch.float64)
SHARES = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
LOGITS = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
POINTS = torch.tensor([[0.3, -1.2], [0.5, 0.1], [2.0, -0.4], [-1.0, 0.7]], dtype=torch.float64)


def coded_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        y = pyro.sample("y", dist.Categorical(SHARES))
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z + MEANS[y], 0.5).to_event(1), obs=x)


def coded_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        q = dist.Categorical(logits=LOGITS.expand(len(x), 3))
        y = pyro.sample("y", q, infer={"enumerate": "parallel"})
        pyro.sample("z", dist.Normal(0.6 * (x - MEANS[y]), 0.6).to_event(1))


def test_what_is_enumerated_is_averaged_outside_or_summed_inside() -> None:
    def found(objective: Objective) -> Tensor:
        torch.manual_seed(2)
        return objective.measure(objective.trace(coded_model, coded_guide, POINTS)).bound

    torch.manual_seed(2)
    terms = trace_terms(coded_model, coded_guide, (POINTS,), particles=6)
    z = terms.latent["z"].value  # [3, 6, 4, 2]
    means = MEANS[:, None, None]
    q = torch.distributions.Normal(0.6 * (POINTS - means), 0.6)
    log_weight = torch.distributions.Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)
    log_weight = log_weight + torch.distributions.Normal(z + means, 0.5).log_prob(POINTS)
    log_q = LOGITS.log_softmax(-1)
    weight = (log_weight.sum(-1) + (SHARES.log() - log_q)[:, None, None]).exp()
    mass = log_q.exp()[:, None]
    close = {"rtol": 1e-12, "atol": 1e-12}
    truth = (mass * (weight**0.3).mean(1).log() / 0.3).sum(0)
    torch.testing.assert_close(found(Renyi(alpha=0.7, particles=6)), truth, **close)
    truth = (mass * weight.reshape(3, 3, 2, 4).mean(1).log().mean(1)).sum(0)
    torch.testing.assert_close(found(MultiplyIWAE(particles=3, groups=2)), truth, **close)
    truth = (mass[..., None, :] * weight).sum(0).pow(2).mean(0).log() / 2
    torch.testing.assert_close(found(CUBO(particles=6)), truth, **close)


def test_where_all_is_enumerated_draws_are_one() -> None:
    def codes(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", dist.Categorical(SHARES))
            pyro.sample("x", dist.Normal(MEANS[y], 0.5).to_event(1), obs=x)

    def guess(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            q = dist.Categorical(logits=x @ MEANS.T)
            pyro.sample("y", q, infer={"enumerate": "parallel"})

    elbo = ELBO().loss(codes, guess, POINTS)
    for objective in (Renyi(alpha=3.0), MultiplyIWAE()):  # the mean is outside of the logarithm
        assert objective.loss(codes, guess, POINTS) == pytest.approx(elbo, rel=1e-12)
    joint = torch.distributions.Normal(MEANS[:, None], 0.5).log_prob(POINTS).sum(-1)
    exact = (joint + SHARES.log()[:, None]).logsumexp(0).sum().item()
    assert CUBO().loss(codes, guess, POINTS) == pytest.approx(-exact, rel=1e-12)


# --------------------------------------------------------------------------- refusals and settings


class Trained(nn.Module):
    """A model that can be trained by what trains models."""

    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> None:
        pyro.module("trained", self)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(self.loc, 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ W.T, NOISE).to_event(1), obs=x)


class Guide(nn.Module):
    def forward(self, x: Tensor) -> None:
        guide(x)


def test_no_model_is_trained_by_an_upper_bound() -> None:
    x = DATUM.expand(4, 3)
    pair = Trained(), Guide()
    objective = CUBO(particles=6)
    said = "CUBO is an upper bound on log p.x., to report: .* train with ELBO"
    svi = SVI(*pair, pyro.optim.Adam({}), objective)
    loss = objective(*pair)
    calls = [
        lambda: svi.step(x),
        lambda: loss(x),
        lambda: objective.differentiable_loss(*pair, x),
        lambda: pyrovae.fit(pair, x, objective=objective, progress=False),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=said):
            call()
    values = []
    for look in (lambda: svi.evaluate_loss(x), lambda: objective.loss(*pair, x)):
        torch.manual_seed(3)
        values.append(look())
    torch.manual_seed(3)
    with torch.no_grad():
        values.append(loss(x).item())
    torch.manual_seed(3)
    values.append(-loss.measure(x).bound.sum().item())  # also where gradients are not switched off
    assert values == pytest.approx([values[0]] * 4, rel=1e-12)
    assert loss.logged["cubo"].item() == pytest.approx(-values[0] / 4, rel=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        *(lambda v=v: Renyi(alpha=v) for v in (math.inf, -math.inf, math.nan, 2e6, True, "1")),
        *(lambda v=v: CUBO(order=v) for v in (0.99, 0, -2.0, math.inf, math.nan, 2e6, True, "2")),
        *(lambda v=v: MultiplyIWAE(groups=v) for v in (0, -1, 2.0, True, None, 2**31)),
        *(lambda v=v: MultiplyIWAE(particles=v) for v in (0, 2.0, None)),
        lambda: MultiplyIWAE(particles=2**16, groups=2**16),
        *(lambda v=v: Capacity(capacity=v) for v in (-1.0, math.nan, "25", Ramp(-1.0, 3.0))),
        *(lambda v=v: Capacity(weight=v) for v in (-1.0, math.inf, True, None)),
        lambda: Capacity(kl="exact"),
        *(lambda v=v: ELBO(free_bits_group=v) for v in (0, -1, 2.0, True, None, "sites")),
        *(lambda v=v: ELBO(free_bits=v) for v in (-0.1, math.nan, None)),
    ],
)  # fmt: skip
def test_bad_settings(call: Any) -> None:
    with pytest.raises(ValueError, match="expects"):
        call()


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        (Renyi(particles=4), "renyi"),
        (MultiplyIWAE(particles=2, groups=3), "multiply_iwae"),
        (CUBO(particles=4), "cubo"),
    ],
    ids=repr,
)
def test_the_logged_value_of_a_bound_is_the_bound(objective: Objective, name: str) -> None:
    terms = objective.trace(model, guide, DATUM.expand(4, 3))
    found = objective.measure(terms)
    assert found.logged[name].item() == pytest.approx(found.bound.mean().item())
    assert found.logged["loss"].item() == -found.logged[name].item()
    assert found.logged["elbo"].item() == pytest.approx(terms.log_weight.mean().item())
    split = found.logged["reconstruction"] - found.logged["kl"]
    assert found.logged["elbo"].item() == pytest.approx(split.item())
    assert set(found.logged) <= set(QUANTITIES)
    assert objective.formula in str(objective)
    assert ("raises" in str(objective)) != isinstance(objective, CUBO)

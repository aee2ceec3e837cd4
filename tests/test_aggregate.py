"""The aggregated posterior: estimates, objectives and surgery against exact values.

In the Gaussian case x ~ N(0, S), q(z | x) = N(A x, diag s^2), and so q(z) = N(0, C) with
C = A S A^T + diag s^2; every part of the mean KL to N(0, I) is then known. For few data q(z) is a
mixture, and the truth comes from quadrature on a grid. All by NumPy and SciPy.
"""

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import POSTERIORS, data_for, randomized, small_vae
from pyro.infer import SVI
from scipy import integrate, special, stats
from torch import Tensor, nn
from torch.utils.data import IterableDataset

import pyrovae
from pyrovae.evaluation import Surgery, aggregation, evaluate, surgery
from pyrovae.objectives import (
    DIP,
    ELBO,
    TotalCorrelation,
    aggregated_site,
    crossed,
    crossed_per_dimension,
    log_weights,
    mixed,
    trace_terms,
)
from pyrovae.objectives.aggregate import Sampling

pytestmark = pytest.mark.usefixtures("float64")

PARTS = ("mutual_information", "total_correlation", "dimension_kl")
A = np.array([[0.9, 0.5], [-0.2, 1.1]])
SCALE = np.array([0.5, 0.7])


DRAWN = [name for name, case in POSTERIORS.items() if not case.point and "enumerated" not in name]


class Guide(nn.Module):
    """q(z | x) = N(R(angle) A x, diag s^2)."""

    def __init__(self, a: np.ndarray = A, scale: np.ndarray = SCALE, angle: float = 0.0) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))
        self.log_scale = nn.Parameter(torch.tensor(np.log(scale)))
        self.angle = nn.Parameter(torch.tensor(angle))

    def matrix(self) -> Tensor:
        c, s = self.angle.cos(), self.angle.sin()
        return torch.stack([torch.stack([c, -s]), torch.stack([s, c])]) @ self.a

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            q = dist.Normal(x @ self.matrix().mT, self.log_scale.exp()).to_event(1)
            pyro.sample("z", q)


def model(x: Tensor) -> None:
    """Let x alone: what is left of an objective are its terms in z."""
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(torch.zeros(2), 1.0).to_event(1), obs=x)


def gaussian(count: int, seed: int = 0) -> Tensor:
    """Data whose moments are exactly those of N(0, I)."""
    x = np.random.default_rng(seed).normal(size=(count, 2))
    x = x - x.mean(0)
    return torch.tensor(x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / count)).T)


def exact(matrix: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """The parts of the mean KL where x ~ N(0, I)."""
    c = matrix @ matrix.T + np.diag(scale**2)
    log_det, logs = np.linalg.slogdet(c)[1], np.log(np.diag(c))
    return {
        "kl": 0.5 * (np.trace(c) - 2 - 2 * np.log(scale).sum()),
        "mutual_information": 0.5 * (log_det - 2 * np.log(scale).sum()),
        "aggregate_kl": 0.5 * (np.trace(c) - 2 - log_det),
        "total_correlation": 0.5 * (logs.sum() - log_det),
        "dimension_kl": 0.5 * (np.diag(c) - 1 - logs).sum(),
    }


def by_quadrature(loc: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """The same where q(z) is a mixture of normals, on a grid in two dimensions."""
    grid = np.linspace(-9.0, 9.0, 601)
    each = stats.norm.pdf(grid, loc[..., None], scale[:, None])  # [data, dimension, grid]
    joint = np.einsum("ja,jb->ab", each[:, 0], each[:, 1]) / len(loc)
    prior = stats.norm.pdf(grid)

    def integral(values: np.ndarray) -> float:
        for _ in range(values.ndim):
            values = integrate.simpson(values, x=grid, axis=-1)
        return float(values)

    marginal = each.mean(0)
    log_prior = np.log(prior)[:, None] + np.log(prior)
    aggregate = integral(joint * (np.log(joint + 1e-300) - log_prior))
    dimensions = sum(integral(m * (np.log(m + 1e-300) - np.log(prior))) for m in marginal)
    kl = 0.5 * (scale**2 + loc**2 - 1 - 2 * np.log(scale)).sum(-1).mean()
    return {
        "kl": float(kl),
        "mutual_information": float(kl) - aggregate,
        "aggregate_kl": aggregate,
        "total_correlation": aggregate - dimensions,
        "dimension_kl": dimensions,
    }


# -------------------------------------------------------------------------- densities and weights


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("rows", [1, 5])
def test_every_draw_under_every_posterior(particles: int, rows: int) -> None:
    guide, x = Guide(), gaussian(5)[:rows]
    terms = trace_terms(model, guide, (x,), particles=particles)
    site = aggregated_site(terms, "this")
    z = site.value.detach().numpy().reshape(particles, rows, 1, 2)
    truth = stats.norm.logpdf(z, (x.numpy() @ A.T)[None, None], SCALE)
    split = crossed_per_dimension(site)
    assert split is not None
    np.testing.assert_allclose(split.detach().numpy(), truth, rtol=1e-10)
    np.testing.assert_allclose(crossed(site).detach().numpy(), truth.sum(-1), rtol=1e-10)


def test_a_posterior_that_does_not_factorise_is_crossed_as_well() -> None:
    vae = randomized(small_vae("StandardNormal", "FullRankNormal"), spread=0.3)
    x = data_for(vae)
    site = aggregated_site(trace_terms(vae.model, vae.guide, (x,), particles=2), "this")
    q, z = vae.encode(x), site.value.detach().numpy()
    means, covariances = q.mean.detach().numpy(), q.covariance_matrix.detach().numpy()
    truth = [
        stats.multivariate_normal.logpdf(z, mean, covariance)
        for mean, covariance in zip(means, covariances, strict=True)
    ]
    truth = np.moveaxis(np.array(truth), 0, -1)
    np.testing.assert_allclose(crossed(site).detach().numpy(), truth, rtol=1e-9)
    assert crossed_per_dimension(site) is None


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("posterior", DRAWN)
def test_every_posterior_can_be_crossed(posterior: str, particles: int) -> None:
    """On the diagonal stands each draw under its own posterior."""
    vae = randomized(small_vae(None, posterior), spread=0.3)
    terms = trace_terms(vae.model, vae.guide, (data_for(vae),), particles=particles)
    site = aggregated_site(terms, "this")
    found, split = crossed(site), crossed_per_dimension(site)
    assert found.shape == (particles, 5, 5)
    own = found.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(own, site.log_q, rtol=1e-6, atol=1e-8)
    if split is not None:
        torch.testing.assert_close(split.sum(-1), found, rtol=1e-10, atol=1e-10)


def test_stratified_weights_are_unbiased_over_all_batches_there_are() -> None:
    """Of 7 data and batches of 3 that hold the datum of the draw; the mean, exactly."""
    densities = torch.tensor(np.random.default_rng(3).uniform(0.1, 9.0, size=7)).log()
    found = []
    for others in itertools.combinations(range(1, 7), 2):
        weights = log_weights(3, sampling="stratified", size=7, like=densities)
        found.append(mixed(densities[[0, *others]].expand(3, 3), weights)[0].exp())
    truth = densities.exp().mean()
    torch.testing.assert_close(torch.stack(found).mean(), truth, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(("rows", "size"), [(1, None), (1, 1), (1, 9), (4, None), (4, 4), (4, 9)])
def test_weights_sum_to_one(rows: int, size: int | None) -> None:
    like = torch.zeros((), dtype=torch.float64)
    weights = log_weights(rows, sampling="stratified", size=size, like=like)
    total = mixed(torch.zeros(rows, rows, dtype=torch.float64), weights)
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0.0, atol=1e-12)
    if size is not None:  # fewer data than rows count as many
        smaller = log_weights(rows, sampling="stratified", size=1, like=like)
        assert smaller == log_weights(rows, sampling="stratified", size=None, like=like)


def test_the_bias_of_weighted_is_as_stated() -> None:
    """log M where no posteriors overlap, log N where all agree."""
    like = torch.zeros((), dtype=torch.float64)
    weights = log_weights(4, sampling="weighted", size=100, like=like)
    apart = torch.full((4, 4), -torch.inf, dtype=torch.float64).fill_diagonal_(0.5)
    truth = 0.5 - math.log(100)  # q(z_i) = q(z_i | x_i) / N
    np.testing.assert_allclose(mixed(apart, weights), truth - math.log(4), rtol=1e-12)
    alike = torch.full((4, 4), 0.5, dtype=torch.float64)
    np.testing.assert_allclose(mixed(alike, weights), 0.5 - math.log(100), rtol=1e-12)


def estimates(sampling: Sampling, x: Tensor, rows: int, batches: int) -> np.ndarray:
    """The three parts, as logged, of random batches of the data: a row for each."""
    objective = TotalCorrelation(sampling=sampling, size=len(x))
    guide, found = Guide(), []
    torch.manual_seed(4)
    with torch.no_grad():
        for _ in range(batches):
            batch = x[torch.randperm(len(x))[:rows]]
            logged = objective.measure(objective.trace(model, guide, batch)).logged
            found.append([logged[name].item() for name in PARTS])
    return np.array(found)


def test_minibatch_estimates_against_exact_values() -> None:
    """100 of 2000 rows: stratified within 0.1 nats, weighted off by between log M and log N.

    The error of the mean over 100 batches is below 0.015, and a stratified one's remaining bias, by
    Jensen's inequality, about 0.03: false alarms below 1e-5.
    """
    x = gaussian(2000)
    truth = np.array([exact(A, SCALE)[name] for name in PARTS])
    stratified = estimates("stratified", x, 100, 100).mean(0) - truth
    weighted = estimates("weighted", x, 100, 100).mean(0) - truth
    assert (np.abs(stratified) < 0.1).all(), stratified
    low, high = math.log(100) - 0.1, math.log(2000) + 0.1
    assert low < weighted[0] < high  # the mutual information lacks one logarithm,
    assert low < weighted[1] < high  # the total correlation two less one,
    assert -2 * high < weighted[2] < -2 * low  # and the KL of dimensions two
    assert abs(weighted.sum() - stratified.sum()) < 1e-9  # the sum is the sampled KL in any case


# -------------------------------------------------------------------------------------- objectives


@pytest.mark.parametrize("options", [{}, {"size": 9}, {"size": 9, "sampling": "stratified"}])
@pytest.mark.parametrize("posterior", ["MeanFieldNormal", "BernoulliCode enumerated"])
def test_weights_of_one_make_the_sampled_elbo(options: Any, posterior: str) -> None:
    vae = randomized(small_vae(None, posterior), spread=0.3)
    x, parameters = data_for(vae), list(vae.parameters())
    found = []
    for objective in (TotalCorrelation(beta=1.0, particles=3, **options), ELBO(kl="sampled")):
        torch.manual_seed(1)
        terms = trace_terms(vae.model, vae.guide, (x,), particles=3)
        bound = objective.measure(terms).bound
        found.append((bound, torch.autograd.grad(bound.sum(), parameters)))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-10)


def test_a_discrete_code_against_all_its_values() -> None:
    """Enumerated, the batch standing for the data: no estimate is left, and the parts exact."""
    vae = randomized(small_vae(None, "BernoulliCode enumerated"), spread=0.6)
    x = data_for(vae)
    on = vae.encode(x).mean.detach().numpy()
    each = np.stack([1 - on, on], -1)  # [data, dimension, value]
    q = each[:, 0, :, None] * each[:, 1, None, :]
    total, marginal = q.mean(0), each.mean(0)
    information = (q * (np.log(q) - np.log(total))).sum((1, 2)).mean()
    product = marginal[0][:, None] * marginal[1]
    objective = TotalCorrelation()
    logged = objective.measure(objective.trace(vae.model, vae.guide, x)).logged
    assert logged["mutual_information"].item() == pytest.approx(information, rel=1e-9)
    correlation = (total * (np.log(total) - np.log(product))).sum()
    assert logged["total_correlation"].item() == pytest.approx(correlation, rel=1e-7)
    found = surgery(vae, x, samples=4000)  # which draws, and so within four standard errors
    assert found.mutual_information is not None
    assert found.mutual_information_error is not None
    error = found.mutual_information_error
    assert abs(found.mutual_information - information) < 4 * error < 0.1


def closed_form(guide: Guide) -> dict[str, Tensor]:
    """As `exact`, with gradients."""
    a, s = guide.matrix(), guide.log_scale.exp()
    c = a @ a.mT + s.square().diag()
    log_det, logs = c.logdet(), c.diagonal().log()
    return {
        "alpha": 0.5 * (log_det - 2 * guide.log_scale.sum()),
        "beta": 0.5 * (logs.sum() - log_det),
        "gamma": 0.5 * (c.diagonal() - 1 - logs).sum(),
    }


@pytest.mark.parametrize("weight", ["alpha", "beta", "gamma"])
def test_each_weight_moves_its_own_term(weight: str) -> None:
    """The gradient in all of the encoder, over 12 draws of the noise, against the closed form.

    Six standard errors of 12 (t with 11 degrees of freedom: 9e-5 for each of 7 numbers), and 0.02
    for what 500 rows lack to a Gaussian.
    """
    guide, x = Guide(angle=0.3), gaussian(500)
    parameters = list(guide.parameters())
    weights = {"alpha": 0.0, "beta": 0.0, "gamma": 0.0, weight: 1.0}
    objective, found = TotalCorrelation(**weights), []
    for seed in range(12):
        torch.manual_seed(seed)
        loss = objective.differentiable_loss(model, guide, x) / len(x)
        grads = torch.autograd.grad(loss, parameters)
        found.append(torch.cat([grad.flatten() for grad in grads]))
    each = torch.stack(found)
    grads = torch.autograd.grad(closed_form(guide)[weight], parameters, materialize_grads=True)
    truth = torch.cat([grad.flatten() for grad in grads])
    allowed = 6 * each.std(0) / math.sqrt(len(each)) + 0.02
    assert ((each.mean(0) - truth).abs() < allowed).all(), (each.mean(0), truth, allowed)
    assert truth.abs().max() > 0.1


def test_training_a_rotation_lowers_the_total_correlation_alone() -> None:
    """With equal scales, a rotation of z leaves I(x; z) and KL(q(z) || p(z)) as they are."""
    scale = np.array([0.6, 0.6])
    guide, x = Guide(a=np.diag([2.0, 0.3]), scale=scale, angle=0.5), gaussian(150)
    before = exact(guide.matrix().detach().numpy(), scale)
    optimizer = torch.optim.SGD([guide.angle], lr=0.01)
    objective = TotalCorrelation(beta=6.0)
    torch.manual_seed(0)
    for _ in range(40):
        optimizer.zero_grad()
        (objective.differentiable_loss(model, guide, x) / len(x)).backward()
        optimizer.step()
    after = exact(guide.matrix().detach().numpy(), scale)
    assert before["total_correlation"] > 0.4
    assert after["total_correlation"] < 0.02
    for name in ("kl", "mutual_information", "aggregate_kl"):
        assert after[name] == pytest.approx(before[name], rel=1e-9)


def penalties(guide: Guide, x: Tensor, kind: str) -> tuple[float, float]:
    """The two sums of squares of DIP, by NumPy."""
    mean = x.numpy() @ guide.matrix().detach().numpy().T
    c = np.cov(mean.T, bias=True)
    if kind == "II":
        c = c + np.diag(np.exp(guide.log_scale.detach().numpy()) ** 2)
    variances = np.diag(c)
    return float((c**2).sum() - (variances**2).sum()), float(((variances - 1) ** 2).sum())


@pytest.mark.parametrize("kind", ["I", "II"])
@pytest.mark.parametrize(("diagonal", "off_diagonal"), [(0.0, 5.0), (10.0, 0.0), (2.0, 3.0)])
def test_dip_is_the_elbo_less_its_penalty(kind: Any, diagonal: float, off_diagonal: float) -> None:
    """In value, and in gradient by differences."""
    guide, x = Guide(angle=0.2), torch.randn(20, 2, dtype=torch.float64) + 0.5
    objective = DIP(kind=kind, diagonal=diagonal, off_diagonal=off_diagonal)

    def penalty() -> float:
        off, on = penalties(guide, x, kind)
        return off_diagonal * off + diagonal * on

    found = []
    for bound in (objective, ELBO()):
        torch.manual_seed(1)
        loss = bound.differentiable_loss(model, guide, x) / len(x)
        found.append((loss, *torch.autograd.grad(loss, [guide.a, guide.log_scale])))
    gaps = [one - other for one, other in zip(*found, strict=True)]
    assert gaps[0].item() == pytest.approx(penalty(), rel=1e-9)
    for parameter, gap in zip((guide.a, guide.log_scale), gaps[1:], strict=True):
        for place in np.ndindex(*parameter.shape):
            ends = []
            for move in (1e-5, -2e-5):
                with torch.no_grad():
                    parameter[place] += move
                ends.append(penalty())
            with torch.no_grad():
                parameter[place] += 1e-5
            assert gap[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-5)
    if kind == "I" or diagonal == 0.0:
        assert gaps[2].abs().max() < 1e-12  # the scales of a posterior have no covariances


def test_dip_steps_lower_their_own_part() -> None:
    for on, off in ((0.0, 1.0), (1.0, 0.0)):
        guide, x = Guide(angle=0.2), gaussian(50)
        before = penalties(guide, x, "I")
        torch.manual_seed(1)
        loss = DIP(diagonal=on, off_diagonal=off).differentiable_loss(model, guide, x)
        torch.manual_seed(1)
        loss = loss - ELBO().differentiable_loss(model, guide, x)
        (grad,) = torch.autograd.grad(loss / len(x), guide.a)
        with torch.no_grad():
            guide.a -= 0.01 * grad
        after = penalties(guide, x, "I")
        moved = 0 if off else 1
        assert after[moved] < 0.95 * before[moved]


def test_dip_reads_whole_covariances() -> None:
    vae = randomized(small_vae("StandardNormal", "FullRankNormal"), spread=0.3)
    x = data_for(vae)
    q = vae.encode(x)
    c = np.cov(q.mean.detach().numpy().T, bias=True) + q.covariance_matrix.mean(0).detach().numpy()
    for particles in (1, 3):
        objective = DIP(kind="II", particles=particles)
        logged = objective.measure(objective.trace(vae.model, vae.guide, x)).logged
        assert logged["off_diagonal"].item() == pytest.approx(2 * c[0, 1] ** 2, rel=1e-9)
        assert logged["diagonal"].item() == pytest.approx(((np.diag(c) - 1) ** 2).sum(), rel=1e-9)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize(
    "objective", [TotalCorrelation(sampling="stratified", size=9), DIP(kind="II")], ids=repr
)
def test_few_rows_far_apart_stay_finite(objective: Any, rows: int) -> None:
    guide = Guide(a=1e3 * A, scale=1e-3 * SCALE)
    loss = objective.differentiable_loss(model, guide, gaussian(5)[:rows])
    loss.backward()
    for value in (loss, guide.a.grad, guide.log_scale.grad):
        assert value is not None
        assert value.isfinite().all()


@pytest.mark.parametrize("way", ["fit", "SVI"])
@pytest.mark.parametrize(
    "objective",
    [TotalCorrelation(sampling="stratified", size=60), DIP(kind="I"), DIP(kind="II")],
    ids=repr,
)
def test_training_improves_its_own_target(way: str, objective: Any) -> None:
    """The loss under the same noise, and for DIP the penalty, before and after 48 steps."""
    vae = randomized(small_vae(), spread=0.3)
    x = data_for(vae, 60)

    def measured() -> dict[str, float]:
        torch.manual_seed(0)
        with torch.no_grad():
            logged = objective.measure(objective.trace(vae.model, vae.guide, x)).logged
        return {name: value.item() for name, value in logged.items()}

    before = measured()
    if way == "fit":
        pyrovae.fit(
            vae,
            x,
            objective=objective,
            epochs=16,
            batch_size=20,
            optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
        )
    else:
        svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-2}), objective)
        for step in range(48):
            svi.step(x[20 * (step % 3) :][:20])
    after = measured()
    assert after["loss"] < before["loss"] - 0.1
    if isinstance(objective, DIP):
        assert after["diagonal"] < before["diagonal"]


# ----------------------------------------------------------------------------------------- surgery


def parts_of(found: Surgery) -> dict[str, tuple[float, float]]:
    names = ("kl", "aggregate_kl", *PARTS)
    return {name: (getattr(found, name), getattr(found, f"{name}_error")) for name in names}


def test_surgery_of_gaussian_data() -> None:
    """Four standard errors (6e-5 for each of five numbers), and 0.01 for what 2000 data lack."""
    found = surgery((model, Guide()), gaussian(2000), samples=2000)
    truth = exact(A, SCALE)
    assert truth["kl"] == pytest.approx(truth["mutual_information"] + truth["aggregate_kl"])
    for name, (value, error) in parts_of(found).items():
        assert abs(value - truth[name]) < 4 * error + 0.01, name
        assert error < 0.05, name


def test_surgery_of_few_data_and_that_its_errors_are_true() -> None:
    """A mixture, by quadrature; 60 seeds: misses of three standard errors, expected 0.2, are rare.

    The ratio of claimed and true errors is known to 9 %; 35 % are allowed.
    """
    guide, x = Guide(), 1.5 * gaussian(7)
    truth = by_quadrature(x.numpy() @ A.T, SCALE)
    runs = [parts_of(surgery((model, guide), x, samples=300, seed=seed)) for seed in range(60)]
    for name, value in truth.items():
        means, errors = np.array([run[name] for run in runs]).T
        assert (np.abs(means - value) > 3 * errors).sum() <= 3, name
        assert errors.mean() / means.std() == pytest.approx(1.0, abs=0.35), name
        assert abs(means.mean() - value) < 4 * means.std() / math.sqrt(60), name


def test_the_sums_are_exact_and_the_information_bounded() -> None:
    found = surgery((model, Guide(scale=1e-3 * SCALE)), gaussian(9), samples=50)
    assert found.kl == found.mutual_information + found.aggregate_kl
    assert found.aggregate_kl == found.total_correlation + found.dimension_kl
    assert found.kl_of_dimensions.sum().item() == pytest.approx(found.dimension_kl)
    assert found.mutual_information == pytest.approx(math.log(9))  # no two posteriors overlap
    assert found.samples == 50
    assert found.data == 9
    assert "total correlation" in str(found)
    assert found.to_dict()["kl"] == found.kl
    single = surgery((model, Guide()), gaussian(5)[:1], samples=1)
    assert single.mutual_information == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(single.kl_error)
    assert single.to_dict()["distance"] is None


def constant(loc: float, scale: float) -> Callable[[Tensor], None]:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc + torch.zeros(len(x)), scale))

    return guide


def scalar_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


@pytest.mark.parametrize(("loc", "scale", "truth"), [(0.4, 0.8, 0.111383), (0.0, 1.0, 0.0)])
def test_the_energy_distance_of_two_normals(loc: float, scale: float, truth: float) -> None:
    found = surgery((scalar_model, constant(loc, scale)), torch.zeros(3), samples=4000)
    assert abs(found.distance - truth) < 4 * found.distance_error < 0.08
    assert found.total_correlation is None  # z is a number: there are no dimensions


def test_a_point_posterior_has_a_distance_alone() -> None:
    """E|x - z'| = x (2 Phi(x) - 1) + 2 phi(x) of z' ~ N(0, 1), and E|z' - z~'| = 2 / sqrt(pi)."""
    x = torch.tensor([-2.0, 0.3, 0.5, 4.0])

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Delta(x))

    points = x.numpy()
    across = (points * (2 * special.ndtr(points) - 1) + 2 * stats.norm.pdf(points)).mean()
    within = np.abs(points[:, None] - points).mean()
    truth = 2 * across - within - 2 / math.sqrt(math.pi)
    found = surgery((scalar_model, guide), x, samples=4000)
    assert found.kl is None
    assert found.mutual_information_error is None
    assert abs(found.distance - truth) < 4 * found.distance_error < 0.3
    assert "energy distance" in str(found)
    assert "mutual" not in str(found)


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.parametrize(
    ("posterior", "splits"),
    [
        ("MeanFieldNormal", True),
        ("FullRankNormal", False),
        ("PlanarFlow", False),
        ("StraightThroughCategorical", True),
        ("VonMisesFisher", False),
    ],
)
def test_surgery_agrees_with_evaluate(posterior: str, splits: bool) -> None:
    """The mean KL within five standard errors of both (false alarm 6e-7)."""
    vae = randomized(small_vae(None, posterior), spread=0.3)
    x = data_for(vae, 20)
    found = surgery(vae, x, samples=300)
    other = evaluate(vae, x, samples=300, compile=False)
    assert found.kl is not None
    assert found.kl_error is not None
    assert found.mutual_information is not None
    assert abs(found.kl - other.kl) < 5 * 1.5 * found.kl_error  # the other has more draws
    assert found.mutual_information <= math.log(20) + 1e-9
    assert (found.total_correlation is not None) == splits


def test_surgery_works_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    original = aggregation.crossed_per_dimension

    def noted(site: Any, z: Tensor) -> Any:
        found = original(site, z)
        sizes.append(found.numel())
        return found

    monkeypatch.setattr(aggregation, "crossed_per_dimension", noted)
    x, guide = gaussian(300), Guide()
    whole = surgery((model, guide), x, samples=200)
    assert max(sizes) == 300 * 200 * 2
    sizes.clear()
    monkeypatch.setattr(aggregation, "IN_CACHE", 2**16)
    parts = surgery((model, guide), x, samples=200)
    assert max(sizes) <= 3 * 2**16 / 8  # where 18 rows are measured; a sixth of it otherwise
    for name, (value, error) in parts_of(parts).items():
        other = parts_of(whole)[name]
        assert abs(value - other[0]) < 5 * math.hypot(error, other[1]), name


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        yield from gaussian(40)


def test_a_stream_is_read_to_its_end() -> None:
    assert surgery((model, Guide()), Stream(), samples=30).data == 40


def test_surgery_leaves_no_trace() -> None:
    vae = small_vae().train()
    before, state = copy.deepcopy(vae.state_dict()), torch.get_rng_state()
    found = surgery(vae, data_for(vae), samples=30)
    torch.testing.assert_close(dict(vae.state_dict()), dict(before), rtol=0.0, atol=0.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert vae.training
    assert len(pyro.get_param_store()) == 0
    assert all(parameter.grad is None for parameter in vae.parameters())
    again = surgery(vae, data_for(vae), samples=30)
    assert again.to_dict() == found.to_dict()
    assert surgery(vae, data_for(vae), samples=30, seed=1).kl != found.kl


# ---------------------------------------------------------------------------------------- refusals


def several(x: Tensor, observed: Any = None) -> None:
    with pyro.plate("data", len(x)):
        for name in "zv":
            pyro.sample(name, dist.Normal(torch.zeros(len(x)), 1.0))
        if observed is not None:
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=observed)


def in_inner_plate(x: Tensor, observed: Any = None) -> None:
    with pyro.plate("data", len(x), dim=-2), pyro.plate("inner", 3, dim=-1):
        pyro.sample("z", dist.Normal(torch.zeros(len(x), 3), 1.0))
        if observed is not None:
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x.unsqueeze(-1).expand(-1, 3))


def masked(x: Tensor, observed: Any = None) -> None:
    with pyro.plate("data", len(x)):
        with pyro.poutine.mask(mask=x > 0.0):
            pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        if observed is not None:
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=observed)


def scaled(x: Tensor, observed: Any = None) -> None:
    with pyro.plate("data", len(x)):
        with pyro.poutine.scale(scale=0.5):
            pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        if observed is not None:
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=observed)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (several, "expects one latent site; got 'z', 'v'"),
        (in_inner_plate, "plate 'data' alone"),
        (masked, "without a scale or a mask"),
        (scaled, "without a scale or a mask"),
    ],
)
def test_what_has_no_aggregate_is_refused(program: Any, said: str) -> None:
    def observing(x: Tensor) -> None:
        program(x, x)

    with pytest.raises(ValueError, match=said):
        surgery((observing, lambda x: program(x)), torch.tensor([0.1, -0.3]), samples=3)
    terms = trace_terms(observing, program, (torch.tensor([0.1, -0.3]),))
    for objective in (TotalCorrelation(), DIP()):
        with pytest.raises(ValueError, match=said):
            objective.measure(terms)


@pytest.mark.parametrize(
    ("objective", "prior", "posterior", "said"),
    [
        (TotalCorrelation(), "GaussianMixture", "MeanFieldNormal", "does not factorise"),
        (TotalCorrelation(), "StandardNormal", "FullRankNormal", "MeanFieldNormal with Standard"),
        (TotalCorrelation(), "StandardNormal", "Deterministic", "no density"),
        (DIP(), "StandardNormal", "Deterministic", "no density"),
        (DIP(), "StandardNormal", "PlanarFlow", "reads the mean"),
        (DIP(kind="II"), "StandardNormal", "NormalMixture", r"or DIP\(kind='I'\)"),
        (DIP(), None, "Categorical enumerated", "z is discrete"),
        (DIP(kl="analytic"), "GaussianMixture", "MeanFieldNormal", "use kl='auto'"),
    ],
    ids=repr,
)
def test_parts_that_do_not_fit_are_refused(
    objective: Any, prior: Any, posterior: str, said: str
) -> None:
    vae = small_vae(prior, posterior)
    with pytest.raises(ValueError, match=said):
        objective.loss(vae.model, vae.guide, data_for(vae))


@pytest.mark.parametrize(
    ("make", "options"),
    [
        *((TotalCorrelation, {name: bad}) for name in ("alpha", "beta", "gamma")
          for bad in (-1.0, math.nan, math.inf, "1", None, True)),
        *((TotalCorrelation, {"size": bad}) for bad in (0, -1, 2.0, True, "9")),
        *((TotalCorrelation, {"sampling": bad}) for bad in ("naive", None)),
        (TotalCorrelation, {"particles": 0}),
        *((DIP, {name: bad}) for name in ("diagonal", "off_diagonal")
          for bad in (-1.0, math.nan, math.inf, "1", None, True)),
        *((DIP, {"kind": bad}) for bad in ("i", 1, None)),
        (DIP, {"kl": "exact"}),
        (DIP, {"particles": 2.5}),
    ],
    ids=str,
)  # fmt: skip
def test_bad_settings(make: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expects"):
        make(**options)


def test_bad_requests() -> None:
    for options in ({"samples": 0}, {"samples": 1.5}, {"seed": -1}):
        with pytest.raises(ValueError, match="expects"):
            surgery((model, Guide()), gaussian(3), **options)

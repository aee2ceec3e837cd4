"""Distributions on a sphere: densities, divergences, draws and their gradients, against SciPy.

Statistical checks use fixed seeds; each has a false-alarm rate of 1e-4 (four standard errors) or
less, and in all of them together it is below 2e-2.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from cases import array, bound, small_vae
from scipy import integrate, special, stats
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import (
    HypersphericalUniform,
    PowerSpherical,
    VonMisesFisher,
    bessel_i,
    unit,
)
from pyrovae.distributions.hyperspherical_uniform import turned, unexpanded
from pyrovae.distributions.polar_angle import polar_angle
from pyrovae.objectives import ELBO, IWAE, analytic_kl
from pyrovae.priors import HypersphericalUniform as UniformPrior
from pyrovae.priors import StandardNormal
from pyrovae.scopes import validation

FAMILIES = [PowerSpherical, VonMisesFisher]
NAMES = ["PowerSpherical", "VonMisesFisher"]
DIMS = [2, 3, 5, 20]


def weight(family: Any, dim: int, k: float) -> Any:
    """The density of the angle to the mean direction, up to a constant, in NumPy."""
    if family is VonMisesFisher:
        return lambda a: np.sin(a) ** (dim - 2) * np.exp(k * (np.cos(a) - 1.0))
    return lambda a: np.sin(a) ** (dim - 2) * np.cos(0.5 * a) ** (2.0 * k)


def integral(function: Any, high: float = np.pi) -> float:
    return float(integrate.quad(function, 0.0, high, epsabs=0.0, epsrel=1e-11, limit=400)[0])


def expectation(family: Any, dim: int, k: float, of: Any) -> float:
    """E of a function of the cosine of the angle, by quadrature."""
    w = weight(family, dim, k)
    return integral(lambda a: w(a) * of(np.cos(a))) / integral(w)


def direction(dim: int, seed: int = 1) -> Tensor:
    return unit(torch.randn(dim, generator=torch.Generator().manual_seed(seed)).double())


# ---------------------------------------------------------------------------------------- Bessel


@pytest.mark.parametrize("order", [0, 0.5, 1, 4, 9.5, 15.7, 19.5, 20, 49.5, 499])
def test_bessel_functions_are_scipys(order: float) -> None:
    x = np.r_[1e-6, 1e-3, 0.1, 0.5, 1, 2, 3, 5, 8, 12, 20, 50, 100, 300, 1e3, 1e4, 1e5, 1e6]
    size = special.gammaln(order + 1.0) + order * np.log(2.0 / x)
    scaled, above = special.ive(order, x), special.ive(order + 1.0, x)
    known = above > 1e-290  # SciPy's underflow
    assert known.sum() >= 4
    log_regular, ratio = bessel_i(order, torch.tensor(x))
    error = np.abs(array(log_regular)[known] - np.log(scaled[known]) - size[known])
    assert (error <= 1e-12 * np.maximum(1.0, np.abs(size[known]))).all()
    truth = above[known] / scaled[known] / x[known]
    np.testing.assert_allclose(array(ratio)[known], truth, rtol=1e-12)
    small, small_ratio = bessel_i(order, torch.tensor(x, dtype=torch.float32))
    np.testing.assert_allclose(array(small), array(log_regular), rtol=2e-7, atol=2e-7)
    np.testing.assert_allclose(array(small_ratio), array(ratio), rtol=3e-7)


@pytest.mark.parametrize("order", [0.0, 0.5, 3.7, 60.0])
def test_bessel_derivatives_are_those_of_finite_differences(order: float) -> None:
    x = torch.tensor([0.0, 1e-3, 0.7, 6.0, 90.0, 1e4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: bessel_i(order, v)[0], x, eps=1e-5, atol=1e-8)
    (slope,) = torch.autograd.grad(bessel_i(order, x)[1].sum(), x)
    _, ratio = bessel_i(order, x)
    square = x.square()  # Riccati: (I_{v+1} / I_v)' = 1 - (2 v + 1) / x r - r^2, with r = x ratio
    truth = 1.0 - (2.0 * order + 2.0) * ratio - square * ratio.square()
    torch.testing.assert_close(slope * x, truth, rtol=1e-5, atol=1e-12)
    assert slope[0] == 0.0


@pytest.mark.parametrize("order", [-0.5, float("nan"), float("inf")])
def test_orders_that_are_none_are_refused(order: float) -> None:
    with pytest.raises(ValueError, match="an order from 0 on"):
        bessel_i(order, torch.ones(2))


# -------------------------------------------------------------------------------------- densities


@pytest.mark.parametrize("k", [1e-4, 0.7, 20.0, 3e3])
@pytest.mark.parametrize("family", [*FAMILIES, HypersphericalUniform])
def test_density_sums_to_one_on_the_circle_and_the_sphere(family: Any, k: float) -> None:
    def made(dim: int) -> Any:
        if family is HypersphericalUniform:
            return family(dim, dtype=torch.float64)
        return family(direction(dim), torch.tensor(k, dtype=torch.float64))

    angle = torch.arange(4000, dtype=torch.float64) * (2.0 * np.pi / 4000)
    circle = torch.stack([angle.cos(), angle.sin()], -1)
    total = made(2).log_prob(circle).exp().sum() * (2.0 * np.pi / 4000)
    assert total.item() == pytest.approx(1.0, abs=1e-7)

    nodes, weights = special.roots_legendre(1200)
    height, around = torch.tensor(nodes), angle[::10]  # on [-1, 1] and a circle: area is d(h) d(a)
    radius = (1.0 - height.square()).sqrt().unsqueeze(-1)
    across = [radius * around.cos(), radius * around.sin()]
    points = torch.stack([*across, height.unsqueeze(-1).expand_as(across[0])], -1)
    mass = made(3).log_prob(points).exp().sum(-1) * (2.0 * np.pi / 400)
    assert (mass @ torch.tensor(weights)).item() == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("dim", [2, 3, 5, 20, 100])
@pytest.mark.parametrize("k", [0.01, 2.0, 300.0])
def test_von_mises_fisher_is_scipys(dim: int, k: float) -> None:
    loc = direction(dim)
    truth = stats.vonmises_fisher(array(loc), k)
    made = VonMisesFisher(loc, torch.tensor(k, dtype=torch.float64))
    z = made.sample((20,))
    np.testing.assert_allclose(array(made.log_prob(z)), truth.logpdf(array(z)), rtol=1e-11)
    assert made.entropy().item() == pytest.approx(truth.entropy(), rel=1e-9, abs=1e-9)
    small = VonMisesFisher(loc.float(), torch.tensor(k)).log_prob(z.float())
    np.testing.assert_allclose(array(small), truth.logpdf(array(z)), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_float32_scores_as_float64(family: Any) -> None:
    """At a concentration of 1e4, where 1 - m . z is a difference of seven digits."""
    for dim in DIMS:
        loc = direction(dim).float()
        made = family(loc, torch.tensor(1e4))
        z = made.sample((50,))
        assert (torch.linalg.vector_norm(z, dim=-1) - 1.0).abs().max() < 5e-7
        twin = family(unit(loc.double()), torch.tensor(1e4).double())
        np.testing.assert_allclose(
            array(made.log_prob(z)), array(twin.log_prob(unit(z.double()))), atol=0.01
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_far_pole_scores_finite(family: Any) -> None:
    loc = torch.tensor([0.0, 1.0]).requires_grad_()
    k = torch.tensor(5.0, requires_grad=True)
    score = family(loc, k).log_prob(torch.tensor([[0.0, -1.0], [0.0, 1.0]]))
    score.sum().backward()
    assert score.isfinite().all()
    assert loc.grad is not None
    assert loc.grad.isfinite().all()
    assert k.grad is not None
    assert k.grad.isfinite()


# -------------------------------------------------------------------------------------------- KL


@pytest.mark.parametrize("k", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_kl_is_that_of_quadrature_and_monte_carlo(family: Any, dim: int, k: float) -> None:
    w, even = weight(family, dim, k), weight(family, dim, 0.0)
    log_ratio = np.log(integral(even)) - np.log(integral(w))
    log_power = (lambda t: k * (t - 1.0)) if family is VonMisesFisher else None
    log_power = log_power or (lambda t: k * np.log1p((t - 1.0) / 2.0 + 1e-300))
    truth = expectation(family, dim, k, log_power) + log_ratio
    q = family(direction(dim), torch.tensor(k, dtype=torch.float64, requires_grad=True))
    p = HypersphericalUniform(dim, dtype=torch.float64)
    kl = analytic_kl(q, p)
    assert kl is not None
    assert kl.item() == pytest.approx(truth, rel=1e-6, abs=1e-11)
    with torch.no_grad():
        z = q.sample((20_000,))
        sampled = q.log_prob(z) - p.log_prob(z)
    error = sampled.std() / 20_000**0.5
    assert (sampled.mean() - kl).abs() < 4.0 * error
    assert torch.autograd.gradcheck(
        lambda c: family(q.loc, c).kl_from_uniform(), q.concentration, eps=1e-6, atol=1e-7
    )
    pair = q.entropy() + kl, -p.log_prob(z[0])
    torch.testing.assert_close(*pair)


def test_kl_from_uniform_is_found_for_every_batch_shape() -> None:
    for family in FAMILIES:
        q = family(direction(3).expand(4, 3), torch.rand(4, dtype=torch.float64) + 0.1)
        p = HypersphericalUniform(3, dtype=torch.float64)
        kl = analytic_kl(q.expand((5, 4)), p.expand((5, 4)))
        assert kl is not None
        assert kl.shape == (5, 4)
        assert torch.equal(kl[2], q.kl_from_uniform())


# ------------------------------------------------------------------------------------------ draws


@pytest.mark.parametrize("k", [0.01, 4.0, 1e3])
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_draws_follow_the_density(family: Any, dim: int, k: float) -> None:
    """The angle by Kolmogorov-Smirnov; the direction across is uniform, by its mean and squares."""
    loc = direction(dim)
    z = family(loc, torch.tensor(k, dtype=torch.float64)).sample((4000,))
    ahead = (z * loc).sum(-1)
    across = z - ahead.unsqueeze(-1) * loc
    angle = torch.atan2(torch.linalg.vector_norm(across, dim=-1), ahead)
    line = np.linspace(0.0, min(np.pi, 12.0 * np.sqrt(dim / k)), 20_001)
    mass = np.r_[0.0, integrate.cumulative_trapezoid(weight(family, dim, k)(line), line)]
    test = stats.kstest(array(angle), lambda v: np.interp(v, line, mass / mass[-1]))
    assert test.pvalue > 1e-5
    sides = unit(across)
    mean = sides.mean(0)
    assert (mean.abs() < 5.0 / 4000**0.5).all()
    for seed in (2, 3):
        other = direction(dim, seed)
        other = unit(other - (other @ loc) * loc)
        square = (sides @ other).square()
        spread = square.std() / 4000**0.5 + 1e-12
        assert (square.mean() - 1.0 / (dim - 1)).abs() < 5.0 * spread


@pytest.mark.parametrize("k", [0.4, 3.0, 40.0])
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_in_the_concentration_is_that_of_finite_differences(
    family: Any, dim: int, k: float
) -> None:
    """Of E f(z), by quadrature on both sides; the check sees a bias of 3 percent everywhere."""

    def f(t: Any) -> Any:
        return t**3 + (torch if isinstance(t, Tensor) else np).exp(t)

    step = 1e-3 * k
    after, before = (expectation(family, dim, k + s, f) for s in (step, -step))
    truth = (after - before) / (2.0 * step)
    loc = direction(dim).float()
    given = torch.full((100,), k, requires_grad=True)
    z = family(loc, given).rsample((400,))
    (found,) = torch.autograd.grad(f((z * loc).sum(-1)).mean(0).sum(), given)
    error = (found.std() / 10.0).item()
    assert 4.0 * error < 0.04 * abs(truth), "the check would see nothing"
    assert abs(found.mean().item() - truth) < 4.0 * error


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_in_the_direction_is_that_of_the_mean(family: Any, dim: int) -> None:
    """E c . z is the mean resultant length times c . m, and m the unit vector along r."""
    c = direction(dim, 7)
    raw = (2.0 * direction(dim, 8)).requires_grad_()
    rows = raw.expand(20_000, dim)
    k = torch.tensor(3.0, dtype=torch.float64)
    made = family(unit(rows), k)
    (found,) = torch.autograd.grad((made.rsample() @ c).sum(), rows)
    (truth,) = torch.autograd.grad(family(unit(raw), k).mean @ c, raw)
    error = found.std(0) / 20_000**0.5
    assert ((found.mean(0) - truth).abs() < 5.0 * error).all()


@pytest.mark.parametrize("k", [1e-4, 0.5, 30.0, 1e4, 1e6])
@pytest.mark.parametrize("dim", [2, 3, 5, 20, 200])
def test_the_angle_is_at_its_level_and_moves_as_finite_differences(dim: int, k: float) -> None:
    u = torch.tensor([[1e-4, 0.01, 0.2, 0.5, 0.77, 0.99, 0.9999]], dtype=torch.float64)
    given = torch.tensor([k], dtype=torch.float64)
    angle, slope = polar_angle(given, u, dim=dim)
    mode = np.arccos(min(1.0, 2.0 * k / ((dim - 2) + np.sqrt((dim - 2) ** 2 + 4.0 * k * k))))
    high = float(angle.max()) * 1.5 if k > 50.0 else np.pi
    line = np.linspace(0.0, min(np.pi, high + 0.0), 400_001)[1:]
    across = np.log(np.sin(line) / np.sin(mode)) * (dim - 2) if dim > 2 else 0.0
    density = np.exp(k * -2.0 * np.sin((line + mode) / 2) * np.sin((line - mode) / 2) + across)
    density = np.r_[0.0 if dim > 2 else np.exp(k * (1.0 - np.cos(mode))), density]
    line = np.r_[0.0, line]
    mass = np.r_[0.0, integrate.cumulative_trapezoid(density, line)]
    level = np.interp(array(angle)[0], line, mass / mass[-1])
    np.testing.assert_allclose(level, array(u)[0], rtol=2e-5, atol=2e-6)
    h = 1e-3 * k
    moved = [polar_angle(given + s, u, dim=dim)[0] for s in (h, -h)]
    difference = (moved[0] - moved[1]) / (2.0 * h)
    assert ((slope - difference).abs() <= 5e-5 * slope.abs().max()).all()


# ----------------------------------------------------------------------------- shapes and recording


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_expansion_and_types(family: Any, dtype: torch.dtype) -> None:
    for batch in [(), (3,), (2, 3), (1,), (0,)]:
        loc = unit(torch.randn(*batch, 4, dtype=dtype))
        with pyro.validation_enabled(bool(loc.numel())):
            made = family(loc, torch.ones(batch, dtype=dtype))
            for wide in (made, made.expand((5, *batch))):
                z = wide.rsample((7, 6))
                assert z.shape == (7, 6, *wide.batch_shape, 4)
                score = wide.log_prob(z)
                assert score.shape == z.shape[:-1]
                assert z.dtype == score.dtype == wide.kl_from_uniform().dtype == dtype
                assert wide.mean.shape == (*wide.batch_shape, 4)
                assert made.log_prob(z[0, 0]).shape == wide.batch_shape
    k = torch.tensor([[0.1], [5.0]], dtype=dtype).expand(2, 3)  # repeated inside, not outside
    made = family(unit(torch.randn(3, 4, dtype=dtype)), k)
    assert made.sample((5,)).shape == (5, 2, 3, 4)


def test_each_row_is_drawn_with_its_own_concentration() -> None:
    k = torch.tensor([[0.1], [50.0], [1e4]])
    loc = unit(torch.randn(3, 2, 5))
    for family in FAMILIES:
        made = family(loc, k.expand(3, 2)).expand((1000, 3, 2))
        ahead = (made.sample((3,)) * loc).sum(-1).mean((0, 1))
        truth = (family(loc, k.expand(3, 2)).mean * loc).sum(-1)
        assert ((ahead - truth).abs() < 0.06 * truth.clamp(max=1.0) + 0.03).all()
        assert ahead[1].min() > 0.8 > 0.3 > ahead[0].max()


@pytest.mark.parametrize("dim", [2, 3, 6])
def test_turning_keeps_lengths_and_faces_the_direction(dim: int) -> None:
    poles = torch.eye(dim, dtype=torch.float64)
    for loc in [*poles, *-poles, *unit(torch.randn(9, dim, dtype=torch.float64))]:
        tangent = torch.randn(5, dim - 1, dtype=torch.float64)
        made = turned(tangent, loc)
        torch.testing.assert_close(made @ made.mT, tangent @ tangent.mT)
        torch.testing.assert_close(made @ loc, torch.zeros(5, dtype=torch.float64))


def test_unit_vectors_of_extreme_ones() -> None:
    given = torch.tensor([[3e38, -3e38], [1e-37, 0.0], [0.0, 0.0], [-1e4, 1e4]]).requires_grad_()
    made = unit(given)
    torch.testing.assert_close(torch.linalg.vector_norm(made, dim=-1), torch.ones(4))
    made[:, 0].sum().backward()
    assert given.grad is not None
    assert given.grad.isfinite().all()


def test_what_is_only_repeated_is_left_out() -> None:
    assert unexpanded(torch.ones(3).expand(7, 1, 3)).shape == (3,)
    assert unexpanded(torch.ones(2, 1).expand(2, 5)).shape == (2, 5)
    assert unexpanded(torch.ones(0)).shape == (0,)
    assert unexpanded(torch.ones(()).expand(4, 2)).shape == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_draw_density_and_gradients_can_be_recorded(family: Any) -> None:
    def step(raw: Tensor, k: Tensor) -> list[Tensor]:
        made = family(unit(raw), k).expand((4, 3))
        loss = made.log_prob(made.rsample()).sum() + made.kl_from_uniform().sum()
        return [loss.detach(), *torch.autograd.grad(loss, (raw, k))]

    given = torch.randn(3, 5, requires_grad=True), torch.rand(3, requires_grad=True)
    with validation(enabled=False):
        recorded = make_fx(step, tracing_mode="fake")(*given)
        results = []
        for run in (step, recorded):
            torch.manual_seed(2)
            results.append(run(*given))
    for eager, replayed in zip(*results, strict=True):
        torch.testing.assert_close(eager, replayed, rtol=1e-6, atol=1e-6)


# ------------------------------------------------------------------------------------------ parts


@pytest.mark.parametrize("dim", [2, 3, 20])
@pytest.mark.parametrize(
    "pattern", [(1e4,), (-1e4,), (1e4, -1e4), (1e4, 0.0, -1e4), (0.0,), (-1e-3, 0.0, 0.0)]
)
@pytest.mark.parametrize("name", NAMES)
def test_extreme_raw_numbers_stay_finite(name: str, pattern: tuple[float, ...], dim: int) -> None:
    raw = torch.tensor((pattern * (dim + 1))[: dim + 1]).requires_grad_()
    q = bound(name, dim)(raw, Context())
    z = q.rsample()
    assert q.support.check(z)
    loss = q.log_prob(z) + q.kl_from_uniform() + z.sum()
    loss.backward()
    assert loss.isfinite()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("objective", [ELBO(kl="analytic"), IWAE(particles=4)], ids=repr)
def test_a_small_model_trains_and_is_evaluated(name: str, objective: Any) -> None:
    vae = small_vae(posterior=name)
    x = torch.bernoulli(torch.rand(40, 1, 4, 3))
    loss = objective(vae.model, vae.guide)
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)

    def fixed() -> float:
        torch.manual_seed(4)
        return float(loss(x=x).detach())

    before = fixed()
    for _ in range(20):
        optimizer.zero_grad()
        loss(x=x).backward()
        optimizer.step()
    assert fixed() < before
    result = pyrovae.evaluate(vae, {"x": x}, samples=50)
    assert result.elbo <= result.log_prob
    assert result.kl_per_dimension is None


def test_what_does_not_fit_is_refused() -> None:
    for name in NAMES:
        with pytest.raises(ValueError, match=r"StandardNormal.*HypersphericalUniform") as raised:
            small_vae(prior=StandardNormal(3), posterior=name)
        assert name in str(raised.value)
        with pytest.raises(ValueError, match=f"{name} expects z to be a vector of two"):
            small_vae(prior=StandardNormal(1), posterior=name)
    with pytest.raises(ValueError, match=r"HypersphericalUniform.*MeanFieldNormal"):
        small_vae(prior=UniformPrior(3), posterior="MeanFieldNormal")
    for dim in (1, 0, -3, True, 2.0, "3"):
        with pytest.raises(ValueError, match="HypersphericalUniform expects"):
            UniformPrior(dim)  # type: ignore[arg-type]
    for family in FAMILIES:
        with pytest.raises(ValueError, match="dimension 1"):
            family(torch.ones(4, 1), torch.ones(4))
        with pytest.raises(ValueError, match="concentration"):
            family(torch.tensor([0.0, 1.0]), torch.tensor(-1.0))
        with pytest.raises(ValueError, match="loc"):
            family(torch.tensor([0.3, 1.0]), torch.tensor(1.0))
        with pytest.raises(ValueError, match="within the support"):
            family(torch.tensor([0.0, 1.0]), torch.tensor(1.0)).log_prob(torch.ones(2))


def test_the_prior_moves_with_its_model() -> None:
    prior = UniformPrior(3).double()
    assert prior(Context()).sample().dtype == torch.float64
    assert not list(prior.parameters())
    assert not prior.state_dict()


# -------------------------------------------------------------------------------------- benchmark


def test_the_comparison_prints_its_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    script = __import__("hyperspherical")
    try:
        script.main(["--quick"])
    finally:
        sys.modules.pop("hyperspherical")
    printed = capsys.readouterr().out
    assert "test log p(x) in nats" in printed
    assert len([line for line in printed.splitlines() if line.startswith("  z =")]) == 2

"""Every distance against its closed form, brute force or SciPy, and what all of them promise.

A mean over repetitions is compared at four standard errors, a false alarm of 6e-5 for each.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import DISTANCES
from scipy import integrate, optimize, special, stats
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from pyrovae.distances import (
    MMD,
    RBF,
    Distance,
    Energy,
    InverseMultiquadratic,
    Sinkhorn,
    SlicedWasserstein,
)

ROWS = pytest.mark.parametrize("name", DISTANCES)


def normal(n: int, d: int, *, loc: float = 0.0, scale: float = 1.0) -> Tensor:
    return loc + scale * torch.randn(n, d, dtype=torch.float64)


def quantiles(n: int, *, loc: float = 0.0, scale: float = 1.0) -> Tensor:
    """The middles of n equal shares of a normal: a sample without noise."""
    return torch.from_numpy(stats.norm.ppf((np.arange(n) + 0.5) / n, loc, scale))


def seeded(distance: Distance, seed: int = 3) -> Callable[[Tensor, Tensor], Tensor]:
    """The distance with the same random directions at each call."""

    def call(x: Tensor, y: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return distance(x, y)

    return call


# ------------------------------------------------------------------------------- closed forms

LOC, SCALE = 0.4, 0.8  # of N(m, s^2 I) against N(0, I), m = 0.4 in each dimension


def mmd_of_rbf(d: int, length: float) -> float:
    def mean(variance: float, away: float) -> float:
        wide = length**2 + variance
        return (length**2 / wide) ** (d / 2) * math.exp(-d * away**2 / (2 * wide))

    return mean(2 * SCALE**2, 0.0) + mean(2.0, 0.0) - 2 * mean(1 + SCALE**2, LOC)


def mmd_of_imq(length: float) -> float:
    """In one dimension, by quadrature over the difference of two draws."""

    def mean(variance: float, away: float) -> float:
        def weighed(t: float) -> float:
            return stats.norm.pdf(t, away, variance**0.5) * length**2 / (length**2 + t**2)

        return integrate.quad(weighed, -30, 30, limit=200)[0]

    return mean(2 * SCALE**2, 0.0) + mean(2.0, 0.0) - 2 * mean(1 + SCALE**2, LOC)


def energy_of(d: int) -> float:
    """By the mean length of a normal vector, a generalised Laguerre function."""

    def mean(variance: float, away: float) -> float:
        order = special.eval_genlaguerre(0.5, d / 2 - 1, -d * away**2 / (2 * variance))
        return (variance * math.pi / 2) ** 0.5 * order

    return 2 * mean(1 + SCALE**2, LOC) - mean(2 * SCALE**2, 0.0) - mean(2.0, 0.0)


def test_the_energy_distance_of_the_literature() -> None:
    assert energy_of(1) == pytest.approx(0.111383, abs=1e-6)


@pytest.mark.parametrize(
    ("distance", "d", "truth"),
    [
        (MMD(kernel=RBF(scale=1.3)), 1, mmd_of_rbf(1, 1.3)),
        (MMD(kernel=RBF()), 3, mmd_of_rbf(3, 3**0.5)),
        (MMD(kernel=RBF(scale=(0.7, 2.0))), 2, mmd_of_rbf(2, 0.7) + mmd_of_rbf(2, 2.0)),
        (MMD(kernel=InverseMultiquadratic(scale=0.9)), 1, mmd_of_imq(0.9)),
        (
            MMD(),
            1,
            sum(mmd_of_imq((2 * s) ** 0.5) for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)),
        ),
        (Energy(), 1, energy_of(1)),
        (Energy(), 3, energy_of(3)),
        (Energy(projections=3), 3, energy_of(3)),
        (Energy(projections=2), 1, energy_of(1)),
    ],
    ids=repr,
)
def test_unbiased_ones_have_their_closed_form_as_mean(
    distance: Distance, d: int, truth: float
) -> None:
    """At sample sizes where a bias of 1 / n could not be overlooked."""
    assert distance.unbiased
    torch.manual_seed(1)
    found = torch.stack(
        [distance(normal(5, d, loc=LOC, scale=SCALE), normal(4, d)) for _ in range(600)]
    )
    error = found.std().item() / len(found) ** 0.5
    assert error < 0.15 * truth + 0.02
    assert abs(found.mean().item() - truth) < 4 * error
    assert found.min() < 0.0  # as an unbiased estimate may be


def test_a_large_sample_is_close_to_the_closed_form() -> None:
    """Without noise but for the pairs that are left out, which tells by the square of 1 / n."""
    x, y = quantiles(2000, loc=LOC, scale=SCALE), quantiles(1500)
    assert Energy()(x, y).item() == pytest.approx(energy_of(1), abs=2e-3)
    cramer = integrate.quad(
        lambda t: (stats.norm.cdf(t, LOC, SCALE) - stats.norm.cdf(t)) ** 2, -9, 9
    )[0]
    assert energy_of(1) == pytest.approx(2 * cramer, rel=1e-6)
    assert SlicedWasserstein()(x, y).item() == pytest.approx(LOC**2 + (SCALE - 1) ** 2, abs=2e-3)


def test_sliced_wasserstein_between_normals() -> None:
    """`|m|^2 / d + (s - 1)^2`. Twenty repetitions, whose own bias is below 2e-3 at this size."""
    torch.manual_seed(4)
    distance, truth = SlicedWasserstein(projections=25), LOC**2 + (SCALE - 1.0) ** 2
    found = torch.stack(
        [distance(normal(4000, 3, loc=LOC, scale=SCALE), normal(4000, 3)) for _ in range(20)]
    )
    error = found.std().item() / len(found) ** 0.5
    assert error < 0.02
    assert abs(found.mean().item() - truth) < 4 * error + 2e-3


def entropic(away: float, first: float, second: float, blur: float) -> float:
    """Smoothed transport of one-dimensional normals (Janati et al., 2020, arXiv:2006.02572)."""
    root = math.sqrt(4 * first * second + blur**4)
    log = blur**2 * (1 - math.log(2 * blur**2) + math.log(root + blur**2))
    return away**2 + first + second - root + log


@pytest.mark.parametrize("blur", [0.5, 1.0, 3.0])
def test_sinkhorn_between_normals(blur: float) -> None:
    truth = entropic(LOC, SCALE**2, 1.0, blur)
    truth -= 0.5 * (entropic(0.0, SCALE**2, SCALE**2, blur) + entropic(0.0, 1.0, 1.0, blur))
    x, y = quantiles(150, loc=LOC, scale=SCALE), quantiles(120)
    assert Sinkhorn(blur=blur)(x, y).item() == pytest.approx(truth, abs=1e-3)


# -------------------------------------------------------------------------- brute force and SciPy


def test_one_dimensional_distances_are_those_of_scipy() -> None:
    """Of samples of two sizes, which have many common and many single steps."""
    torch.manual_seed(5)
    for n, m in ((7, 7), (6, 9), (1, 5), (8, 3), (11, 10)):
        x, y = normal(n, 1), normal(m, 1, loc=0.3)
        pair = x.squeeze(-1).numpy(), y.squeeze(-1).numpy()
        found = SlicedWasserstein(order=1)(x, y).item()
        assert found == pytest.approx(stats.wasserstein_distance(*pair), rel=1e-12)
        if min(n, m) > 1:
            inner = [np.abs(v[:, None] - v).sum() / (len(v) * (len(v) - 1)) for v in pair]
            truth = 2 * np.abs(pair[0][:, None] - pair[1]).mean() - sum(inner)
            assert Energy()(x, y).item() == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize("order", [1, 1.5, 2, 3])
def test_transport_along_a_line_is_the_best_assignment(order: float) -> None:
    torch.manual_seed(6)
    x, y = normal(6, 1), normal(4, 1)
    repeated = x.repeat_interleave(2, 0), y.repeat_interleave(3, 0)  # equal weights again
    cost = (repeated[0] - repeated[1].T).abs().pow(order).numpy()
    truth = cost[optimize.linear_sum_assignment(cost)].mean()
    found = SlicedWasserstein(order=order)(x, y).item()
    assert found == pytest.approx(truth, rel=1e-12)


def test_all_directions_together_are_the_energy_distance() -> None:
    torch.manual_seed(7)
    x, y = normal(12, 4, loc=0.5), normal(9, 4)
    along = torch.stack([Energy(projections=200)(x, y) for _ in range(50)])
    error = along.std().item() / 50**0.5
    assert abs(along.mean().item() - Energy()(x, y).item()) < 4 * error
    assert error < 0.01


def plan_value(cost: np.ndarray, e: float) -> float:
    """Smoothed transport by many plain steps, of the plan itself and not of its dual."""
    n, m = cost.shape
    f, g = np.zeros(n), np.zeros(m)
    for _ in range(300):
        f = -e * special.logsumexp((g - cost) / e - math.log(m), axis=1)
        g = -e * special.logsumexp((f[:, None] - cost) / e - math.log(n), axis=0)
    plan = np.exp((f[:, None] + g - cost) / e) / (n * m)
    return float((plan * cost).sum() + e * (plan * np.log(plan * n * m)).sum())


def test_sinkhorn_is_the_smoothed_cost_of_the_best_plan() -> None:
    torch.manual_seed(8)
    x, y = normal(7, 3, loc=0.5), normal(5, 3)

    def value(a: Tensor, b: Tensor) -> float:
        return plan_value(torch.cdist(a, b).square().numpy(), 2 * 0.8**2)

    truth = value(x, y) - 0.5 * (value(x, x) + value(y, y))
    assert Sinkhorn(blur=0.8, iterations=60)(x, y).item() == pytest.approx(truth, rel=1e-6)


def test_sinkhorn_lies_between_transport_and_the_distance_of_means() -> None:
    torch.manual_seed(9)
    x, y = normal(8, 2, loc=0.5), normal(8, 2)
    cost = torch.cdist(x, y).square().numpy()
    sharp = Sinkhorn(blur=0.03, iterations=400)(x, y).item()
    assert sharp == pytest.approx(cost[optimize.linear_sum_assignment(cost)].mean(), rel=0.01)
    means = (x.mean(0) - y.mean(0)).square().sum().item()
    assert Sinkhorn(blur=300.0)(x, y).item() == pytest.approx(means, rel=1e-3)
    shifted = Sinkhorn(blur=0.5, iterations=40)(x, x + 2.0).item()
    assert shifted == pytest.approx(8.0, rel=1e-4)  # a shift costs its square at any blur


# ------------------------------------------------------------------------ what all of them promise


@ROWS
def test_the_order_of_draws_is_of_no_effect(name: str) -> None:
    torch.manual_seed(10)
    x, y = normal(6, 3), normal(6, 3, loc=1.0)
    distance = seeded(DISTANCES[name].make())
    value = distance(x, y)
    assert value.shape == ()
    again = distance(x[torch.randperm(6)], y[torch.randperm(6)])
    torch.testing.assert_close(again, value, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(distance(y, x), value, rtol=1e-4, atol=1e-9)


@ROWS
@pytest.mark.parametrize("sizes", [(4, 4), (5, 3)], ids=str)
def test_gradients_are_finite_differences(name: str, sizes: tuple[int, int]) -> None:
    distance = DISTANCES[name].make()
    if isinstance(distance, Sinkhorn):  # exact at the optimum of the potentials
        distance = Sinkhorn(blur=1.5, iterations=40)
    torch.manual_seed(11)
    x, y = normal(sizes[0], 2).requires_grad_(), normal(sizes[1], 2, loc=0.5).requires_grad_()
    assert torch.autograd.gradcheck(seeded(distance), (x, y), eps=1e-6, atol=1e-5)


@ROWS
def test_equal_samples(name: str) -> None:
    """Zero where the estimate is of the two samples; an unbiased one leaves out zero distances."""
    torch.manual_seed(12)
    x = normal(6, 2)
    distance = DISTANCES[name].make()
    value = distance(x, x).item()
    assert value < -0.01 if distance.unbiased else abs(value) < 1e-6


@ROWS
def test_few_draws(name: str) -> None:
    distance = DISTANCES[name].make()
    for n, m in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 2)):
        x = torch.zeros(n, 2, requires_grad=True)
        if min(n, m) < distance.least:
            with pytest.raises(
                ValueError, match=r"at least 2 draws in each sample; got .*\(1, 2\)"
            ):
                distance(x, torch.ones(m, 2))
            continue
        value = distance(x, torch.ones(m, 2))
        (gradient,) = torch.autograd.grad(value, x)
        assert value.isfinite()
        assert value > 0.0
        assert gradient.isfinite().all()  # of draws that lie on one another, too


@ROWS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_dtypes_and_event_shapes(name: str, dtype: torch.dtype) -> None:
    distance = seeded(DISTANCES[name].make())
    torch.manual_seed(13)
    x, y = torch.randn(5, 2, 3, dtype=dtype), torch.randn(4, 2, 3, dtype=dtype)
    value = distance(x, y)
    assert value.dtype == dtype
    torch.testing.assert_close(distance(x.flatten(1), y.flatten(1)), value)
    line = distance(x[:, 0, 0], y[:, 0, 0])
    torch.testing.assert_close(distance(x[:, 0, :1], y[:, 0, :1]), line)


@ROWS
def test_recorded_it_is_the_same(name: str) -> None:
    """On tensors without content: nothing is read on the host."""
    distance = DISTANCES[name].make()

    def step(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        value = distance(x, y)
        return value.detach(), *torch.autograd.grad(value, (x, y))

    for sizes in ((4, 4), (5, 3)):
        torch.manual_seed(14)
        pair = normal(sizes[0], 2).requires_grad_(), normal(sizes[1], 2).requires_grad_()
        graph = make_fx(step, tracing_mode="fake")(*pair)
        torch.manual_seed(15)
        kept = graph(*pair)
        torch.manual_seed(15)
        torch.testing.assert_close(kept, step(*pair), rtol=0.0, atol=0.0)


@ROWS
def test_extreme_draws(name: str) -> None:
    """Far, large and small ones stay finite in float32, a nan is seen."""
    distance = DISTANCES[name].make()
    torch.manual_seed(16)
    y = torch.randn(6, 3)
    for x in (1e4 + torch.randn(6, 3), 1e6 * torch.randn(6, 3), 1e-12 * torch.randn(6, 3)):
        x.requires_grad_()
        value = distance(x, y)
        value.backward()
        assert value.isfinite()
        assert x.grad is not None
        assert x.grad.isfinite().all()
    y[2, 1] = math.nan
    assert distance(torch.randn(6, 3), y).isnan()


@pytest.mark.parametrize("distance", [Energy(), Energy(projections=5), MMD()], ids=repr)
def test_a_common_shift_costs_few_digits(distance: Distance) -> None:
    torch.manual_seed(17)
    x, y = torch.randn(50, 1), torch.randn(40, 1) + 0.5
    near, far = (seeded(distance)(x + shift, y + shift).item() for shift in (0.0, 64.0))
    assert far == pytest.approx(near, abs=2e-4)


@ROWS
def test_it_says_its_cost(name: str) -> None:
    distance = DISTANCES[name].make()
    assert "n" in distance.cost
    assert isinstance(distance.unbiased, bool)
    assert distance == DISTANCES[name].make()
    assert hash(distance) == hash(DISTANCES[name].make())


# -------------------------------------------------------------------------------------- refusals


@ROWS
def test_what_cannot_be_compared_is_refused(name: str) -> None:
    distance = DISTANCES[name].make()
    x = torch.randn(4, 2)
    with pytest.raises(ValueError, match=r"one event shape; got \(2,\) and \(3,\)"):
        distance(x, torch.randn(4, 3))
    for empty in (torch.randn(0, 2), torch.randn(4, 0), torch.tensor(1.0)):
        with pytest.raises(ValueError, match="expects samples of shape"):
            distance(x, empty)
    for other in (x.half(), x.bfloat16(), x.int()):
        with pytest.raises(TypeError, match=f"float32 or float64; got one of {other.dtype}"):
            distance(other, x)
    with pytest.raises(TypeError, match="expects samples as tensors"):
        distance([1.0], x)


def inner_product(x: Tensor, y: Tensor) -> Tensor:
    return x @ y.T


def test_a_kernel_of_ones_own() -> None:
    """The kernel x . y compares the means."""
    torch.manual_seed(18)
    found = torch.stack(
        [MMD(kernel=inner_product)(normal(3, 2, loc=1.0), normal(3, 2)) for _ in range(800)]
    )
    assert abs(found.mean().item() - 2.0) < 4 * found.std().item() / 800**0.5
    assert repr(MMD(kernel=inner_product)) == "MMD(kernel=inner_product)"
    with pytest.raises(ValueError, match=r"of shape \(3, 3\) .* returned shape \(3,\)"):
        MMD(kernel=lambda x, y: x.sum(-1))(torch.randn(3, 2), torch.randn(3, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: RBF(scale=0.0),
        lambda: RBF(scale=-1.0),
        lambda: RBF(scale=()),
        lambda: RBF(scale=(1.0, float("nan"))),
        lambda: InverseMultiquadratic(scale="1"),
        lambda: InverseMultiquadratic(scale=True),
        lambda: SlicedWasserstein(projections=0),
        lambda: SlicedWasserstein(projections=2.0),
        lambda: SlicedWasserstein(order=0.5),
        lambda: SlicedWasserstein(order=float("inf")),
        lambda: Energy(projections=0),
        lambda: Energy(projections=True),
        lambda: Sinkhorn(blur=0.0),
        lambda: Sinkhorn(blur=float("nan")),
        lambda: Sinkhorn(iterations=0),
    ],
)
def test_bad_settings(call: Any) -> None:
    with pytest.raises(ValueError, match="expects"):
        call()


@pytest.mark.parametrize("kernel", [None, 1.0, "RBF", RBF, MMD()], ids=repr)
def test_what_is_no_kernel(kernel: Any) -> None:
    with pytest.raises(TypeError, match="MMD expects kernel to be a Kernel such as RBF"):
        MMD(kernel=kernel)

"""Likelihoods of real, positive and bounded numbers: starts, ends of the support, refusals."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import LIKELIHOODS, data_for, small_vae
from scipy import special, stats
from torch import Tensor, nn

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import SoundStudentT
from pyrovae.likelihoods import Beta, Gamma, Laplace, Likelihood, LogNormal, Normal, StudentT
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO

POSITIVE = [name for name, case in LIKELIHOODS.items() if case.line == "positive"]
SHARES = [name for name in LIKELIHOODS if name.startswith("Beta")]
OURS = [
    *(name for name in LIKELIHOODS if name.startswith(("Laplace", "StudentT"))),
    *POSITIVE,
    *SHARES,
    "Normal optimal",
]


# ------------------------------------------------------------------------- ends of the support


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*POSITIVE, *SHARES])
def test_scores_are_finite_up_to_the_ends(name: str, dtype: torch.dtype) -> None:
    """At the least number above zero, a subnormal one, and at the greatest that counts."""
    limits = torch.finfo(dtype)
    smallest = torch.nextafter(torch.zeros((), dtype=dtype), torch.ones((), dtype=dtype)).item()
    ends = [smallest, limits.tiny]
    ends += [1.0 - limits.eps / 2] if name in SHARES else [1e15, limits.max]
    for value in ends:
        part = LIKELIHOODS[name].make((3,)).to(dtype)
        raw = torch.zeros(part.head.out_shape((3,)), dtype=dtype).requires_grad_()
        x = torch.full((3,), value, dtype=dtype)
        score = part(raw, Context()).log_prob(x)
        score.backward()
        assert score.isfinite(), value
        assert raw.grad.isfinite().all(), value
        assert part.inputs(x).isfinite().all()
        assert all(p.grad.isfinite().all() for p in part.parameters())


@pytest.mark.parametrize("extreme", [1e4, -1e4])
@pytest.mark.parametrize("name", [*POSITIVE, *SHARES])
def test_ends_of_the_support_under_extreme_raw_numbers(name: str, extreme: float) -> None:
    part = LIKELIHOODS[name].make((2,))
    for parameter in part.parameters():
        nn.init.constant_(parameter, -extreme)
    raw = torch.full(part.head.out_shape((2,)), extreme, requires_grad=True)
    limits = torch.finfo(torch.float32)
    x = torch.tensor([limits.tiny, 1.0 - limits.eps / 2 if name in SHARES else 1e6])
    score = part(raw, Context()).log_prob(x)
    score.backward()
    assert score.isfinite()
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize("name", [*POSITIVE, *SHARES])
def test_what_lies_outside_is_an_error_with_a_remedy(name: str) -> None:
    vae = small_vae(likelihood=name, shape=(2,))
    outside = [0.0, -0.5, math.nan, math.inf, 1e-60]  # the last is zero in the model's precision
    outside += [1.0, 1.0 - 1e-12, 1.5] if name in SHARES else [1e60]
    good = torch.full((3, 2), 0.5, dtype=torch.float64)
    vae.check({"x": good})
    for value in outside:
        x = good.clone()
        x[1, 1] = value
        with pytest.raises(ValueError, match=r"cannot score x\[1, 1\]") as raised:
            vae.check({"x": x})
        words = "x * (n - 1) + 0.5) / n" if name in SHARES else "half of the least amount"
        assert words in str(raised.value)
        observed = torch.ones(3, 2, dtype=torch.bool)
        observed[1, 1] = False
        vae.check({"x": x, "observed": observed})


@pytest.mark.parametrize("name", [*POSITIVE, *SHARES])
def test_fill_is_inside_and_seen_as_such(name: str) -> None:
    part = LIKELIHOODS[name].make((2,))
    assert part(torch.zeros(part.head.out_shape((2,))), Context()).support.check(
        torch.full((2,), part.fill)
    )
    assert part.inputs(torch.tensor(part.fill)).item() == 0.0


# ---------------------------------------------------------------------------------------- starts


@pytest.mark.parametrize("name", OURS)
def test_a_column_that_is_nowhere_observed_has_a_start(name: str) -> None:
    part = LIKELIHOODS[name].make((3,))
    x = torch.full((7, 3), part.fill)
    x[:, 1:] = torch.rand(7, 2) * 0.8 + 0.1
    observed = torch.tensor([False, True, True]).expand(7, 3)
    raw = part.prepare({"x": x, "observed": observed})
    assert raw.isfinite().all()
    made = part(raw, Context())
    assert made.mean.isfinite().all()
    assert made.log_prob(x.double()).isfinite().all()


@pytest.mark.parametrize(
    ("part", "draws"),
    [
        (Laplace((1,), scale="shared"), stats.laplace(1.0, 2.0)),
        (StudentT((1,), scale="element", df=6), stats.t(6, 1.0, 2.0)),
        (LogNormal((1,)), stats.lognorm(0.7, scale=3.0)),
        (Gamma((1,), concentration="element"), stats.gamma(2.5, scale=0.3)),
        (Beta((1,), concentration="network"), stats.beta(2.0, 5.0)),
    ],
    ids=["Laplace", "StudentT", "LogNormal", "Gamma", "Beta"],
)
def test_a_start_is_near_the_fit_by_moments(part: Likelihood, draws: Any) -> None:
    """Of 20,000 draws with a fixed seed, in variance; the tolerance is 15 standard errors or so."""
    x = torch.as_tensor(draws.rvs((20000, 1), random_state=3))
    made = part.double()(part.prepare({"x": x}).double(), Context())
    assert made.mean.item() == pytest.approx(x.mean().item(), rel=1e-4)
    assert made.variance.item() == pytest.approx(x.var().item(), rel=1e-3)
    assert made.variance.item() == pytest.approx(draws.var(), rel=0.15)


# -------------------------------------------------------------------------------------- training


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.parametrize("name", OURS)
def test_trains_evaluates_and_is_kept(name: str, tmp_path: Path) -> None:
    vae = small_vae(likelihood=name, shape=(4,), decoder=MLP((8,)))
    x = data_for(vae, 64)
    if name not in SHARES:
        x = 1.7 * x
    vae.prepare({"x": x})
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)
    loss = ELBO()(vae.model, vae.guide)
    values = []
    for _ in range(21):
        torch.manual_seed(1)
        value = loss(x)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]
    result = pyrovae.evaluate(vae, x, samples=10)
    assert math.isfinite(result.log_prob)
    pyrovae.save(vae, tmp_path / "model")
    again = pyrovae.load(tmp_path / "model")
    assert repr(again) == repr(vae)
    assert pyrovae.evaluate(again, x, samples=10).log_prob == result.log_prob


def test_degrees_of_freedom_and_concentrations_are_found() -> None:
    """By maximum likelihood from 4000 draws; the tolerances are 4 standard errors or more."""
    for part, draws, name, truth, tolerance in (
        (StudentT((1,), scale="shared", df="shared"), stats.t(3.0, 0.5, 2.0), "df", 3.0, 0.8),
        (Gamma((1,)), stats.gamma(2.5, scale=2.0 / 2.5), "concentration", 2.5, 0.25),
        (Beta((1,)), stats.beta(0.6, 1.4), "concentration", 2.0, 0.2),
        (LogNormal((1,)), stats.lognorm(0.7, scale=3.0), "scale", 0.7, 0.035),
        (Laplace((1,), scale="shared"), stats.laplace(0.5, 2.0), "scale", 2.0, 0.13),
    ):
        x = torch.as_tensor(draws.rvs((4000, 1), random_state=3))
        part.double()
        raw = part.prepare({"x": x}).double().requires_grad_()
        optimizer = torch.optim.LBFGS([raw, *part.parameters()], line_search_fn="strong_wolfe")

        def closure(part: Any = part, x: Tensor = x, raw: Tensor = raw, o: Any = optimizer) -> Any:
            o.zero_grad()
            loss = -part(raw, Context()).log_prob(x).mean()
            loss.backward()
            return loss

        for _ in range(5):
            optimizer.step(closure)
        base = part(raw, Context()).base_dist
        assert getattr(base, name).item() == pytest.approx(truth, abs=tolerance), name


# ------------------------------------------------------------------------------- numbers, refusals


def test_student_t_keeps_its_digits() -> None:
    """In float32 for many degrees of freedom, and far out, where torch's loses or overflows."""
    df = torch.tensor([1.0001, 3.0, 1e2, 1e4, 1e6])
    made = SoundStudentT(df, torch.tensor(0.0), torch.tensor(1.0))
    truth = stats.t.logpdf(np.float32(0.7), df.double().numpy())
    np.testing.assert_allclose(made.log_prob(torch.tensor(0.7)).numpy(), truth, atol=2e-7)
    assert made.log_prob(torch.tensor(1e30)).isfinite().all()


def test_concentrated_densities_keep_their_digits() -> None:
    x = np.float32(0.5001)
    made = Beta((1,), concentration=1e4)(torch.zeros(1), Context())
    truth = stats.beta.logpdf(x, 5e3, 5e3)
    assert made.log_prob(torch.full((1,), float(x))).item() == pytest.approx(truth, abs=2e-6)
    likelihood = Gamma((1,), concentration=1e4)
    raw = torch.zeros(1)
    mean = likelihood(raw, Context()).mean.item()
    truth = stats.gamma.logpdf(x, 1e4, scale=mean / 1e4)
    assert likelihood(raw, Context()).log_prob(torch.full((1,), float(x))).item() == (
        pytest.approx(truth, rel=1e-6)
    )


@pytest.mark.parametrize("a", [1e-4, 1e-2, 1.0, 1e4])
def test_draws_of_small_concentrations(a: float) -> None:
    """torch's draws are cut off at the least number; the logarithms of ours are exact.

    By Kolmogorov and Smirnov's test on 2000 draws with a fixed seed, false alarm 1e-6.
    """
    from pyrovae.distributions import log_gamma_draws

    log_draws = log_gamma_draws(torch.full((2000,), a, dtype=torch.float64)).numpy()
    if a >= 1.0:
        assert stats.kstest(np.exp(log_draws), stats.gamma(a).cdf).pvalue > 1e-6
    else:  # P(X <= x) is x^a / Gamma(a + 1) for small x
        small = log_draws < -3.0
        below = np.exp(a * log_draws - special.gammaln(a + 1.0))
        least = special.gammainc(a, np.exp(-3.0))
        assert abs(small.mean() - least) < 5.0 * math.sqrt(least * (1 - least) / 2000) + 1e-3
        assert stats.kstest(below[small] / below[small].max(), "uniform").pvalue > 1e-6


@pytest.mark.parametrize(
    "value", [0, 0.0, -1.0, 1e-5, math.nan, math.inf, True, None, "both", "optimal", [1.0], 10**400]
)
def test_bad_numbers(value: Any) -> None:
    for kind, name in (
        (Laplace, "scale"),
        (LogNormal, "scale"),
        (StudentT, "scale"),
        (StudentT, "df"),
        (Gamma, "concentration"),
        (Beta, "concentration"),
    ):
        with pytest.raises(ValueError, match=rf"{kind.__name__} expects {name} to be .*; got"):
            kind((2,), **{name: value})


@pytest.mark.parametrize("value", [1.0, 0.5, 2e6])
def test_degrees_of_freedom_without_a_mean(value: float) -> None:
    with pytest.raises(ValueError, match=r"df to be a number from 1\.0001 to 1e\+06"):
        StudentT((2,), df=value)


def test_options_are_keyword_only() -> None:
    for kind in (Laplace, StudentT, LogNormal, Gamma, Beta):
        with pytest.raises(TypeError, match="argument"):
            kind((2,), 1.0)


def test_infinite_data_are_an_error() -> None:
    for part in (Normal((2,)), Laplace((2,)), StudentT((2,))):
        with pytest.raises(ValueError, match="cannot score"):
            small_vae(likelihood=part).check({"x": torch.tensor([[0.0, math.inf]])})

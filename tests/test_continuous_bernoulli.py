"""The continuous Bernoulli distribution at any logits, against integrals and a second writing."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from cases import small_vae
from scipy import integrate, stats

from pyrovae.context import Context
from pyrovae.distributions import LogitsContinuousBernoulli
from pyrovae.likelihoods import ContinuousBernoulli

LOGITS = [0.0, 1e-30, 1e-8, 1e-4, 0.0099, 0.0101, 0.3, 0.999, 1.001, 3.0, 10.0, 16.0, 20.0, 60.0]
LOGITS = sorted([*LOGITS, *(-value for value in LOGITS[1:])])
STEEP = [*LOGITS, *(sign * value for sign in (-1.0, 1.0) for value in (90.0, 300.0, 1e4))]
DTYPES = [torch.float32, torch.float64]


def grid(logit: float) -> torch.Tensor:
    """Gauss-Legendre nodes of pieces that become shorter towards the end with the mass."""
    edges = np.r_[0.0, np.geomspace(1e-7, 1.0, 60)]
    return torch.tensor(edges if logit <= 0 else 1.0 - edges[::-1])


def integral(
    logit: float, dtype: torch.dtype, function: Callable[[Any], Any] = np.ones_like
) -> float:
    """The integral of `f(x) p(x)`: p in the precision at hand, the sum in float64."""
    made = LogitsContinuousBernoulli(torch.tensor(logit, dtype=dtype))
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = grid(logit).numpy()
    half = 0.5 * np.diff(edges)[:, None]
    x = edges[:-1, None] + half * (nodes + 1.0)
    value = torch.tensor(x).to(dtype)
    # at the value as rounded: near 1, and steep, the rounding alone would be seen
    shift = np.exp(logit * (x - value.double().numpy()))
    density = made.log_prob(value).double().exp().numpy() * shift
    return float((density * function(x) * half * weights).sum())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("logit", STEEP)
def test_it_integrates_to_one(logit: float, dtype: torch.dtype) -> None:
    error = 2e-7 * max(8.0, abs(logit)) if dtype == torch.float32 else 1e-11
    assert integral(logit, dtype) == pytest.approx(1.0, abs=error)


@pytest.mark.parametrize("logit", STEEP)
def test_mean_and_variance_are_integrals(logit: float) -> None:
    for dtype, error in ((torch.float32, 3e-6), (torch.float64, 1e-10)):
        made = LogitsContinuousBernoulli(torch.tensor(logit, dtype=dtype))
        mean = integral(logit, torch.float64, lambda x: x)
        assert made.mean.item() == pytest.approx(mean, rel=error)
        variance = integral(logit, torch.float64, lambda x, at=mean: (x - at) ** 2)
        assert made.variance.item() == pytest.approx(variance, rel=error)


@pytest.mark.parametrize("logit", [0.25, 1.5, 5.0, -16.0, 40.0])
def test_the_series_is_that_of_exact_fractions(logit: float) -> None:
    """`log int_0^1 e^(l x) dx` in fractions, by the series of e: no formula of ours."""
    exact = Fraction(logit)
    term, total = Fraction(1), Fraction(0)
    for n in range(200):
        total += term / (n + 1)
        term = term * exact / (n + 1)
    ratio = float(total)
    made = LogitsContinuousBernoulli(torch.tensor(logit, dtype=torch.float64))
    score = made.log_prob(torch.tensor(0.0, dtype=torch.float64)).item()
    assert score == pytest.approx(-np.log(ratio), rel=1e-13)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_gradient_of_the_score_is_value_less_mean(dtype: torch.dtype) -> None:
    for value in (0.0, 0.3, 1.0):
        logits = torch.tensor(STEEP, dtype=dtype, requires_grad=True)
        made = LogitsContinuousBernoulli(logits)
        made.log_prob(torch.tensor(value, dtype=dtype)).sum().backward()
        truth = value - LogitsContinuousBernoulli(logits.detach().double()).mean
        error = 2e-7 if dtype == torch.float32 else 1e-13
        torch.testing.assert_close(logits.grad.double(), truth, rtol=0, atol=error)


def test_saturated_logits_are_told_apart() -> None:
    """torch's distribution scores 20 and 90 the same, with no gradient between."""
    logits = torch.tensor([20.0, 90.0], requires_grad=True)
    scores = LogitsContinuousBernoulli(logits).log_prob(torch.ones(2))
    torch.testing.assert_close(scores, torch.tensor([20.0, 90.0]).log())
    (gradient,) = torch.autograd.grad(scores.sum(), logits)
    torch.testing.assert_close(gradient, torch.tensor([1 / 20.0, 1 / 90.0]), rtol=1e-5, atol=0)
    flat = torch.distributions.ContinuousBernoulli(logits=logits).log_prob(torch.ones(2))
    assert flat[0] == flat[1], "torch's has become sound: ours may go"


@pytest.mark.parametrize("logit", STEEP)
def test_quantiles_and_the_distribution_function(logit: float) -> None:
    rate = abs(logit)
    made = LogitsContinuousBernoulli(torch.tensor(logit, dtype=torch.float64))
    at = torch.tensor([0.0, 1e-6, 0.1, 0.5, 0.77, 1.0], dtype=torch.float64)
    if rate < 1e-6:
        truth = at.numpy()
    else:
        cut = stats.truncexpon(rate, scale=1.0 / rate)
        truth = cut.cdf(at) if logit < 0 else cut.sf(1.0 - at.numpy())
    np.testing.assert_allclose(made.cdf(at).numpy(), truth, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(made.cdf(made.icdf(at)), at, rtol=1e-9, atol=1e-9)
    assert made.icdf(at)[0] == 0.0
    assert made.icdf(at)[-1] == 1.0
    single = LogitsContinuousBernoulli(torch.tensor(logit)).icdf(at.float())
    torch.testing.assert_close(
        single.double(), made.icdf(at.float().double()), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("logit", [-30.0, -0.005, 0.0, 0.5, 90.0, 1e4])
def test_draws_follow_the_distribution_function(logit: float) -> None:
    """Kolmogorov-Smirnov on 20,000 draws in float32, fixed seed: false alarm 1e-6."""
    torch.manual_seed(0)
    drawn = LogitsContinuousBernoulli(torch.tensor(logit)).sample((20_000,)).double()
    cdf = LogitsContinuousBernoulli(torch.tensor(logit, dtype=torch.float64)).cdf
    assert stats.kstest(drawn.numpy(), lambda x: cdf(torch.tensor(x)).numpy()).pvalue > 1e-6


def test_the_gradient_of_a_draw_is_that_of_the_mean() -> None:
    """`dE[x]/dl` is the variance; five standard errors of 50,000 draws each: 3e-6."""
    torch.manual_seed(1)
    for logit in (-20.0, -0.5, 0.0, 0.00999, 3.0, 100.0):
        logits = torch.full((50_000,), logit, dtype=torch.float64, requires_grad=True)
        made = LogitsContinuousBernoulli(logits)
        (gradient,) = torch.autograd.grad(made.rsample().sum(), logits)
        error = gradient.std() / 50_000**0.5
        assert (gradient.mean() - made.variance[0]).abs() < 5 * error


def test_the_entropy_is_an_integral() -> None:
    for logit in (-8.0, 0.0, 0.7, 25.0):
        made = LogitsContinuousBernoulli(torch.tensor(logit, dtype=torch.float64))

        def minus(x: float, made: LogitsContinuousBernoulli = made) -> float:
            score = made.log_prob(torch.tensor(x, dtype=torch.float64)).item()
            return -score * np.exp(score)

        assert made.entropy().item() == pytest.approx(integrate.quad(minus, 0, 1)[0], abs=1e-8)


def test_what_is_outside_is_refused() -> None:
    made = LogitsContinuousBernoulli(torch.zeros(2))
    for wrong in (-1e-3, 1.001, float("nan")):
        with pytest.raises(ValueError, match="support"):
            made.log_prob(torch.tensor(wrong))
    with pytest.raises(ValueError, match="probabilities from 0 to 1"):
        made.icdf(torch.tensor(1.5))
    vae = small_vae(likelihood="ContinuousBernoulli")
    with pytest.raises(ValueError, match="divide grey levels by the largest one"):
        vae.check({"x": torch.full((2, 1, 4, 3), 200.0)})


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_it_begins_at_constant_data(value: float) -> None:
    part = ContinuousBernoulli((2,))
    raw = part.prepare({"x": torch.full((5, 2), value)})
    assert raw.isfinite().all()
    torch.testing.assert_close(
        part(raw, Context()).mean, torch.full_like(raw, value), rtol=0, atol=1.1e-3
    )

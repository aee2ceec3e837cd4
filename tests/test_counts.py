"""Counts and codes: log-probabilities, quantiles and draws at the ends; known parameters found."""

from typing import Any

import numpy as np
import pytest
import torch
from cases import array, data_for, scale_of, small_vae
from scipy import stats
from torch import Tensor

import pyrovae
from pyrovae.context import Context
from pyrovae.distributions import Codes, DispersedNegativeBinomial, LogPoisson, ZeroInflated
from pyrovae.likelihoods import (
    Categorical,
    Likelihood,
    NegativeBinomial,
    Ordinal,
    Poisson,
    ZeroInflatedNegativeBinomial,
)
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

COUNTS: dict[str, Likelihood] = {
    "Poisson": Poisson((1,)),
    "NegativeBinomial": NegativeBinomial((1,), dispersion="network"),
    "ZeroInflatedNegativeBinomial": ZeroInflatedNegativeBinomial((1,), dispersion="network"),
}
CODES: dict[str, Likelihood] = {
    "Categorical": Categorical((1,), levels=5),
    "Ordinal": Ordinal((1,), levels=5),
}
SIMPLE = [Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial, Categorical, Ordinal]


# ----------------------------------------------------------------------------------- the ends


@pytest.mark.parametrize("x", [0.0, 1.0, 1e6, 2.0**24])
@pytest.mark.parametrize("raw", [-1e4, -30.0, 0.0, 14.0, 30.0, 1e4])
@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_finite_in_float32_at_the_ends(name: str, raw: float, x: float) -> None:
    likelihood = COUNTS[name]
    size = likelihood.head.out_shape((1,))[0]
    for pattern in ([raw] * size, [raw, -raw, raw][:size]):
        numbers = torch.tensor(pattern, requires_grad=True)
        score = likelihood(numbers, Context()).log_prob(torch.tensor([x]))
        (gradient,) = torch.autograd.grad(score, numbers)
        assert score.isfinite(), (pattern, score)
        assert gradient.isfinite().all(), (pattern, gradient)


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("raw", [-1e4, -100.0, 100.0, 1e4])
def test_codes_are_finite_and_have_a_gradient_far_out(name: str, raw: float) -> None:
    likelihood = CODES[name]
    size = likelihood.head.out_shape((1,))[0]
    for level in range(5):
        numbers = torch.zeros(size)
        numbers[0] = raw
        numbers.requires_grad_()
        score = likelihood(numbers, Context()).log_prob(torch.tensor([float(level)]))
        (gradient,) = torch.autograd.grad(score, numbers)
        assert score.isfinite()
        assert gradient.isfinite().all()
        if score < -1.0:  # what is unlikely is pulled back
            assert gradient.abs().sum() > 0.5


@pytest.mark.parametrize(("x", "mean"), [(1e6, 1.001e6), (1e6, 5e5), (3e4, 3.1e4), (40.0, 35.0)])
def test_large_counts_keep_their_digits_in_float32(x: float, mean: float) -> None:
    """Within what rounding the logarithm of the mean to float32 costs, with its gradient."""
    log_mean = torch.tensor(mean).log().requires_grad_()
    rounded = np.exp(np.float64(log_mean.item()))
    value = torch.tensor(x)
    score = LogPoisson(log_mean).log_prob(value)
    assert score.item() == pytest.approx(stats.poisson.logpmf(x, rounded), rel=2e-7)
    (gradient,) = torch.autograd.grad(score, log_mean)
    assert gradient.item() == pytest.approx(x - rounded, rel=1e-6, abs=1e-6)
    for dispersion in (1e-4, 0.5, 100.0):
        given = torch.tensor(dispersion, requires_grad=True)
        size = 1.0 / np.float64(given.item())
        score = DispersedNegativeBinomial(log_mean, given).log_prob(value)
        exact = stats.nbinom.logpmf(x, size, size / (size + rounded))
        assert score.item() == pytest.approx(exact, rel=3e-7, abs=3e-7)
        (gradient,) = torch.autograd.grad(score, log_mean)
        assert gradient.item() == pytest.approx(
            size * (x - rounded) / (size + rounded), rel=1e-6, abs=1e-6
        )


def test_a_small_dispersion_has_its_gradient_in_float32() -> None:
    """By central differences in SciPy, where float32 would leave nothing true."""
    dispersion = torch.tensor(1e-4, requires_grad=True)
    score = DispersedNegativeBinomial(torch.tensor(40.0).log(), dispersion).log_prob(
        torch.tensor(55.0)
    )
    (gradient,) = torch.autograd.grad(score, dispersion)
    expected = ((55.0 - 40.0) ** 2 - 55.0) / 2.0  # of the Poisson limit
    assert gradient.item() == pytest.approx(expected, rel=0.02)


def test_an_ordinal_is_exact_where_probabilities_are_rounded() -> None:
    likelihood = Ordinal((1,), levels=3)
    for loc in (100.0, 1e4):
        scores = [likelihood(torch.tensor([loc]), Context()).log_prob(torch.tensor([k]))
                  for k in (0.0, 1.0, 2.0)]  # fmt: skip
        gap = float(scale_of(np.zeros(())))
        middle = 0.5 * gap - loc + np.log1p(-np.exp(-gap))
        assert [s.item() for s in scores] == pytest.approx(
            [-0.5 * gap - loc, middle, 0.0], rel=1e-6, abs=1e-6
        )


def test_two_levels_are_bernoulli() -> None:
    for likelihood, raw in (
        (Ordinal((3,), levels=2), torch.tensor([-1.0, 0.0, 2.0])),
        (Categorical((3,)), torch.tensor([0.0, 0.0, 0.0, -1.0, 0.0, 2.0])),
    ):
        truth = stats.bernoulli(1 / (1 + np.exp([1.0, 0.0, -2.0])))
        made = likelihood(raw, Context())
        for x in (torch.zeros(3), torch.ones(3), torch.tensor([1.0, 0.0, 1.0])):
            exact = truth.logpmf(x.numpy()).sum()
            assert made.log_prob(x).item() == pytest.approx(exact, rel=1e-6)


def test_what_is_no_code_has_no_mass() -> None:
    """It is an infinite loss, which training stops at, and no index out of range."""
    made = Codes(torch.zeros(3), validate_args=False)
    values = torch.tensor([-1.0, 3.0, 0.5, float("nan"), float("inf"), 1e30])
    assert (made.log_prob(values) == -torch.inf).all()
    with pytest.raises(ValueError, match="within the support"):
        Codes(torch.zeros(3)).log_prob(torch.tensor(3.0))


# ----------------------------------------------------------------------------------- quantiles

MEANS = [1e-3, 0.3, 2.0, 30.0, 4000.0, 1e6]
PROBABILITIES = [0.0, 1e-6, 0.05, 0.5, 0.9, 0.999, 1.0 - 1e-9]


@pytest.mark.usefixtures("float64")
def test_quantiles_and_cumulative_probabilities_of_counts_are_scipys() -> None:
    """Quantiles may differ by one where SciPy's own cumulative probability is within 1e-9."""
    probability = torch.tensor(PROBABILITIES)
    for mean in MEANS:
        log_mean = torch.tensor(mean).log()
        rows: list[tuple[Any, Any]] = [(LogPoisson(log_mean), stats.poisson(mean))]
        for dispersion in (1e-4, 0.5, 3.0):
            size = 1.0 / dispersion
            made = DispersedNegativeBinomial(log_mean, torch.tensor(dispersion))
            rows.append((made, stats.nbinom(size, size / (size + mean))))
        for made, truth in rows:
            found = array(made.icdf(probability))
            assert (found >= 0.0).all()
            reached = truth.cdf(found)
            assert (reached >= np.array(PROBABILITIES) - 1e-9).all(), (made, mean, found)
            short = np.where(found > 0, truth.cdf(found - 1.0), 0.0)
            assert ((short <= np.array(PROBABILITIES) + 1e-9) | (found == 0)).all()
            at = torch.tensor([-1.0, 0.0, 0.5 * mean, mean, 2.0 * mean + 3.0]).floor()
            np.testing.assert_allclose(array(made.cdf(at)), truth.cdf(array(at)), atol=1e-9)


@pytest.mark.usefixtures("float64")
def test_quantiles_of_inflated_counts_and_of_codes_are_those_of_their_masses() -> None:
    counts = DispersedNegativeBinomial(torch.tensor([0.0, 2.0]), torch.tensor([0.5, 2.0]))
    inflated = ZeroInflated(counts, torch.tensor([-1.0, 1.0]))
    codes = Codes(torch.tensor([[0.0, 1.0, -2.0, 0.5], [-9.0, 0.0, 3.0, -9.0]]))
    for made, most in ((inflated, 500), (codes, 4)):
        values = torch.arange(float(most)).unsqueeze(-1)
        reached = made.log_prob(values).exp().cumsum(0)
        torch.testing.assert_close(made.cdf(values), reached)
        for probability in (0.0, 0.1, 0.5, 0.73, 0.8, 0.99, 0.999):
            expected = (reached < probability).sum(0).double()
            assert torch.equal(made.icdf(torch.tensor(probability)), expected)
    assert torch.equal(codes.icdf(torch.tensor(1.0)), torch.tensor([3.0, 3.0]))
    assert inflated.icdf(torch.tensor(1.0)).isinf().all()
    for made in (inflated, codes, counts):
        assert made.icdf(torch.tensor([1.5, -0.1])).isnan().all()


@pytest.mark.usefixtures("float64")
def test_moments_are_those_of_the_masses() -> None:
    counts = DispersedNegativeBinomial(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.2]))
    codes = Codes(torch.tensor([[0.0, 1.0, -2.0, 0.5], [-9.0, 0.0, 3.0, -9.0]]))
    inflated = ZeroInflated(counts, torch.tensor([-1.0, 1.0]))
    for made, most in ((counts, 900), (inflated, 900), (codes, 4)):
        values = torch.arange(float(most)).unsqueeze(-1)
        mass = made.log_prob(values).exp()
        torch.testing.assert_close(mass.sum(0), torch.ones(2))
        mean = (mass * values).sum(0)
        torch.testing.assert_close(made.mean, mean)
        torch.testing.assert_close(made.variance, (mass * (values - mean) ** 2).sum(0))
    assert codes.mode.tolist() == [1.0, 2.0]
    assert torch.equal(codes.enumerate_support()[:, 1], torch.arange(4.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_types_of_expanded_distributions(dtype: torch.dtype) -> None:
    zero = torch.zeros(3, dtype=dtype)
    for made in (
        LogPoisson(zero),
        DispersedNegativeBinomial(zero, zero + 0.5),
        ZeroInflated(LogPoisson(zero), zero),
        Codes(torch.zeros(3, 4, dtype=dtype)),
    ):
        wide = made.expand((2, 3))
        assert wide.batch_shape == (2, 3)
        draws = wide.sample((5,))
        score = wide.log_prob(draws)
        assert draws.shape == score.shape == (5, 2, 3)
        assert draws.dtype == score.dtype == wide.mean.dtype == wide.icdf(zero).dtype == dtype
        torch.testing.assert_close(score, made.log_prob(draws))
        assert made.log_prob(torch.zeros(7, 1, dtype=dtype)).shape == (7, 3)
        masked = made.to_event(1).mask(torch.tensor(True))
        assert masked.log_prob(zero).shape == ()


def test_draws_of_large_means_follow_them() -> None:
    """Each mean within 6 standard errors: false alarm 2e-9 each."""
    for raw in (3.0, 16.0, 18.0, 25.0):
        made = LogPoisson(torch.tensor(raw))
        draws = made.sample((4000,)).double()
        error = made.mean.double().sqrt() / 4000**0.5
        assert (draws.mean() - made.mean.double()).abs() < 6.0 * error + 1e-6 * made.mean
        assert draws.var() == pytest.approx(float(made.mean), rel=0.2)


# --------------------------------------------------------------------------- what is recovered


def fitted(likelihood: Likelihood, x: Tensor) -> dict[str, Tensor]:
    """The likeliest raw numbers and parameters, from where `prepare` begins."""
    raw = likelihood.prepare({"x": x})
    assert raw is not None
    raw = raw.detach().to(x.dtype).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [raw, *likelihood.parameters()], max_iter=200, line_search_fn="strong_wolfe"
    )

    def loss() -> Any:
        optimizer.zero_grad()
        value = -likelihood(raw, Context()).log_prob(x).mean()
        value.backward()
        return value

    optimizer.step(loss)
    return {**likelihood.head.unpack(raw.detach(), likelihood.event_shape)}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("dispersion", ["element", "network"])
def test_simulated_counts_give_their_parameters_back(dispersion: Any) -> None:
    """20,000 draws by SciPy: means within 5 %, dispersions within 10 %, gates within 0.03.

    These are at least 4 standard errors of the maximum-likelihood estimates.
    """
    means, dispersions = np.array([2.0, 8.0, 30.0]), np.array([0.5, 1.0, 0.2])
    gates = np.array([0.3, 0.5, 0.1])
    size = 1.0 / dispersions
    generator = np.random.default_rng(3)
    counts = stats.nbinom.rvs(size, size / (size + means), size=(20000, 3), random_state=generator)
    shut = generator.random((20000, 3)) < gates
    for inflated in (False, True):
        kind = ZeroInflatedNegativeBinomial if inflated else NegativeBinomial
        likelihood = kind((3,), dispersion=dispersion)
        x = torch.tensor(np.where(shut & inflated, 0, counts), dtype=torch.float64)
        found = fitted(likelihood, x)
        raw = likelihood.raw_dispersion if dispersion == "element" else found["dispersion"]
        np.testing.assert_allclose(array(found["mean"].exp()), means, rtol=0.05)
        np.testing.assert_allclose(scale_of(array(raw)), dispersions, rtol=0.1)
        if inflated:
            np.testing.assert_allclose(array(found["gate"].sigmoid()), gates, atol=0.03)


@pytest.mark.usefixtures("float64")
def test_ordinal_cut_points_are_recovered() -> None:
    """20,000 logistic draws, cut at known points: distances within 0.1, five standard errors."""
    cuts = np.array([-2.0, -0.5, 1.5])
    latent = stats.logistic.rvs(size=(20000, 2), random_state=4) + np.array([0.0, 1.0])
    x = torch.tensor(np.searchsorted(cuts, latent).astype(float))
    for kind in ("element", "shared"):
        likelihood = Ordinal((2,), levels=4, cuts=kind)
        found = fitted(likelihood, x)
        gaps = scale_of(array(likelihood.raw_gaps))
        np.testing.assert_allclose(gaps, np.broadcast_to(np.diff(cuts), gaps.shape), atol=0.1)
        np.testing.assert_allclose(
            array(found["loc"]), np.array([0.0, 1.0]) - cuts.mean(), atol=0.1
        )


# ------------------------------------------------------------------------------------- models


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.parametrize("kind", SIMPLE)
def test_a_model_of_each_learns_is_measured_and_saved(kind: Any, tmp_path: Any) -> None:
    options = {"levels": 4} if kind in (Categorical, Ordinal) else {}
    vae = small_vae(likelihood=kind((6,), **options), shape=(6,))
    torch.manual_seed(2)
    factor = torch.randn(200, 1)
    x = torch.poisson((0.8 * factor * torch.tensor([1.0, -1, 1, 1, -1, 1])).exp())
    x = x.clamp(max=3.0) if options else x
    x[:, 0] = 0.0  # a constant element
    seen = torch.rand(200, 6) < 0.8
    batch = {"x": torch.where(seen, x, torch.nan), "observed": seen}
    vae.prepare(batch)
    loss = ELBO(particles=10)(vae.model, vae.guide)
    optimizer = torch.optim.Adam(vae.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        torch.manual_seed(7)
        optimizer.zero_grad()
        value = loss(**batch)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < losses[0] - 20.0, losses
    result = pyrovae.evaluate(vae, batch, samples=50)
    assert np.isfinite(result.log_prob)
    assert pyrovae.evaluate(vae, {"x": x}, samples=5).bits_per_dim is not None
    pyrovae.save(vae, tmp_path / "model")
    loaded = pyrovae.load(tmp_path / "model")
    assert repr(loaded.likelihood) == repr(vae.likelihood)
    assert pyrovae.evaluate(loaded, batch, samples=50).log_prob == result.log_prob
    typical = vae.reconstruct(x)
    assert typical.shape == x.shape
    assert torch.equal(typical, typical.round()) == bool(options)  # codes, and no mean of codes


@pytest.mark.filterwarnings("ignore:poor importance weights")
def test_a_model_recovers_the_dispersion_behind_a_factor() -> None:
    """Counts whose means follow one factor: the noise beyond it, within a quarter.

    Without the factor the dispersion would be that of the data, three times as large.
    """
    generator = np.random.default_rng(5)
    factor = generator.standard_normal((800, 1))
    mean = np.exp(2.5 + 0.8 * factor * np.sign(generator.standard_normal(20)))
    x = torch.tensor(stats.nbinom.rvs(4.0, 4.0 / (4.0 + mean), random_state=generator)).float()
    vae = pyrovae.VAE(
        prior=StandardNormal(1),
        likelihood=NegativeBinomial((20,), dispersion="shared"),
        posterior=MeanFieldNormal(),
        encoder=MLP(()),
        decoder=MLP(()),
    )
    start = NegativeBinomial((20,), dispersion="shared")
    start.prepare({"x": x})
    assert start.raw_dispersion is not None
    assert scale_of(array(start.raw_dispersion)) > 0.75
    pyrovae.fit(
        vae, x, epochs=20, batch_size=100, seed=0, progress=False,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.05),
    )  # fmt: skip
    assert isinstance(vae.likelihood, NegativeBinomial)
    assert vae.likelihood.raw_dispersion is not None
    found = float(scale_of(array(vae.likelihood.raw_dispersion)))
    assert found == pytest.approx(0.25, rel=0.25)


def test_the_encoder_sees_logarithms_of_counts_and_levels_on_a_unit() -> None:
    x = torch.tensor([0.0, 1.0, 1e6])
    for kind in (Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial):
        torch.testing.assert_close(kind((3,)).inputs(x), torch.log(1.0 + x))
    assert Ordinal((3,), levels=5).inputs(torch.tensor([0.0, 2.0, 4.0])).tolist() == [0.0, 0.5, 1.0]


def test_starting_values_for_data_at_the_ends() -> None:
    """All zeros, all of one level, nothing observed, enormous: finite, and near the data."""
    for kind in SIMPLE:
        for value in (0.0, 2.0):
            likelihood = kind((4,), **({"levels": 3} if kind in (Categorical, Ordinal) else {}))
            x = torch.full((9, 4), value)
            seen = torch.ones(9, 4, dtype=torch.bool)
            seen[:, 1] = False
            raw = likelihood.prepare({"x": torch.where(seen, x, 0.0), "observed": seen})
            made = likelihood(raw.float(), Context())
            assert made.log_prob(x).isfinite().all()
            known = [0, 2, 3]
            torch.testing.assert_close(made.mean[known], x[0, known], atol=0.01, rtol=0.01)
    for kind in (Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial):
        x = torch.full((5, 4), 1e9)
        likelihood = kind((4,))
        raw = likelihood.prepare({"x": x})
        torch.testing.assert_close(likelihood(raw.float(), Context()).mean, x[0], rtol=0.03, atol=0)


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("levels", [1, 0, -2, 2.0, True, "3", None, 2**31])
@pytest.mark.parametrize("kind", [Categorical, Ordinal])
def test_levels_that_are_none(kind: Any, levels: Any) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__} expects levels to be an integer"):
        kind((3,), levels=levels)


@pytest.mark.parametrize("wrong", [0.0, -1.0, 1e5, "elements", None, float("nan"), True])
@pytest.mark.parametrize("kind", [NegativeBinomial, ZeroInflatedNegativeBinomial])
def test_dispersions_that_are_none(kind: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__} expects dispersion to be a number"):
        kind((3,), dispersion=wrong)


def test_cuts_that_are_none() -> None:
    with pytest.raises(ValueError, match="cuts to be 'shared' or 'element'; got 'each'"):
        Ordinal((3,), cuts="each")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1.0, 0.5, float("inf"), 7.0])
def test_data_outside_the_support_are_refused_with_the_remedy(value: float) -> None:
    for kind in SIMPLE:
        coded = kind in (Categorical, Ordinal)
        vae = small_vae(likelihood=kind((2,)), shape=(2,))
        x = data_for(vae)
        x[1, 1] = value
        if value == 7.0 and not coded:
            vae.check({"x": x})
            continue
        with pytest.raises(ValueError, match=r"cannot score x\[1, 1\].*(levels=|whole numbers)"):
            vae.check({"x": x})

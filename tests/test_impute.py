"""impute and score: exact conditionals of a Gaussian, and that what is known stays as it is."""

import copy
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from cases import FAMILIES, data_for, randomized, small_vae
from torch import Tensor, nn

import pyrovae
from pyrovae.context import Context
from pyrovae.evaluation import Imputation, evaluate, impute, log_prob, score
from pyrovae.evaluation import imputing as imputing_module
from pyrovae.evaluation.memory import _Sizes
from pyrovae.evaluation.resampling import Resampled
from pyrovae.heads import Head, raw_of
from pyrovae.likelihoods import Likelihood, Mixed, Normal, Standardized
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

SHAPE = (1, 4, 3)
LATENT, SIZE, ROWS, SCALE = 2, 6, 200, 0.5
QUIET = pytest.mark.filterwarnings("ignore:poor importance weights")


class Encoder(nn.Module):
    """The mean of p(z | x_known) of the linear model, and its scales, too wide by a factor."""

    takes_observed = True

    def __init__(self, weight: Tensor, bias: Tensor, wide: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.wide = wide

    def forward(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        known = torch.ones_like(x) if observed is None else observed.to(x)
        rows = known.unsqueeze(-1) * self.weight  # [batch, SIZE, LATENT]
        precision = torch.eye(LATENT) + rows.mT @ self.weight / SCALE**2
        target = rows.mT @ (x - self.bias).unsqueeze(-1) / SCALE**2
        covariance = torch.linalg.inv(precision)
        scale = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        loc = (covariance @ target).squeeze(-1)
        return torch.cat([loc, raw_of(self.wide * scale)], -1)


def parameters() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(SIZE, LATENT, generator=generator), torch.linspace(-1.0, 1.0, SIZE)


def linear(*, wide: float = 1.3) -> pyrovae.VAE:
    """x = W z + b + noise, so that x is jointly normal, and an imperfect posterior."""
    weight, bias = parameters()
    vae = pyrovae.VAE(
        prior=StandardNormal(LATENT),
        likelihood=Normal((SIZE,), scale=SCALE),
        posterior=MeanFieldNormal(),
        encoder=lambda i, o: Encoder(weight, bias, wide),
        decoder=MLP(()),
    )
    layer = vae.decoder_network.network[1]
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return vae


def holes(rows: int = ROWS, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Draws of the linear model, and which entries are known: two at least of each row."""
    weight, bias = parameters()
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, LATENT, generator=generator)
    x = z @ weight.T + bias + SCALE * torch.randn(rows, SIZE, generator=generator)
    order = torch.rand(rows, SIZE, generator=generator).argsort(-1)
    count = torch.randint(2, SIZE, (rows, 1), generator=generator)
    return x, order < count


def conditional(x: Tensor, observed: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and scale of the missing entries, and log p(x_known), by the normal's own formulas."""
    weight, bias = (part.double().numpy() for part in parameters())
    covariance = weight @ weight.T + SCALE**2 * np.eye(SIZE)
    mean, spread, density = x.double().numpy().copy(), np.zeros(x.shape), np.zeros(len(x))
    for row, known in enumerate(observed.numpy()):
        inner = covariance[np.ix_(known, known)]
        apart = x[row].double().numpy()[known] - bias[known]
        gain = covariance[np.ix_(~known, known)] @ np.linalg.inv(inner)
        mean[row, ~known] = bias[~known] + gain @ apart
        rest = covariance[np.ix_(~known, ~known)] - gain @ covariance[np.ix_(known, ~known)]
        spread[row, ~known] = np.sqrt(np.diag(rest))
        _, log_det = np.linalg.slogdet(inner)
        square = apart @ np.linalg.solve(inner, apart)
        density[row] = -0.5 * (square + log_det + known.sum() * math.log(2 * math.pi))
    return mean, spread, density


# ---------------------------------------------------------------------------- against the truth


@pytest.fixture(scope="module")
def gaussian() -> dict[str, Any]:
    with torch.random.fork_rng(devices=[]):
        vae = linear()
        x, observed = holes()
        batch = {"x": torch.where(observed, x, torch.nan), "observed": observed}
        made = impute(vae, batch, draws=199, samples=1000)
    return {"vae": vae, "x": x, "observed": observed, "batch": batch, "made": made}


def test_imputed_means_are_the_conditional_means(gaussian: dict[str, Any]) -> None:
    """By far the largest of some 500 errors: 6 standard errors, of which one in 1e6 runs fails."""
    made, x, observed = gaussian["made"], gaussian["x"], gaussian["observed"]
    mean, spread, _ = conditional(x, observed)
    error = spread / np.sqrt(made.ess.numpy())[:, None]
    assert (np.abs(made.mean.numpy() - mean) <= 6 * error + 1e-5).all()
    truth, holes_ = x.numpy(), ~observed.numpy()
    ours = np.square(made.filled.numpy() - truth)[holes_].mean()
    optimum = np.square(mean - truth)[holes_].mean()
    assert abs(ours / optimum - 1.0) < 0.02
    np.testing.assert_allclose(made.spread.numpy()[holes_], spread[holes_], rtol=0.15)


def test_draws_follow_the_conditional_distribution(gaussian: dict[str, Any]) -> None:
    """Of 90 % intervals 88 to 92 % hold the truth; so do they in each of four thousand holes."""
    made = gaussian["made"]
    mean, spread, _ = conditional(gaussian["x"], gaussian["observed"])
    holes_ = ~gaussian["observed"].numpy()
    deviation = ((made.draws.numpy() - mean) / np.where(holes_, spread, 1.0))[:, holes_]
    assert abs(deviation.mean()) < 0.02
    assert deviation.std() == pytest.approx(1.0, abs=0.02)


def test_intervals_cover_as_they_claim() -> None:
    """2000 rows with some 5000 holes, of which coverage has a standard error below 0.6 %."""
    x, observed = holes(2000, seed=9)
    made = impute(linear(), {"x": x, "observed": observed}, draws=199, samples=200)
    lower, upper = made.interval(0.9)
    inside = ((lower <= x) & (x <= upper))[~observed]
    assert len(inside) > 4500
    assert 0.88 <= float(inside.double().mean()) <= 0.92


def test_log_prob_of_what_is_known_is_exact_within_its_error(gaussian: dict[str, Any]) -> None:
    _, _, density = conditional(gaussian["x"], gaussian["observed"])
    found = score(gaussian["vae"], gaussian["batch"], samples=1000)
    apart = np.abs(found.log_prob.double().numpy() - density)
    error = found.error.double().numpy()
    result = evaluate(gaussian["vae"], gaussian["batch"], samples=1000)
    assert abs(result.log_prob - density.mean()) < 3 * result.log_prob_error + 1e-4
    # of 200 rows, 0.54 are expected outside of three errors; more than 5 in 1 of 20 000 runs
    assert (apart > 3 * error + 1e-4).sum() <= 5
    assert result.log_prob == pytest.approx(float(found.log_prob.double().mean()), abs=1e-5)
    assert result.log_prob_error == pytest.approx(
        float(found.error.double().square().sum().sqrt()) / ROWS, rel=1e-4
    )
    assert result.ess == pytest.approx(float(found.ess.mean()), rel=1e-4)


def test_the_exact_posterior_has_even_weights() -> None:
    vae = linear(wide=1.0)
    x, _ = holes(20)
    observed = torch.zeros(20, SIZE, dtype=torch.bool)
    observed[:, 0] = False  # nothing is known, so that the posterior is the prior
    made = impute(vae, {"x": x, "observed": observed}, samples=50)
    torch.testing.assert_close(made.ess, torch.full((20,), 50.0))
    assert not made.poor.any()


@QUIET
def test_codes_are_averaged_exactly() -> None:
    """With every value of z there is, the mean is a sum over them, without any noise."""
    vae = small_vae("Categorical", "Categorical enumerated", likelihood=Normal(SHAPE), shape=SHAPE)
    vae = randomized(vae)
    assert vae.posterior.enumerated
    x = data_for(vae)
    observed = torch.rand(x.shape) < 0.6
    made = impute(vae, {"x": x, "observed": observed}, draws=3, samples=7)
    with torch.no_grad():
        p = vae.prior(Context())
        z = p.enumerate_support()
        x_given_z = vae.decode(z.unsqueeze(1))
        element = x_given_z.base_dist.log_prob(x)
        log_weight = (element * observed).flatten(2).sum(-1) + p.log_prob(z).unsqueeze(-1)
        weight = log_weight.softmax(0)[..., None, None, None]
        mean = (weight * x_given_z.mean).sum(0)
        square = (weight * (x_given_z.mean.square() + 1.0)).sum(0)
    torch.testing.assert_close(made.mean[~observed], mean[~observed])
    spread = (square - mean.square()).sqrt()
    torch.testing.assert_close(made.spread[~observed], spread[~observed], rtol=1e-4, atol=1e-5)
    assert made.ess.tolist() == [7.0] * len(x)


NOISE = torch.tensor([[1.0, 0.8, -0.3], [0.8, 1.5, 0.2], [-0.3, 0.2, 0.7]])


class Correlated(Likelihood):
    """Three numbers whose noise is correlated, so that missing ones hang on known ones given z."""

    head = Head(loc=1)
    event_shape = (3,)

    def forward(self, raw: Tensor, context: Context) -> Any:
        known = torch.ones(3) if context.observed is None else context.observed.to(raw)
        outer = known.unsqueeze(-1) * known.unsqueeze(-2)
        # in place of missing ones, of the density one at zero
        alone = torch.diag_embed((1.0 - known) / (2 * math.pi))
        normal = dist.MultivariateNormal(torch.zeros(3), NOISE * outer + alone)
        return Masked(raw, normal, known)

    def given(self, raw: Tensor, x: Tensor, context: Context) -> Any:
        known = context.observed.to(raw)
        outer = known.unsqueeze(-1) * known.unsqueeze(-2)
        inverse = torch.linalg.inv(NOISE * outer + torch.diag_embed(1.0 - known)) * outer
        cross = NOISE * (1.0 - known).unsqueeze(-1)
        apart = (known * (x - raw)).unsqueeze(-1)
        loc = raw + (cross @ inverse @ apart).squeeze(-1)
        rest = NOISE - cross @ inverse @ cross.mT
        lost = (1.0 - known).unsqueeze(-1) * (1.0 - known).unsqueeze(-2)
        return dist.MultivariateNormal(loc, rest * lost + torch.diag_embed(known))


class Masked(dist.TorchDistribution):
    """The normal noise about a mean, of which the known entries are scored."""

    def __init__(self, loc: Tensor, noise: Any, known: Tensor) -> None:
        self.loc, self.noise, self.known = loc, noise, known
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.noise.log_prob(self.known * (value - self.loc))

    @property
    def mean(self) -> Tensor:
        return self.loc

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc + self.noise.sample(self.loc.shape[:-1])

    @property
    def support(self) -> Any:
        return self.noise.support


def test_dependent_elements_are_imputed_given_the_known_ones() -> None:
    """x ~ N(0, w w' + C); a posterior as wide as the prior, and 6 standard errors again."""
    weight = torch.tensor([1.0, -0.5, 2.0])
    vae = pyrovae.VAE(
        prior=StandardNormal(1),
        likelihood=Correlated(),
        posterior=MeanFieldNormal(),
        encoder=MLP(()),
        decoder=MLP(()),
    )
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        vae.decoder_network.network[1].weight.copy_(weight.unsqueeze(-1))
    generator = torch.Generator().manual_seed(2)
    whole = torch.outer(weight, weight) + NOISE
    factor = torch.linalg.cholesky(whole)
    x = torch.randn(60, 3, generator=generator) @ factor.T
    observed = torch.tensor([[True, False, True], [False, True, False], [True, True, False]])
    observed = observed.repeat(20, 1)
    made = impute(vae, {"x": x, "observed": observed}, draws=400, samples=4000)
    error = 0.0
    for row, known in enumerate(observed):
        gain = whole[~known][:, known] @ torch.linalg.inv(whole[known][:, known])
        mean = gain @ x[row, known]
        spread = (whole[~known][:, ~known] - gain @ whole[known][:, ~known]).diagonal().sqrt()
        allowed = 6 * spread / made.ess[row].sqrt()
        assert ((made.mean[row, ~known] - mean).abs() <= allowed).all()
        torch.testing.assert_close(made.spread[row, ~known], spread, rtol=0.15, atol=0.0)
        apart = (made.draws[:, row][:, ~known].mean(0) - mean) / spread
        error = max(error, float(apart.abs().max()))
    assert error < 6 / 400**0.5 + 0.1


class Codes(Likelihood):
    """One code of four, that has no mean."""

    head = Head(logits=4)
    event_shape = (1,)
    codes = True

    def forward(self, raw: Tensor, context: Context) -> Any:
        logits = raw.reshape(*raw.shape[:-1], 1, 4)
        return self.over_elements(Coded(logits=logits), context)

    def typical(self, x_given_z: Any) -> Tensor:
        return x_given_z.base_dist.logits.argmax(-1).to(torch.get_default_dtype())


class Coded(dist.Categorical):
    @property
    def mean(self) -> Tensor:
        raise NotImplementedError


@QUIET
def test_codes_among_numbers_are_filled_by_the_commonest_draw() -> None:
    numbers = Standardized(Normal((2,)))
    vae = randomized(small_vae(likelihood=Mixed((numbers, Codes())), shape=(3,)))
    numbers.centre.copy_(torch.tensor([1e3, 0.0]))
    numbers.spread.copy_(torch.tensor([10.0, 0.1]))
    x = torch.tensor([[1e3, 0.1, 2.0], [1010.0, 0.0, 0.0], [990.0, -0.1, 3.0]])
    observed = torch.tensor([[True, False, False], [False, True, True], [False, False, False]])
    made = impute(vae, {"x": x, "observed": observed}, draws=30, samples=200)
    assert made.codes.tolist() == [False, False, True]
    assert made.mean[~observed].isnan().tolist() == [False, True, False, False, False, True]
    assert made.spread[:, 0].tolist()[1] > 5.0
    assert 0.05 < float(made.spread[0, 1]) < 1.0
    for row in (0, 2):
        values, counts = made.draws[:, row, 2].unique(return_counts=True)
        assert counts[values == made.filled[row, 2]] == counts.max()
    assert torch.equal(made.filled[observed], x[observed])


# ------------------------------------------------------------------------------- what it may touch


@QUIET
@pytest.mark.parametrize("name", FAMILIES)
def test_every_likelihood_imputes(name: str) -> None:
    vae = randomized(small_vae(likelihood=name))
    x = data_for(vae)
    observed = torch.rand(x.shape) < 0.5
    made = impute(vae, {"x": x, "observed": observed}, draws=4, samples=30)
    assert made.draws.shape == (4, *x.shape)
    assert made.mean.shape == made.spread.shape == made.filled.shape == x.shape
    for filled in (*made.draws, made.filled):
        assert torch.equal(filled[observed], x[observed])
        assert filled.isfinite().all()
    for whole in made.draws:
        vae.check({"x": whole})  # of the support
    assert (made.spread[observed] == 0.0).all()
    assert torch.equal(made.missing, ~observed)
    assert made.index.tolist() == list(range(len(x)))


@QUIET
def test_nothing_is_changed_by_imputing() -> None:
    vae = linear()
    x, observed = holes(9)
    batch = {"x": x, "observed": observed}
    kept = {name: value.clone() for name, value in batch.items()}
    state = copy.deepcopy(vae.state_dict())
    before = torch.random.get_rng_state()
    first = impute(vae, batch, samples=40)
    again = impute(vae, batch, samples=40)
    other = impute(vae, batch, samples=40, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in vae.state_dict().items())
    assert all(torch.equal(value, kept[name]) for name, value in batch.items())
    assert all(parameter.grad is None for parameter in vae.parameters())
    assert vae.training
    assert torch.equal(first.draws, again.draws)
    assert not torch.equal(first.draws, other.draws)


@QUIET
def test_missing_values_do_not_leak() -> None:
    """Whatever stands where an entry is missing, the result is the same."""
    vae = linear()
    x, observed = holes(9)
    made = [
        impute(vae, {"x": torch.where(observed, x, value), "observed": observed}, samples=20)
        for value in (0.0, 7.0, torch.nan)
    ]
    assert torch.equal(made[0].draws, made[1].draws)
    assert torch.equal(made[0].mean, made[2].mean)


class Items(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Data behind a torch data set."""

    def __init__(self, batch: dict[str, Tensor]) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch["x"])

    def __getitem__(self, at: int) -> dict[str, Tensor]:
        return {name: value[at] for name, value in self.batch.items()}


@QUIET
def test_every_kind_of_data_is_taken(tmp_path: Path) -> None:
    vae = linear()
    x, observed = holes(40)
    batch = {"x": x, "observed": observed}
    expected = impute(vae, batch, samples=20).draws
    for data in (
        Items(batch),
        pyrovae.data.TensorData(batch),
        {k: v.numpy() for k, v in batch.items()},
    ):
        assert torch.equal(impute(vae, data, samples=20).draws, expected)
    np.savez(tmp_path / "x.npz", x=x, observed=observed)
    source = pyrovae.data.Arrays(str(tmp_path / "x.npz"), test=0.25)
    assert impute(vae, source, samples=20).draws.shape == (10, 10, SIZE)
    assert len(score(vae, source, samples=20).log_prob) == 10


@QUIET
def test_data_of_any_precision_keep_it() -> None:
    vae = linear()
    x, observed = holes(5)
    made = impute(vae, {"x": x.double(), "observed": observed}, samples=20)
    assert made.draws.dtype == torch.float64
    assert torch.equal(made.draws[0][observed], x.double()[observed])


@QUIET
def test_one_entry_one_draw_one_sample() -> None:
    vae = linear()
    x, _ = holes(1)
    observed = torch.ones_like(x).bool()
    whole = impute(vae, {"x": x, "observed": observed}, draws=1, samples=1)
    assert torch.equal(whole.filled, x)
    assert torch.equal(whole.draws[0], x)
    observed[0, 0] = False
    made = impute(vae, {"x": x, "observed": observed}, draws=1, samples=1)
    assert made.draws[0, 0, 0] != x[0, 0]
    assert made.ess.item() == 1.0


# ----------------------------------------------------------------------------------- in blocks


@QUIET
def test_blocks_give_the_same_moments_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    x, observed = holes(30)
    batch = {"x": x, "observed": observed}
    whole = impute(linear(wide=1.0), batch, samples=1000)
    monkeypatch.setattr("pyrovae.evaluation.importance.rows_within", lambda *_, **__: 700)
    monkeypatch.setattr(imputing_module, "rows_within", lambda *_, **__: 50)
    blocks = impute(linear(wide=1.0), batch, samples=1000)
    assert not torch.equal(blocks.mean, whole.mean)  # other draws, the same estimate
    error = whole.spread * (2.0 / whole.ess.unsqueeze(-1)).sqrt()
    assert ((blocks.mean - whole.mean).abs() <= 5 * error + 1e-6).all()
    torch.testing.assert_close(blocks.ess.mean(), whole.ess.mean(), rtol=0.1, atol=0.0)


def test_memory_does_not_grow_with_the_samples() -> None:
    """Of all tensors that are made, the largest is as large for ten times as many samples."""
    vae = small_vae(likelihood=Normal((300,)), shape=(300,))
    batch = {"x": torch.zeros(2, 300), "observed": torch.zeros(2, 300).bool()}
    largest = []
    for samples in (5_000, 50_000):
        with _Sizes() as sizes:
            impute(vae, batch, samples=samples)
        largest.append(max(sizes.found))
    assert largest[1] <= 64 * 2**20
    assert largest[1] <= 1.01 * largest[0]


def test_parts_of_draws_are_merged_as_their_weights_say() -> None:
    """Against all draws at once: moments exactly, and how often each draw is kept.

    20 000 slots; the largest of ten shares is off by four standard errors in one of 1600 runs.
    """
    generator = torch.Generator().manual_seed(0)
    log_weight = 2 * torch.randn(10, 1, generator=generator).double()
    mean = 1e6 + torch.randn(10, 1, 3, generator=generator).double()
    variance = torch.rand(10, 1, 3, generator=generator).double()
    kept = Resampled(20_000)
    for part in torch.arange(10).split(3):
        kept.add(log_weight[part], part[:, None, None].double())
        kept.moments(mean[part], variance[part])
    weight = log_weight.softmax(0)
    expected = (weight[..., None] * mean).sum(0)
    spread = (weight[..., None] * (variance + (mean - expected).square())).sum(0).sqrt()
    found = kept.mean_and_spread()
    torch.testing.assert_close(found[0], expected, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(found[1], spread, rtol=1e-8, atol=0.0)
    torch.testing.assert_close(kept.ess, 1 / weight.square().sum(0))
    share = torch.stack([(kept.z == at).double().mean() for at in range(10)])
    error = (weight[:, 0] * (1 - weight[:, 0]) / 20_000).sqrt()
    assert ((share - weight[:, 0]).abs() <= 4 * error).all()


def test_draws_without_weight_count_for_nothing() -> None:
    kept = Resampled(5)
    none, some = torch.full((2, 1), -torch.inf), torch.zeros(2, 1)
    for at, log_weight in enumerate((none, some, none, torch.full((2, 1), torch.nan))):
        kept.add(log_weight, torch.full((2, 1), float(at)))
        value = 3.0 if at == 1 else torch.inf
        kept.moments(torch.full((2, 1), value), torch.full((2, 1), value))
    assert kept.z.flatten().tolist() == [1.0] * 5
    assert kept.mean_and_spread()[0].tolist() == [3.0]
    assert kept.ess.tolist() == [2.0]
    kept = Resampled(5)
    kept.add(none, none)
    assert kept.ess.isnan().all()


# ------------------------------------------------------------------------------- quantiles, poor


def record(draws: Tensor, **given: Any) -> Imputation:
    rows = draws[0]
    tensors = {
        "mean": draws.mean(0), "spread": draws.std(0), "missing": torch.ones_like(rows).bool(),
        "codes": torch.zeros_like(rows[0]).bool(), "index": torch.arange(len(rows)),
        "ess": torch.full((len(rows),), 50.0),
    }  # fmt: skip
    return Imputation(draws=draws, **{**tensors, **given}, samples=100)


def test_quantiles_are_places_in_the_order_of_the_draws() -> None:
    made = record(torch.randperm(19).reshape(19, 1, 1).double() + 1.0)
    for at in range(1, 20):
        assert made.quantile(at / 20).item() == pytest.approx(at)
    assert made.quantile(0.51).item() == pytest.approx(10.2)
    lower, upper = made.interval(0.9)
    assert (lower.item(), upper.item()) == (1.0, 19.0)
    with pytest.raises(ValueError, match=r"quantile 0.04 needs at least 24 draws; got 19"):
        made.quantile(0.04)
    with pytest.raises(ValueError, match=r"needs at least 39 draws; got 19"):
        made.interval(0.95)
    for wrong in (0, 1.0, -0.1, math.nan, "0.5"):
        with pytest.raises(ValueError, match="expects a probability between 0 and 1"):
            made.quantile(wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="expects a probability between 0 and 1"):
            made.interval(wrong)  # type: ignore[arg-type]


def test_codes_are_filled_with_the_commonest_draw() -> None:
    draws = torch.tensor([[2.0, 1.0], [2.0, 5.0], [0.0, 9.0], [2.0, 3.0]]).unsqueeze(1)
    made = record(draws, codes=torch.tensor([True, False]))
    assert made.filled.tolist() == [[2.0, 4.5]]
    made = record(draws, mean=torch.full((1, 2), torch.nan))
    assert made.filled.tolist() == [[2.0, 3.0]]  # no draw twice: a middle one


def test_poor_weights_are_said() -> None:
    vae = linear(wide=0.05)
    x, observed = holes(10)
    with pytest.warns(UserWarning, match=r"poor importance weights: \d+ of 10 data have"):
        made = impute(vae, {"x": 5 * x, "observed": observed}, samples=200)
    assert made.poor.any()
    assert "10 data" in str(made)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = impute(linear(), {"x": x, "observed": observed}, samples=200)
    assert not made.poor.any()


def test_what_cannot_be_imputed_is_said() -> None:
    vae = linear()
    x, observed = holes(4)
    with pytest.raises(ValueError, match=r"declare no missing entries.*'observed'"):
        impute(vae, x)
    with pytest.raises(ValueError, match=r"expects x of shape \[batch, 6\]"):
        impute(vae, {"x": x[:, :3], "observed": observed[:, :3]})
    with pytest.raises(TypeError, match=r"impute expects a pyrovae.VAE .*; got tuple"):
        impute((vae.model, vae.guide), x)  # type: ignore[arg-type]
    for name in ("draws", "samples"):
        with pytest.raises(ValueError, match=f"{name} expects a positive integer; got 0"):
            impute(vae, {"x": x, "observed": observed}, **{name: 0})
    with pytest.raises(ValueError, match="seed expects an integer"):
        impute(vae, {"x": x, "observed": observed}, seed=-1)


def test_weights_that_are_nan_are_said() -> None:
    vae = linear()
    x, observed = holes(4)
    with torch.no_grad():
        vae.decoder_network.network[1].bias.fill_(torch.nan)
    with pytest.warns(UserWarning, match="poor importance weights: 4 of 4"):
        made = impute(vae, {"x": x, "observed": observed}, samples=20)
    assert made.ess.isnan().all()


# ------------------------------------------------------------------------------------------ score


@QUIET
def test_scores_are_those_of_log_prob() -> None:
    vae = linear()
    x, observed = holes(15)
    batch = {"x": x, "observed": observed}
    found = score(vae, batch, samples=50)
    assert torch.equal(found.log_prob, log_prob(vae, batch, samples=50))
    assert found.index.tolist() == list(range(15))
    ordered = found.sorted()
    assert (ordered.log_prob.diff() >= 0).all()
    assert torch.equal(found.log_prob[ordered.index], ordered.log_prob)
    assert torch.equal(found.ess[ordered.index], ordered.ess)
    assert score(vae, batch, samples=1).error.isnan().all()


def test_errors_of_scores_cover_the_truth() -> None:
    """A spread over 400 repetitions is that which is claimed, to 20 %, or 5 standard errors."""
    vae = linear(wide=1.5)
    x, observed = (part.repeat(400, 1) for part in holes(3))
    found = score(vae, {"x": x, "observed": observed}, samples=100)
    spread = found.log_prob.reshape(400, 3).std(0)
    claimed = found.error.reshape(400, 3).mean(0)
    torch.testing.assert_close(claimed, spread, rtol=0.2, atol=0.0)

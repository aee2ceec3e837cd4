"""evaluate: its numbers against closed forms, its memory, and that it leaves no trace."""

import copy
import json
import math
import warnings
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn

import pyrovae
from pyrovae.context import Context
from pyrovae.evaluation import evaluate, importance, log_prob
from pyrovae.evaluation.memory import BUDGET, rows_within
from pyrovae.likelihoods import Bernoulli, Binomial, Normal
from pyrovae.models import Pair, decoded, program
from pyrovae.networks import MLP
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal
from pyrovae.priors import GaussianMixture, StandardNormal, VampPrior

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


def vae_of(**parts: object) -> pyrovae.VAE:
    torch.manual_seed(0)
    given = {
        "prior": StandardNormal(3),
        "likelihood": Bernoulli((6,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((8,)),
        "decoder": MLP((8,)),
    }
    return pyrovae.VAE(**{**given, **parts})


def bits(count: int, size: int = 6) -> Tensor:
    return (torch.rand(count, size, generator=torch.Generator().manual_seed(1)) < 0.5).float()


class Model(nn.Module):
    """z ~ N(0, 1), x ~ N(z, 1), so that log p(x) is N(0, 2)."""

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)


class Guide(nn.Module):
    def __init__(self, loc: float, scale: float) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.tensor(loc))
        self.scale = scale

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.loc * x, self.scale))


def test_exact_posterior_of_a_foreign_pair_gives_exact_numbers() -> None:
    x = torch.linspace(-2.0, 2.0, 7)
    exact = dist.Normal(0.0, math.sqrt(2.0)).log_prob(x)
    result = evaluate((Model(), Guide(0.5, math.sqrt(0.5))), x, samples=10)
    assert result.log_prob == pytest.approx(float(exact.mean()), abs=1e-6)
    assert result.elbo == pytest.approx(result.log_prob, abs=1e-6)
    assert result.log_prob_error == pytest.approx(0.0, abs=1e-6)
    assert result.log_prob_data_error == pytest.approx(float(exact.std()) / math.sqrt(7), abs=1e-6)
    assert result.ess == pytest.approx(10.0, rel=1e-5)
    each = log_prob((Model(), Guide(0.5, math.sqrt(0.5))), x, samples=10)
    torch.testing.assert_close(each, exact)


def test_errors_cover_the_truth_as_they_claim() -> None:
    """200 repetitions: the 3-standard-error interval misses in at most 5 (expected below 1)."""
    x = torch.tensor([0.3, -1.2, 0.7])
    exact = float(dist.Normal(0.0, math.sqrt(2.0)).log_prob(x).mean())
    pair = (Model(), Guide(0.3, 1.0))
    results = [evaluate(pair, x, samples=400, seed=seed) for seed in range(200)]
    misses = sum(abs(r.log_prob - exact) > 3 * r.log_prob_error for r in results)
    assert misses <= 5
    spread = torch.tensor([r.log_prob for r in results]).std()
    claimed = torch.tensor([r.log_prob_error for r in results]).mean()
    assert float(claimed / spread) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("prior", [StandardNormal(3), GaussianMixture(3), VampPrior(3)])
@pytest.mark.parametrize("posterior", [MeanFieldNormal(), FullRankNormal()])
def test_the_split_adds_up_from_the_same_draws(prior: object, posterior: object) -> None:
    vae = vae_of(prior=copy.deepcopy(prior), posterior=copy.deepcopy(posterior))
    result = evaluate(vae, bits(11), samples=17)
    assert result.elbo <= result.log_prob
    assert result.elbo == pytest.approx(result.reconstruction - result.kl, abs=1e-9)
    factorised = isinstance(prior, StandardNormal) and isinstance(posterior, MeanFieldNormal)
    assert (result.kl_per_dimension is not None) == factorised
    if result.kl_per_dimension is not None:
        assert float(result.kl_per_dimension.sum()) == pytest.approx(result.kl, abs=1e-5)
    assert result.active_units is not None
    json.dumps(result.to_dict(), allow_nan=False)
    assert "log p(x)" in str(result)


def test_the_bias_is_that_of_half_the_draws() -> None:
    """Over 50 000 repetitions, whose noise is a tenth of the bias; four times that is allowed."""
    x = torch.zeros(50_000)
    pair = (Model(), Guide(0.5, 1.2))
    exact = float(dist.Normal(0.0, math.sqrt(2.0)).log_prob(torch.tensor(0.0)))
    few, many = (evaluate(pair, x, samples=samples) for samples in (20, 40))
    assert few.log_prob < many.log_prob < exact
    assert many.log_prob_bias == pytest.approx(exact - many.log_prob, rel=0.4)
    assert many.log_prob_bias == pytest.approx(many.log_prob - few.log_prob, rel=0.4)
    assert math.isnan(evaluate(pair, x, samples=1).log_prob_bias)


def test_a_few_poor_data_are_warned_about_though_the_mean_is_good() -> None:
    """The guide is exact at zero and far off at one datum in twenty."""
    x = torch.zeros(100)
    x[::20] = 60.0
    with pytest.warns(UserWarning, match="harmonic mean"):
        result = evaluate((Model(), Guide(0.45, math.sqrt(0.5))), x, samples=1000)
    assert result.ess > 900


def test_one_sample_is_the_elbo_and_claims_no_error() -> None:
    result = evaluate(vae_of(), bits(5), samples=1)
    assert result.log_prob == result.elbo
    assert math.isnan(result.log_prob_error)
    assert result.to_dict()["log_prob_error"] is None


def test_one_datum_has_no_error_over_data() -> None:
    assert math.isnan(evaluate(vae_of(), bits(1), samples=3).log_prob_data_error)


def test_active_units_are_those_whose_mean_moves() -> None:
    vae = vae_of(encoder=MLP(()))
    layer = vae.encoder_network.network[1]
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0] = 1.0  # the first mean is the first element: variance about 1/4
        layer.weight[1, 0] = 0.1  # the second's variance is about 1/400, below 0.01
    assert evaluate(vae, bits(200), samples=2).active_units == 1


def test_bits_per_dimension_only_for_counts() -> None:
    binary = evaluate(vae_of(), bits(9), samples=5)
    assert binary.bits_per_dim == pytest.approx(-binary.log_prob / 6 / math.log(2))
    counts = vae_of(likelihood=Binomial((6,), total_count=4))
    assert evaluate(counts, bits(9), samples=5).bits_per_dim is not None
    assert evaluate(vae_of(likelihood=Normal((6,))), bits(9), samples=5).bits_per_dim is None
    masked = {"x": bits(9), "observed": torch.ones(9, 6, dtype=torch.bool)}
    assert evaluate(vae_of(), masked, samples=5).bits_per_dim is None


def test_blocks_give_the_same_sums_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    x = bits(6)
    whole = evaluate(vae_of(), x, samples=3000)
    monkeypatch.setattr(importance, "rows_within", lambda compute, *, budget: 700)
    blocks = evaluate(vae_of(), x, samples=3000)
    error = math.hypot(whole.log_prob_error, blocks.log_prob_error)
    assert abs(whole.log_prob - blocks.log_prob) < 4 * error  # other draws, the same estimate
    assert blocks.log_prob != whole.log_prob
    assert blocks.samples == 3000


def test_memory_does_not_grow_with_the_samples() -> None:
    vae = vae_of(likelihood=Bernoulli((500,)), encoder=MLP((8,)), decoder=MLP((64,)))
    x = bits(2, 500)
    with torch.no_grad():
        rows = rows_within(
            lambda n: importance.Weights.of(
                importance.trace_terms(vae.model, vae.guide, (x[:1],), particles=n)
            ),
            budget=2**20,
        )
    assert pytest.approx(rows, abs=1) == 2**20 / (6 * 4 * 500)


def test_memory_counts_the_encoder_too() -> None:
    """With few draws for each datum it is the encoder that fills the memory, not the decoder."""
    small, large = (
        importance.Sampler(Pair(vae_of(encoder=MLP((width,)))), {"x": bits(2)}, samples=1)
        for width in (8, 4000)
    )
    assert small.blocks(5) == large.blocks(5) == [1]
    assert large.batch_size == pytest.approx(BUDGET / (6 * 4 * 4000), abs=1)
    assert small.batch_size > 100 * large.batch_size


def counted(module: nn.Module) -> list[int]:
    """Return a list that gets the rows of each call of a module."""
    rows: list[int] = []
    module.register_forward_pre_hook(lambda module, inputs: rows.append(inputs[0].shape[0]))
    return rows


def test_a_datum_is_encoded_once_whatever_the_samples() -> None:
    """So are the pseudo-inputs of its prior, once a batch and not once a block."""
    vae = vae_of(prior=VampPrior(3, components=7))
    sampler = importance.Sampler(Pair(vae), {"x": bits(2)}, samples=5000, budget=2**18)
    assert len(sampler.blocks(20)) > 10
    assert sum(sampler.blocks(20)) == 5000
    rows = counted(vae.encoder_network)
    weights, _ = sampler.weights({"x": bits(20)})
    assert sorted(rows) == [7, 20]
    assert weights.samples == 5000


class OtherGuide(pyrovae.VAE):
    """A model whose guide is its own, so that nothing is known of it."""

    @program
    def guide(self, x: Tensor | None = None, **batch: Tensor) -> Tensor:
        return super().guide(x, **batch)


def test_programs_that_are_not_ours_run_for_each_block() -> None:
    torch.manual_seed(0)
    parts = {"prior": StandardNormal(3), "likelihood": Bernoulli((6,))}
    networks = {"encoder": MLP((8,)), "decoder": MLP((8,))}
    vae = OtherGuide(**parts, **networks, posterior=MeanFieldNormal())
    pair = Pair(vae)
    assert Pair(vae_of()).fixes
    assert not pair.fixes
    assert pair.fixed({"x": bits(4)})[1] is pair.guide
    assert not Pair((Model(), Guide(0.5, 1.0))).fixes
    sampler = importance.Sampler(pair, {"x": bits(2)}, samples=5000, budget=2**18)
    rows = counted(vae.encoder_network)
    sampler.weights({"x": bits(1)})
    assert rows == [1] * len(sampler.blocks(1))
    assert len(rows) > 1
    ours, theirs = evaluate(vae_of(), bits(9), samples=2000), evaluate(vae, bits(9), samples=2000)
    assert ours.log_prob == pytest.approx(theirs.log_prob, abs=1e-3 + 5 * ours.log_prob_error)


@pytest.mark.parametrize("masked", [False, True])
def test_decoding_in_parts_changes_no_weight(
    monkeypatch: pytest.MonkeyPatch, *, masked: bool, float64: torch.dtype
) -> None:
    vae = vae_of(prior=GaussianMixture(3, components=4))
    batch = {"x": bits(5).double()}
    if masked:
        batch["observed"] = torch.arange(30).reshape(5, 6) % 4 != 0
    monkeypatch.setattr(decoded, "_ELEMENTS", 60)  # two draws of five data
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    rows = counted(vae.decoder_network)
    with torch.no_grad():
        terms = importance.trace_terms(*vae.fixed(**batch), (), batch, particles=7)
        assert rows == [1]
        z = terms.latent["z"].value
        scored = terms.log_likelihood
        assert rows == [1, 2, 2, 2, 1]
        x_given_z = vae.likelihood(vae.decoder_network(z), Context(observed=batch.get("observed")))
        torch.testing.assert_close(scored, x_given_z.log_prob(batch["x"]))
        p, q = vae.prior(Context()), vae.encode(**batch)
        weight = scored + p.log_prob(z) - q.log_prob(z)
        torch.testing.assert_close(terms.log_weight, weight)


def test_nothing_is_changed_by_evaluating() -> None:
    vae = vae_of(
        encoder=lambda i, o: nn.Sequential(
            nn.Linear(*i, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, *o)
        )
    )
    vae.encoder_network.network[1].eval()
    state = copy.deepcopy(vae.state_dict())
    modes = [module.training for module in vae.modules()]
    before = torch.random.get_rng_state()
    settings = pyro.settings.get()
    first = evaluate(vae, bits(7), samples=9)
    assert evaluate(vae, bits(7), samples=9).to_dict() == first.to_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert modes == [module.training for module in vae.modules()]
    assert all(torch.equal(value, state[name]) for name, value in vae.state_dict().items())
    assert all(parameter.grad is None for parameter in vae.parameters())
    assert pyro.settings.get() == settings
    assert len(pyro.get_param_store()) == 0
    assert evaluate(vae, bits(7), samples=9, seed=1).log_prob != first.log_prob


def test_poor_weights_are_warned_about_and_good_ones_are_not() -> None:
    x = torch.zeros(5)
    with pytest.warns(UserWarning, match="poor importance weights"):
        evaluate((Model(), Guide(0.5, 0.01)), x, samples=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate((Model(), Guide(0.5, 0.7)), x, samples=100)


def test_what_is_not_finite_is_said() -> None:
    vae = vae_of()
    with torch.no_grad():
        next(vae.decoder_network.parameters()).fill_(math.nan)
    with pytest.warns(UserWarning, match=r"log p\(x\) is nan"):
        assert math.isnan(evaluate(vae, bits(4), samples=3).log_prob)


@pytest.mark.parametrize("seed", [-1, 1.5, 2**80])
@pytest.mark.parametrize("run", [evaluate, log_prob])
def test_wrong_seeds_are_refused(run: Callable[..., object], seed: float) -> None:
    with pytest.raises(ValueError, match="seed expects an integer"):
        run(vae_of(), bits(3), samples=2, seed=seed)


@pytest.mark.parametrize(
    ("data", "samples", "message"),
    [
        (torch.full((3, 6), 0.5), 10, "binarise"),
        (torch.zeros(3, 5), 10, "expects x of shape"),
        (torch.full((3, 6), float("nan")), 10, "NaN|nan|finite"),
        (torch.zeros(3, 6), 0, "samples expects a positive integer; got 0"),
        (torch.zeros(0, 6), 10, "empty|no data|at least one"),
    ],
)
def test_wrong_input_is_refused(data: Tensor, samples: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(vae_of(), data, samples=samples)

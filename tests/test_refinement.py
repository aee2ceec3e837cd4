"""SemiAmortized and PerDatum, against the exact posterior of linear-Gaussian models.

Statistical checks use fixed seeds. Where a bound is compared with log p(x) exactly, it is computed
from the moments of q in closed form, so that only the refinement is random.
"""

import copy
import warnings
from itertools import pairwise
from typing import Any

import pytest
import torch
from cases import small_vae
from pyro import distributions as dist
from torch import Tensor, nn

import pyrovae
from pyrovae.config import from_tree, to_tree
from pyrovae.context import Context
from pyrovae.heads import Head, raw_of
from pyrovae.likelihoods import Bernoulli, Normal
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal, PerDatum, Posterior, SemiAmortized
from pyrovae.posteriors.refining import LocalBound, climbed
from pyrovae.posteriors.same_noise import SameNoise
from pyrovae.priors import ExemplarPrior, Prior, StandardNormal, VampPrior
from pyrovae.training.arguments import flattened
from pyrovae.training.recording import record
from pyrovae.training.slots import Slots

SCALE = 0.5
LATENT, SEEN = 2, 4


def linear(posterior: Posterior, *, encoder: Any = "linear") -> pyrovae.VAE:
    """z ~ N(0, I), x ~ N(W z + b, SCALE^2 I), with an encoder that knows nothing."""
    torch.manual_seed(5)
    built = MLP(()) if encoder == "linear" else encoder
    vae = pyrovae.VAE(
        prior=StandardNormal(LATENT), likelihood=Normal((SEEN,), scale=SCALE), posterior=posterior,
        encoder=built if posterior.head.sizes else None, decoder=MLP(()),
    )  # fmt: skip
    for parameter in vae.decoder_network.parameters():
        nn.init.normal_(parameter, std=0.7)
    return vae


def weights(vae: pyrovae.VAE) -> tuple[Tensor, Tensor]:
    layer = next(m for m in vae.decoder_network.modules() if isinstance(m, nn.Linear))
    return layer.weight.detach(), layer.bias.detach()


def exact(vae: pyrovae.VAE, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean and covariance of p(z | x), and log p(x)."""
    w, b = weights(vae)
    covariance = torch.linalg.inv(torch.eye(LATENT) + w.T @ w / SCALE**2)
    mean = (x - b) @ w @ covariance / SCALE**2
    evidence = dist.MultivariateNormal(b, w @ w.T + SCALE**2 * torch.eye(SEEN)).log_prob(x)
    return mean, covariance, evidence


def gap(vae: pyrovae.VAE, q: Any, x: Tensor) -> Tensor:
    """log p(x) less the bound, which is KL(q || p(z | x)), in closed form."""
    mean, covariance, _ = exact(vae, x)
    truth = torch.distributions.MultivariateNormal(mean, covariance)
    spread = getattr(q, "covariance_matrix", None)
    spread = torch.diag_embed(q.variance) if spread is None else spread
    return torch.distributions.kl_divergence(
        torch.distributions.MultivariateNormal(q.mean, spread), truth
    )


def context(vae: pyrovae.VAE, x: Tensor) -> Context:
    """With a bound as a model gives it."""

    def bound(q: Any) -> Tensor:
        z = q.rsample()
        return vae.decode(z).log_prob(x) + vae.prior(Context()).log_prob(z) - q.log_prob(z)

    return Context(bound=bound)


# ---------------------------------------------------------------------------------- the same noise


def test_noise_is_the_same_for_other_parameters_and_fresh_behind_it() -> None:
    noise = SameNoise()
    draws = []
    for loc in (0.0, 3.0):
        with noise.again():
            in_place = dist.Normal(torch.full((4,), loc), 1.0).rsample() - loc
            functional = torch.rand(3)
            dropped = nn.functional.dropout(torch.ones(50, requires_grad=True))
            draws.append((in_place, functional, dropped))
    for first, second in zip(*draws, strict=True):
        torch.testing.assert_close(first, second)
    assert not (dist.Normal(torch.zeros(4), 1.0).rsample() == draws[0][0]).any()


def test_noise_of_an_operation_with_parameters_follows_them() -> None:
    """torch draws a gamma by an operation that reads the concentration, so no draw can be kept."""
    noise, values = SameNoise(), []
    shapes = torch.tensor([2.0, 2.0, 2.5])
    for shape in shapes:
        with noise.again():
            values.append(dist.Gamma(shape.expand(5), 1.0).rsample())
    assert torch.equal(values[0], values[1])
    assert (values[2] > values[0]).all()
    before = torch.random.get_rng_state()
    with noise.again():
        dist.Gamma(torch.full((5,), 4.0), 1.0).rsample()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_is_written_over_leaves_the_tape_alone() -> None:
    noise, runs = SameNoise(), []
    for _ in range(3):
        with noise.again():
            drawn = torch.randn(3)
            filled = torch.empty(3).normal_()
        runs.append((drawn.clone(), filled.clone()))
        drawn.zero_()
        filled.zero_()
    for run in runs[1:]:
        assert torch.equal(run[0], runs[0][0])
        assert torch.equal(run[1], runs[0][1])


# ---------------------------------------------------------------------------------- SemiAmortized


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("inner", [MeanFieldNormal, FullRankNormal])
@pytest.mark.parametrize("rate", [0.003, 0.05, 10.0])
def test_no_datum_loses_and_more_steps_never_do(inner: Any, rate: float) -> None:
    """Under the noise that judges, which the same random state draws again; also far too fast."""
    vae = linear(inner())
    x = 2.0 * torch.randn(50, SEEN)
    family = vae.posterior
    raw = vae.encoder_network(x).detach()
    local = LocalBound(family, context(vae, x), particles=3)

    def judged(numbers: Tensor) -> Tensor:
        torch.manual_seed(7)
        return local(numbers).detach()

    values = [judged(raw)]
    for steps in (1, 2, 5, 20):
        torch.manual_seed(7)
        with torch.no_grad():
            values.append(judged(climbed(local, raw, steps=steps, rate=rate)))
    for before, after in pairwise(values):
        assert (after >= before).all()
    if rate < 1.0:
        assert values[-1].mean() > values[0].mean() + 0.5


@pytest.mark.usefixtures("float64")
def test_a_bad_encoder_is_brought_nearer_to_the_exact_posterior() -> None:
    x = None
    for inner, limit in ((FullRankNormal(), 0.5), (MeanFieldNormal(), 1.0)):
        vae = linear(SemiAmortized(inner, steps=40, rate=0.05, particles=16))
        x = vae.sample(100) if x is None else x
        q = vae.encode(x)
        before = gap(vae, vae.posterior.inner(vae.encoder_network(x), Context()), x)
        after = gap(vae, q, x)
        assert (after < before).double().mean() > 0.9
        assert after.mean() < limit < 0.3 * before.mean()


@pytest.mark.usefixtures("float64")
def test_an_exact_start_is_left_nearly_exact() -> None:
    """What fitting noise costs; steps along the noise that judges would cost ten times as much."""
    vae = linear(SemiAmortized(FullRankNormal()))
    x = vae.sample(200)
    mean, covariance, _ = exact(vae, x)
    factor = torch.linalg.cholesky(covariance)
    below = (factor / factor.diagonal().unsqueeze(-1))[1, 0]
    tail = torch.cat([raw_of(factor.diagonal()), 100.0 * torch.atanh(below / 100.0).reshape(1)])
    raw = torch.cat([mean, tail.expand(200, 3)], dim=-1)
    assert gap(vae, vae.posterior(raw, Context()), x).max() < 1e-9
    with torch.no_grad():
        refined = vae.posterior(raw, context(vae, x))
    assert gap(vae, refined, x).mean() < 0.05


def batch_norm(in_shape: Any, out_shape: Any) -> nn.Module:
    return nn.Sequential(
        nn.Linear(in_shape[0], 5), nn.BatchNorm1d(5), nn.Dropout(0.2), nn.Linear(5, out_shape[0])
    )


def test_the_steps_move_no_statistics_and_leave_no_gradients() -> None:
    vae = pyrovae.VAE(
        prior=StandardNormal(2), likelihood=Normal((3,)), posterior=SemiAmortized(),
        encoder=MLP((5,)), decoder=batch_norm,
    )  # fmt: skip
    vae.encoder_network.requires_grad_(False)
    before = copy.deepcopy(vae.state_dict())
    vae.encode(torch.randn(6, 3))
    for name, value in vae.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_the_encoder_learns_at_the_refined_point() -> None:
    """Its gradient is that of the objective at the refined numbers: the identity reaches it."""
    vae = linear(SemiAmortized(steps=3))
    x = torch.randn(4, SEEN)
    raw = vae.encoder_network(x).detach().requires_grad_()
    q = vae.posterior(raw, context(vae, x))
    (found,) = torch.autograd.grad(q.log_prob(torch.ones(4, LATENT)).sum(), raw)
    at = torch.cat([q.mean, raw_of(q.stddev)], -1).detach().requires_grad_()
    same = vae.posterior.inner(at, Context()).log_prob(torch.ones(4, LATENT)).sum()
    torch.testing.assert_close(found, torch.autograd.grad(same, at)[0], rtol=1e-3, atol=1e-4)
    assert (at - raw).abs().max() > 0.01, "nothing was refined"


@pytest.mark.parametrize("objective", [ELBO(), ELBO(particles=3), IWAE(particles=4)])
@pytest.mark.parametrize("masked", [False, True])
def test_it_trains_under_bounds_particles_and_masks(objective: Any, masked: bool) -> None:
    vae = small_vae("StandardNormal", SemiAmortized(steps=2, particles=2), shape=(6,))
    data = {"x": (torch.rand(30, 6) > 0.5).float()}
    if masked:
        data["observed"] = torch.rand(30, 6) > 0.3
    frozen = vae.decoder_network.requires_grad_(False)
    before = copy.deepcopy(frozen.state_dict())
    loss = objective(vae.model, vae.guide)

    def noised() -> float:
        torch.manual_seed(1)
        return loss(**data).item()

    start = noised()
    optimizer = torch.optim.Adam([p for p in vae.parameters() if p.requires_grad], lr=0.01)
    for step in range(20):
        torch.manual_seed(step)
        optimizer.zero_grad()
        loss(**data).backward()
        optimizer.step()
    assert noised() < start
    for name, value in frozen.state_dict().items():
        assert torch.equal(value, before[name])
    result = pyrovae.evaluate(vae, data, samples=20)
    assert result.elbo <= result.log_prob


def test_evaluation_gains_by_the_steps() -> None:
    bare = linear(MeanFieldNormal())
    refined = linear(SemiAmortized(steps=20, rate=0.05))
    refined.encoder_network.load_state_dict(bare.encoder_network.state_dict())
    x = bare.sample(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of poor weights: the bare encoder knows nothing
        elbos = [pyrovae.evaluate(vae, x, samples=500).elbo for vae in (bare, refined)]
    _, _, evidence = exact(bare, x)
    assert elbos[0] + 1.0 < elbos[1] < evidence.mean()


def test_a_step_is_recorded_with_the_numbers_of_the_eager_one() -> None:
    vae = linear(SemiAmortized(steps=2, particles=2))
    loss = ELBO()(vae.model, vae.guide)
    x = torch.randn(8, SEEN)
    slots = Slots(loss)
    recording = record(loss, slots, *flattened((), {"x": x}))
    torch.manual_seed(2)
    with torch.no_grad():
        outputs = recording.graph(*slots.tensors(), x)
    torch.manual_seed(2)
    value = loss(x=x)
    value.backward()
    torch.testing.assert_close(outputs[0], value.detach())
    trained = zip(loss.parameters(), recording.parted(outputs)[2], strict=True)
    for parameter, gradient in trained:
        torch.testing.assert_close(gradient, parameter.grad)


class GammaNoise(Posterior):
    """A family whose draws read its parameters."""

    head = Head(raw=1)

    def forward(self, raw: Tensor, context: Context) -> Any:
        return dist.Gamma(torch.nn.functional.softplus(raw) + 0.1, 1.0).to_event(1)


def test_what_cannot_be_recorded_says_why_in_a_line() -> None:
    class GammaPrior(Prior):
        event_shape = (2,)

        def forward(self, context: Context) -> Any:
            return dist.Gamma(torch.ones(2), 1.0).to_event(1)

    vae = pyrovae.VAE(
        prior=GammaPrior(), likelihood=Bernoulli((4,)), encoder=MLP(()), decoder=MLP(()),
        posterior=SemiAmortized(GammaNoise(), steps=1, particles=2),
    )  # fmt: skip
    x = (torch.rand(8, 4) > 0.5).float()
    assert vae.encode(x).batch_shape == (8,)
    loss = ELBO()(vae.model, vae.guide)
    with pytest.warns(UserWarning, match="not compiled: .*_standard_gamma draws numbers that"):
        compiled = pyrovae.compile(loss, {"x": x})
    assert compiled(x=x).isfinite()
    assert "\n" not in compiled.reasons[0]


# -------------------------------------------------------------------------------------- PerDatum


@pytest.mark.usefixtures("float64")
def test_training_data_and_new_data_reach_the_exact_posterior() -> None:
    """The moments within 0.08 of spreads of about 0.5, the bound within 0.01 nats on average."""
    vae = linear(PerDatum(FullRankNormal(), data=40, steps=100, rate=0.1, particles=16))
    vae.decoder_network.requires_grad_(False)
    x = vae.sample(60)
    seen, new = x[:40], x[40:]
    index = torch.arange(40)
    optimizer = torch.optim.Adam(vae.posterior.parameters(), lr=0.1)
    fading = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 150)
    loss = ELBO(particles=16)(vae.model, vae.guide)
    for _ in range(150):
        optimizer.zero_grad()
        loss(x=seen, index=index).backward()
        optimizer.step()
        fading.step()
    trained = vae.posterior(torch.zeros(40, 0), Context(index=index))
    vae.eval()
    for data, q in ((seen, trained), (new, vae.encode(new))):
        mean, covariance, evidence = exact(vae, data)
        assert (q.mean - mean).abs().max() < 0.08
        assert (q.covariance_matrix - covariance).abs().max() < 0.08
        assert gap(vae, q, data).mean() < 0.01
    result = pyrovae.evaluate(vae, new[:5], samples=200)
    assert result.elbo == pytest.approx(float(evidence[:5].mean()), abs=0.03)
    assert result.ess > 190


def test_it_fits_evaluates_saves_and_reconstructs(tmp_path: Any) -> None:
    vae = linear(PerDatum(data=50, steps=10, particles=2))
    x = torch.randn(80, SEEN)
    history = pyrovae.fit(
        vae, x[:50], valid=x[50:], epochs=15, batch_size=25, seed=0, compile=False,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.05),
    )  # fmt: skip
    losses = [record["train/loss"] for record in history.records]
    assert losses[-1] < losses[0] - 0.2
    assert (vae.posterior.table != 0).all()
    assert abs(history.records[-1]["valid/loss"] - losses[-1]) < 20.0
    pyrovae.save(vae, tmp_path / "model")
    loaded = pyrovae.load(tmp_path / "model")
    assert torch.equal(loaded.posterior.table, vae.posterior.table)
    assert loaded.reconstruct(x[:7]).shape == (7, SEEN)
    for batch in ((), (3,), (2, 5)):
        assert loaded.encode(torch.randn(*batch, SEEN)).batch_shape == batch
    result = pyrovae.evaluate(loaded, x[50:], samples=50)
    assert result.elbo <= result.log_prob


def test_rows_that_are_not_looked_up_have_no_gradient() -> None:
    vae = linear(PerDatum(data=6))
    loss = ELBO()(vae.model, vae.guide)
    loss(x=torch.randn(2, SEEN), index=torch.tensor([1, 4])).backward()
    moved = (vae.posterior.table.grad != 0).any(-1)
    assert moved.tolist() == [False, True, False, False, True, False]


def test_a_step_with_a_table_is_recorded() -> None:
    vae = linear(PerDatum(data=6))
    loss = ELBO()(vae.model, vae.guide)
    batch = {"x": torch.randn(4, SEEN), "index": torch.tensor([0, 1, 4, 5])}
    slots = Slots(loss)
    recording = record(loss, slots, *flattened((), batch))
    for rows in (batch["index"], batch["index"] + 100):  # an accelerator is not asked
        torch.manual_seed(2)
        value = recording.graph(*slots.tensors(), batch["x"], rows)[0]
        assert bool(value.isfinite()) == (int(rows.max()) < 6)


def test_an_index_beyond_the_table_is_refused() -> None:
    vae = linear(PerDatum(data=6))
    for index in (torch.tensor([0, 6]), torch.tensor([-1, 2])):
        with pytest.raises(ValueError, match=r"data=6 training data, of index 0 to 5; got index"):
            vae.guide(torch.randn(2, SEEN), index=index)
    with pytest.raises(ValueError, match="set data to the number of training data"):
        pyrovae.fit(vae, torch.randn(7, SEEN), epochs=1, batch_size=7)


@pytest.mark.parametrize("prior", [VampPrior(2, components=3), ExemplarPrior(2, exemplars=3)])
def test_a_prior_made_of_posteriors_is_refused_with_both_named(prior: Any) -> None:
    with pytest.raises(ValueError, match=r"PerDatum\(.*data=5\) has no encoder") as raised:
        small_vae(prior, PerDatum(data=5))
    assert repr(prior) in str(raised.value)
    assert "StandardNormal" in str(raised.value)


# -------------------------------------------------------------------------------------- both


BOTH = [
    lambda inner: SemiAmortized(inner, steps=2, particles=1),
    lambda inner: PerDatum(inner, data=9, steps=2),
]


@pytest.mark.parametrize("wrap", BOTH)
def test_a_part_of_a_part_is_declared_saved_and_copied(wrap: Any, tmp_path: Any) -> None:
    vae = small_vae("StandardNormal", wrap(FullRankNormal()), shape=(6,))
    text = repr(vae.posterior)
    assert "FullRankNormal()" in text
    assert repr(eval(text)) == text  # a repr is a constructor call
    assert repr(from_tree(to_tree(vae.posterior))) == text
    pyrovae.save(vae, tmp_path / "model")
    x = (torch.rand(5, 6) > 0.5).float()
    for other in (pyrovae.load(tmp_path / "model"), copy.deepcopy(vae)):
        torch.manual_seed(0)
        first = vae.encode(x)
        torch.manual_seed(0)
        torch.testing.assert_close(other.encode(x).mean, first.mean)
        assert repr(other.posterior) == text


class Learned(MeanFieldNormal):
    """A family with parameters of its own, made when it is bound."""

    def bind(self, data_shape: Any) -> None:
        self.shift = nn.Parameter(torch.zeros(*data_shape, *self.event_shape))


@pytest.mark.parametrize("wrap", BOTH)
def test_what_it_is_made_of_is_bound_and_claimed(wrap: Any) -> None:
    inner = Learned()
    vae = small_vae("StandardNormal", wrap(inner), shape=(6,))
    assert inner.event_shape == (2,)
    assert inner.shift.shape == (6, 2)
    assert any(parameter is inner.shift for parameter in vae.parameters())
    with pytest.raises(ValueError, match=r"Learned\(\) is already part of another model"):
        small_vae("StandardNormal", wrap(inner), shape=(6,))


@pytest.mark.parametrize("wrap", BOTH)
def test_what_cannot_be_refined_is_refused(wrap: Any) -> None:
    class Valued(MeanFieldNormal):
        enumerated = True

    class Headless(MeanFieldNormal):
        head = Head()

    for inner, error, words in (
        (MeanFieldNormal, TypeError, r"got the class MeanFieldNormal; write MeanFieldNormal\(\)"),
        ("MeanFieldNormal", TypeError, "expects inner to be a posterior"),
        (StandardNormal(2), TypeError, "expects inner to be a posterior"),
        (SemiAmortized(), ValueError, "by steps of its own"),
        (PerDatum(data=3), ValueError, "by steps of its own"),
        (Valued(), ValueError, "enumerated"),
        (Headless(), ValueError, "none to move"),
    ):
        with pytest.raises(error, match=words):
            wrap(inner)


@pytest.mark.parametrize("given", [{"steps": 0}, {"rate": 0.0}, {"rate": "a"}, {"particles": 1.5}])
def test_numbers_out_of_range_are_refused(given: Any) -> None:
    for make in (SemiAmortized, lambda **named: PerDatum(data=3, **named)):
        with pytest.raises(ValueError, match=f"expects {next(iter(given))} to be a positive"):
            make(**given)
    for data in (0, True, 2.0, 2**31):
        with pytest.raises(ValueError, match="PerDatum expects data to be a positive integer"):
            PerDatum(data=data)


@pytest.mark.parametrize("wrap", BOTH)
def test_nothing_is_read_from_a_gradient_free_caller(wrap: Any) -> None:
    vae = small_vae("StandardNormal", wrap(MeanFieldNormal()), shape=(6,))
    x = (torch.rand(4, 6) > 0.5).float()
    with torch.no_grad():
        q = vae.encode(x)
    assert not q.mean.requires_grad
    assert torch.is_grad_enabled()

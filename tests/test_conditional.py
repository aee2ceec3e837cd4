"""ConditionalVAE: log p(x | y) against closed forms, against a VAE for each y, and its verbs."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from cases import data_for, randomized, small_cvae, small_vae
from pyro.infer import SVI, Trace_ELBO
from scipy import stats
from torch import Tensor, nn

import pyrovae
from pyrovae.evaluation import log_prob
from pyrovae.heads import raw_of
from pyrovae.likelihoods import Bernoulli, Normal
from pyrovae.models import ConditionalVAE, Pair
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import Categorical, FullRankNormal, PerDatum, SemiAmortized
from pyrovae.priors import Categorical as CategoricalPrior
from pyrovae.priors import ConditionalNormal, ExemplarPrior, GaussianMixture, VampPrior
from pyrovae.scopes import validation

X, Y = (5,), torch.tensor([0, 2, 1, 1, 0, 2, 2])


def codes(**changed: Any) -> ConditionalVAE:
    """A model of three classes, in which nothing is symmetric."""
    return randomized(small_cvae(X, **changed), spread=0.5)


def batch_of(cvae: ConditionalVAE) -> dict[str, Tensor]:
    torch.manual_seed(4)
    return {"x": cvae.sample(len(Y), y=Y), "y": Y}


# ------------------------------------------------------------------------------------- closed forms


class Law(nn.Module):
    """A network of an input and a condition that is a formula."""

    def __init__(self, formula: Any) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, value: Tensor, condition: Tensor) -> Tensor:
        found: Tensor = self.formula(value, condition)
        return found


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("baseline", [None, MLP(())])
def test_the_evidence_of_a_linear_gaussian_model(baseline: Any) -> None:
    """The encoder is the exact posterior, so that every weight is p(x | y)."""
    noise = 0.6
    held: list[ConditionalVAE] = []

    def mean_of(y: Tensor, z: float) -> Tensor:
        return held[0].decode(torch.full((*y.shape[:-1], 1), z), y=y).mean

    def posterior(x: Tensor, y: Tensor) -> Tensor:
        if not held:  # while it is built
            return x.new_zeros(*x.shape[:-1], 2)
        p = held[0].prior(pyrovae.context.Context(condition=y))
        at_zero = mean_of(y, 0.0)
        slope = mean_of(y, 1.0) - at_zero
        precision = p.stddev**-2 + (slope**2).sum(-1, keepdim=True) / noise**2
        pull = (slope * (x - at_zero)).sum(-1, keepdim=True) / noise**2
        mean = (p.mean / p.stddev**2 + pull) / precision
        return torch.cat([mean, raw_of(precision**-0.5)], -1)

    def encoder(in_shape: Any, out_shape: Any, condition_shape: Any = None) -> nn.Module:
        return Law(posterior)

    cvae = small_cvae(
        prior=ConditionalNormal(1, condition=2, hidden=()),
        likelihood=Normal(X, scale=noise),
        encoder=encoder,
        decoder=MLP(()),
        condition_shape=(2,),
        baseline=baseline,
    )
    held.append(randomized(cvae))
    y = torch.randn(7, 2)
    x = 2.0 * torch.randn(7, *X)
    found = log_prob(cvae, {"x": x, "y": y}, samples=3)
    with torch.no_grad():
        p = cvae.prior(pyrovae.context.Context(condition=y))
        start, end = mean_of(y, 0.0), mean_of(y, 1.0)
    slope, loc, scale = (t.numpy() for t in (end - start, p.mean, p.stddev))
    for row in range(len(x)):
        cov = noise**2 * np.eye(X[0]) + scale[row] ** 2 * np.outer(slope[row], slope[row])
        mean = start[row].numpy() + loc[row] * slope[row]
        truth = stats.multivariate_normal(mean, cov).logpdf(x[row].numpy())
        assert found[row].item() == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("prior", ["StandardNormal", "VampPrior"])
def test_each_class_is_a_vae_whose_bias_holds_its_block_of_weights(prior: str) -> None:
    given = {"prior": VampPrior(2, components=4)} if prior == "VampPrior" else {}
    cvae = codes(**given)
    for y in range(3):
        vae = small_vae(prior=VampPrior(2, components=4) if given else prior, shape=X)
        state = {}
        for name, value in cvae.state_dict().items():
            if ".beside." in name:
                continue
            short = name.replace("network.network.first", "network.network")
            if "network.network.rest" in name:
                head, _, tail = name.partition("rest.")
                at, _, kind = tail.partition(".")
                short = f"{head}{int(at) + 2}.{kind}"
            state[short] = value.clone()
        for side in ("encoder", "decoder"):
            block = getattr(cvae, f"{side}_network").network.beside[1].weight[:, y]
            state[f"{side}_network.network.1.bias"] += block.detach()
        vae.load_state_dict(state)
        x = data_for(vae, 6)
        labels = torch.full((6,), y)
        here = log_prob(cvae, {"x": x, "y": labels}, samples=9)
        torch.testing.assert_close(here, log_prob(vae, x, samples=9), rtol=1e-5, atol=1e-5)
        torch.manual_seed(1)
        mine = Trace_ELBO().loss(cvae.model, cvae.guide, x, y=labels)
        torch.manual_seed(1)
        assert mine == pytest.approx(Trace_ELBO().loss(vae.model, vae.guide, x), rel=1e-5)


@pytest.mark.usefixtures("float64")
def test_codes_z_are_summed_over() -> None:
    cvae = codes(prior=CategoricalPrior(4, codes=1), posterior=Categorical())
    batch = batch_of(cvae)
    z = torch.eye(4).reshape(4, 1, 1, 4)
    with torch.no_grad():
        scores = cvae.decode(z, y=Y).log_prob(batch["x"])
        logits = cvae.prior(pyrovae.context.Context()).log_prob(z[:, 0])
    truth = (scores + logits.reshape(4, 1)).logsumexp(0)
    torch.testing.assert_close(log_prob(cvae, batch, samples=2), truth)


def test_pseudo_inputs_are_encoded_under_the_y_of_each_datum() -> None:
    cvae = codes(prior=VampPrior(2, components=4))
    z = torch.randn(len(Y), 2)
    with torch.no_grad():
        p = cvae._prior(cvae._context(Y))
        pseudo = cvae.prior.pseudo_inputs
        each = [
            cvae._encoded(pseudo, cvae._context(torch.full((4,), int(y)))).log_prob(point)
            for y, point in zip(Y, z, strict=True)
        ]
        truth = torch.stack(each).logsumexp(1) - math.log(4)
        torch.testing.assert_close(p.log_prob(z), truth)


# -------------------------------------------------------------------------------------- what it is


def test_entries_that_are_not_observed_change_nothing() -> None:
    cvae = codes(baseline=MLP((3,)))
    batch = batch_of(cvae)
    observed = torch.rand(batch["x"].shape) < 0.5
    found = []
    for x in (batch["x"], torch.where(observed, batch["x"], 1.0 - batch["x"])):
        found.append(log_prob(cvae, {"x": x, "y": Y, "observed": observed}, samples=5))
    assert torch.equal(found[0], found[1])
    other = log_prob(cvae, batch, samples=5)
    assert not torch.equal(found[0], other)


@pytest.mark.parametrize("posterior", [FullRankNormal(), SemiAmortized(steps=2)])
def test_programs_made_beforehand_are_the_same(posterior: Any) -> None:
    cvae = codes(prior=ConditionalNormal(2, condition=3), posterior=posterior, baseline=MLP(()))
    batch = batch_of(cvae)
    pair = Pair(cvae)
    assert pair.fixes
    torch.manual_seed(7)
    model, guide = pair.fixed(batch)
    bound = Trace_ELBO(num_particles=3, vectorize_particles=True, max_plate_nesting=1)
    losses = [bound.loss(model, guide, **batch)]
    torch.manual_seed(7)
    losses.append(bound.loss(cvae.model, cvae.guide, **batch))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_subclass_with_its_own_program_is_not_fixed() -> None:
    class Other(ConditionalVAE):
        model = pyrovae.models.program(lambda self, x=None, **batch: x)

    other = Other(**pyrovae.declared.arguments_of(small_cvae(X)))
    assert not Pair(other).fixes


def test_a_posterior_without_an_encoder() -> None:
    cvae = codes(posterior=PerDatum(data=7, steps=2), encoder=None)
    history = pyrovae.fit(cvae, batch_of(cvae), epochs=2, batch_size=7, progress=False, seed=0)
    assert history.failure is None


def test_what_is_drawn_follows_its_y() -> None:
    cvae = codes(likelihood=Normal(X, scale=1e-3), baseline=MLP(()))
    with torch.no_grad():
        for parameter in cvae.decoder_network.parameters():
            parameter.zero_()
        means = cvae.baseline_network(torch.eye(3))
    for mean in (False, True):
        assert (cvae.sample(7, y=Y, mean=mean) - means[Y]).abs().max() < 0.01
        assert (cvae.sample(2, y=1, mean=mean) - means[1]).abs().max() < 0.01
        assert (cvae.sample(4, mean=mean) - means[[0, 1, 2, 0]]).abs().max() < 0.01
    x = torch.randn(2, 7, *X)
    assert (cvae.reconstruct(x, y=Y.expand(2, 7)) - means[Y]).abs().max() < 1e-5
    assert (cvae.translate(x, y=2, source=0) - means[2]).abs().max() < 1e-5
    grid = cvae.decode(torch.randn(4, 1, 2), y=[0, 1, 2])
    assert grid.batch_shape == (4, 3)
    assert cvae.sample(0, y=1).shape == (0, *X)


def test_a_style_is_kept_under_another_class() -> None:
    cvae = codes()
    batch = batch_of(cvae)
    torch.manual_seed(2)
    there = cvae.translate(batch["x"], y=1, source=Y)
    torch.manual_seed(2)
    z = cvae.eval().encode(batch["x"], y=Y).sample()
    torch.testing.assert_close(there, cvae.decode(z, y=1).mean)


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
def test_numbers_of_any_shape(shape: tuple[int, ...]) -> None:
    size = math.prod(shape)
    cvae = small_cvae(X, condition_shape=shape, prior=ConditionalNormal(2, condition=size))
    y = torch.randn(7, *shape)
    x = cvae.sample(7, y=y)
    history = pyrovae.fit(cvae, {"x": x, "y": y}, epochs=1, batch_size=7, progress=False)
    assert history.failure is None
    assert log_prob(cvae, {"x": x, "y": y.double()}, samples=2).shape == (7,)
    assert cvae.encode(x[:1], y=y[0]).batch_shape == (1,)
    assert cvae.model(y=y).shape == (7, *X)


def test_training_moves_everything_and_survives_saving(tmp_path: Path) -> None:
    cvae = small_cvae(X, prior=ConditionalNormal(2, condition=3), baseline=MLP((4,)))
    batch = batch_of(codes())
    before = {name: value.clone() for name, value in cvae.named_parameters()}
    pyro.clear_param_store()
    svi = SVI(cvae.model, cvae.guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO())
    losses = [svi.step(**batch) for _ in range(30)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert not [n for n, value in cvae.named_parameters() if torch.equal(value, before[n])]
    pyrovae.save(cvae, tmp_path / "m")
    again = pyrovae.load(tmp_path / "m")
    assert repr(again) == repr(cvae)
    assert torch.equal(log_prob(again, batch, samples=4), log_prob(cvae, batch, samples=4))


def test_a_frozen_baseline_stays_and_a_new_one_begins_at_the_data() -> None:
    batch = batch_of(codes())
    mean = batch["x"].mean(0).clamp(0.001, 0.999).logit()
    cvae = small_cvae(X, baseline=MLP(()))
    cvae.prepare(batch)
    torch.testing.assert_close(cvae.baseline_network.offset, mean)
    assert not cvae.decoder_network.offset.any()
    cvae = small_cvae(X, baseline=MLP(()))
    cvae.baseline_network.requires_grad_(False)
    cvae.baseline_network.offset.fill_(0.3)
    before = {name: value.clone() for name, value in cvae.baseline_network.state_dict().items()}
    pyrovae.fit(cvae, batch, epochs=1, batch_size=7, progress=False)
    after = cvae.baseline_network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_an_unknown_y_of_a_later_batch_never_passes_for_a_known_one() -> None:
    cvae = codes()
    wrong = torch.tensor([0, -1, 3, 1, 2, 0, 1])
    with validation(enabled=False):  # as in a step
        assert ELBO()(cvae.model, cvae.guide)(x=batch_of(cvae)["x"], y=wrong).isnan()


# --------------------------------------------------------------------------------------- refusals

IMAGE = {"condition_shape": (2, 2)}


@pytest.mark.parametrize(
    ("about", "y", "words"),
    [
        ({}, None, "needs y, a class from 0 to 2, for each datum; got none"),
        ({}, -torch.ones(7, dtype=torch.int64), r"got y\[0\] = -1, an unknown label: leave such"),
        ({}, Y + 1, r"a class from 0 to 2; got y\[1\] = 3"),
        ({}, Y.float(), "a class from 0 to 2; got torch.float32"),
        (IMAGE, Y, "numbers of shape .*, floating; got torch.int64, which are classes"),
        (IMAGE, torch.randn(7, 4), r"y of shape \[\d, 2, 2\], .* got \[\d, 4\]"),
        (IMAGE, torch.full((7, 2, 2), torch.nan), r"got y\[0, 0, 0\] = nan, an unknown label"),
    ],
)
def test_data_without_a_right_y_are_refused_before_the_first_step(
    about: Any, y: Tensor | None, words: str
) -> None:
    cvae = small_cvae(X, **about)
    before = {name: value.clone() for name, value in cvae.state_dict().items()}
    data = {"x": torch.zeros(7, *X)} | ({} if y is None else {"y": y})
    for verb in (pyrovae.fit, log_prob):
        with pytest.raises((TypeError, ValueError), match=words):
            verb(cvae, data)
    assert all(torch.equal(value, before[name]) for name, value in cvae.state_dict().items())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.sample(3, y=7), "a class from 0 to 2; got y = 7"),
        (lambda m: m.sample(3, y=[1, 2]), r"y of shape \[3\], .* got \[2\]"),
        (lambda m: m.sample(3, y="a"), "a class from 0 to 2; got 'a'"),
        (lambda m: m.sample(3, y=1.5), "got torch.float32"),
        (lambda m: m.sample(3, y=True), "got torch.bool"),
        (lambda m: m.sample(-1, y=1), "n to be a whole number"),
        (lambda m: m.encode(torch.zeros(2, *X), y=None), "got none"),
        (lambda m: m.decode(torch.zeros(2, 2), y=[[3]]), r"got y\[0, 0\] = 3"),
        (lambda m: m.model(torch.zeros(2, *X)), "got none"),
        (lambda m: m.model(torch.zeros(2, *X), y=torch.zeros(3, dtype=torch.int64)), r"\[2\]"),
        (lambda m: m.guide(y=Y), "got no x"),
        (lambda _: small_cvae(X, condition_shape=(2,)).sample(3), "got none"),
        (lambda _: small_cvae(levels=0), "levels to be the number of classes"),
        (lambda _: small_cvae(levels=2, condition_shape=(3,)), "got both"),
        (lambda _: small_cvae(condition_shape=(0,)), "condition_shape to be the shape of one y"),
        (lambda _: small_cvae(prior=ConditionalNormal(2, condition=4)), r"\[\*batch, 4\]"),
        (lambda _: small_cvae(baseline=lambda i, o: nn.Linear(i[0], 2)), "the baseline"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call(small_cvae(X))


@pytest.mark.parametrize(
    "prior",
    [GaussianMixture(2), VampPrior(2, components=4), ExemplarPrior(2, exemplars=3)],
    ids=repr,
)
def test_other_priors_train(prior: Any) -> None:
    cvae = small_cvae(X, prior=prior)
    batch = batch_of(codes())
    assert pyrovae.fit(cvae, batch, epochs=2, batch_size=7, progress=False).failure is None
    assert log_prob(cvae, batch, samples=3).isfinite().all()
    assert cvae.sample(4).shape == (4, *X)


def test_a_compiled_evaluation_gets_the_y_of_each_batch() -> None:
    cvae = codes(likelihood=Bernoulli(X), prior=ConditionalNormal(2, condition=3))
    y = torch.arange(40) % 3
    data = {"x": cvae.sample(40, y=y), "y": y}
    eager = log_prob(cvae, data, samples=50, compile=False)
    torch.testing.assert_close(
        log_prob(cvae, data, samples=50, compile=True), eager, rtol=1e-4, atol=1e-4
    )

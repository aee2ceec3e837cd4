"""ExemplarPrior: against brute force over the exemplars, with and without the datum itself."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from cases import CONTEXT, array, scale_of, small_vae
from pyro import distributions as dist
from scipy import special, stats
from torch import Tensor

import pyrovae
from pyrovae.config import from_tree, to_tree
from pyrovae.context import Context
from pyrovae.distributions import DiagonalNormalMixture, Foreign
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import ExemplarPrior
from pyrovae.training.arguments import flattened
from pyrovae.training.recording import record
from pyrovae.training.slots import Slots


def prior_of(x: Tensor, index: Tensor, exemplars: int = 5) -> ExemplarPrior:
    prior = ExemplarPrior(x.shape[-1], exemplars=exemplars)
    prior.bind(tuple(x.shape[1:]))
    prior.prepare({"x": x, "index": index})
    torch.nn.init.constant_(prior.raw_scale, -0.4)
    return prior


def brute(prior: ExemplarPrior, z: np.ndarray, without: int | None = None) -> Any:
    kept = array(prior.indices) != (-7 if without is None else without)
    means = 0.5 * array(prior.examples)[kept]
    scale = scale_of(array(prior.raw_scale))
    scores = stats.norm.logpdf(z[None], means, scale).sum(-1)
    return special.logsumexp(scores) - np.log(kept.sum())


@pytest.mark.usefixtures("float64")
def test_a_datum_is_left_out_of_its_own_prior_in_training_alone() -> None:
    x, index = torch.randn(8, 2), torch.arange(10, 18)
    prior = prior_of(x, index)
    assert len(set(prior.indices.tolist())) == 5
    for row, at in zip(prior.examples, prior.indices, strict=True):
        assert torch.equal(row, x[int(at) - 10])
    context = Context(encode=CONTEXT.encode, index=index)
    z = torch.randn(3, 8, 2)
    for training in (True, False):
        made = prior.train(training)(context)
        assert made.batch_shape == ((8,) if training else ())
        scores = made.log_prob(z)
        assert scores.shape == (3, 8)
        for particle in range(3):
            for at in range(8):
                without = at + 10 if training else None
                truth = brute(prior, array(z[particle, at]), without)
                assert scores[particle, at].item() == pytest.approx(truth, rel=1e-9)
    assert prior.train()(CONTEXT).batch_shape == (), "no index, nothing to leave out"


def test_draws_leave_the_datum_out_too() -> None:
    prior = prior_of(torch.tensor([[0.0], [1e3], [2e3]]), torch.arange(3), exemplars=3)
    made = prior(Context(encode=CONTEXT.encode, index=torch.arange(3)))
    draws = made.sample((200,))
    assert draws.shape == (200, 3, 1)
    for own in range(3):
        near = (draws[:, own, 0] - 500.0 * own).abs() < 100.0
        assert not near.any()
    seen = {round(value / 500.0) for value in draws[:, 1, 0].tolist()}
    assert seen == {0, 2}


def test_few_data_fill_it_and_one_datum_keeps_itself() -> None:
    prior = prior_of(torch.randn(3, 2), torch.arange(3), exemplars=7)
    counts = torch.bincount(prior.indices)
    assert sorted(counts.tolist()) == [2, 2, 3]
    single = prior_of(torch.randn(1, 2), torch.tensor([4]), exemplars=2)
    made = single(Context(encode=CONTEXT.encode, index=torch.tensor([4, 5])))
    assert made.log_prob(torch.zeros(2, 2)).isfinite().all()


@pytest.mark.parametrize("objective", [ELBO(), IWAE(particles=3)])
def test_it_trains_with_gradients_through_the_encoder(objective: Any) -> None:
    vae = small_vae(ExemplarPrior(2, exemplars=10), "MeanFieldNormal", shape=(6,))
    x = (torch.rand(40, 6) > 0.5).float()
    history = pyrovae.fit(
        vae, x, epochs=15, batch_size=20, seed=0, objective=objective, compile=False,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    )  # fmt: skip
    losses = [record["train/loss"] for record in history.records]
    assert losses[-1] < losses[0]
    assert vae.prior.raw_scale != 0.0
    assert {int(at) for at in vae.prior.indices} <= set(range(40))
    for row, at in zip(vae.prior.examples, vae.prior.indices, strict=True):
        assert torch.equal(row, x[at])
    result = pyrovae.evaluate(vae, x, samples=50)
    assert result.elbo <= result.log_prob
    assert vae.sample(4).shape == (4, 6)

    q = vae.prior(Context(encode=vae._encode_frozen))
    q.log_prob(torch.zeros(2)).backward()
    grads = [parameter.grad for parameter in vae.encoder_network.parameters()]
    assert any(grad is not None and (grad != 0).any() for grad in grads)


def test_a_training_step_is_recorded() -> None:
    vae = small_vae(ExemplarPrior(2, exemplars=4), "MeanFieldNormal", shape=(6,))
    batch = {"x": (torch.rand(8, 6) > 0.5).float(), "index": torch.arange(8)}
    vae.prepare(batch)
    loss = ELBO()(vae.model, vae.guide)
    slots = Slots(loss)
    recording = record(loss, slots, *flattened((), batch))
    torch.manual_seed(1)
    with torch.no_grad():
        value = recording.graph(*slots.tensors(), *batch.values())[0]
    torch.manual_seed(1)
    torch.testing.assert_close(value, loss(**batch).detach())


def test_it_is_saved_with_its_exemplars(tmp_path: Any) -> None:
    vae = small_vae(ExemplarPrior(2, exemplars=4), "MeanFieldNormal", shape=(6,))
    assert repr(from_tree(to_tree(vae.prior))) == "ExemplarPrior(2, exemplars=4)"
    vae.prepare({"x": (torch.rand(8, 6) > 0.5).float(), "index": torch.arange(8)})
    pyrovae.save(vae, tmp_path / "model")
    for other in (pyrovae.load(tmp_path / "model"), copy.deepcopy(vae)):
        assert torch.equal(other.prior.examples, vae.prior.examples)
        assert torch.equal(other.prior.indices, vae.prior.indices)


class Meanless(MeanFieldNormal):
    """A family that states no mean, as flows do not."""

    def forward(self, raw: Tensor, context: Context) -> Any:
        base = super().forward(raw, context)
        identity = torch.distributions.AffineTransform(0.0, 1.0, event_dim=1)
        return Foreign(torch.distributions.TransformedDistribution(base, [identity]))


def test_a_posterior_without_a_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="states no mean: choose a posterior that does") as raised:
        small_vae(ExemplarPrior(2, exemplars=4), Meanless(), shape=(6,))
    assert "ExemplarPrior(2, exemplars=4)" in str(raised.value)


@pytest.mark.parametrize("exemplars", [1, 0, -3, 2.0, True, "5", 2**31])
def test_exemplars_are_at_least_two(exemplars: Any) -> None:
    with pytest.raises(ValueError, match="expects exemplars to be an integer of at least 2"):
        ExemplarPrior(2, exemplars=exemplars)


def test_outside_a_model_it_says_what_it_needs() -> None:
    prior = ExemplarPrior(2)
    prior.bind((3,))
    with pytest.raises(ValueError, match=r"Context\(encode=\.\.\.\)"):
        prior(Context())


@pytest.mark.usefixtures("float64")
def test_a_mixture_with_weights_for_each_of_a_batch() -> None:
    logits, loc, scale = torch.randn(4, 3), torch.randn(3, 2), torch.rand(3, 2) + 0.1
    logits[1, 0] = -torch.inf
    made = DiagonalNormalMixture(logits, loc, scale, validate_args=True)
    assert (made.batch_shape, made.event_shape) == ((4,), (2,))
    z = torch.randn(6, 4, 2)
    for at in range(4):
        weights = dist.Categorical(logits=logits[at])
        plain = dist.MixtureSameFamily(weights, dist.Normal(loc, scale).to_event(1))
        torch.testing.assert_close(made.log_prob(z)[:, at], plain.log_prob(z[:, at]))
        torch.testing.assert_close(made.mean[at], plain.mean)
    assert made.sample((5, 2)).shape == (5, 2, 4, 2)
    wide = made.expand((7, 4))
    assert wide.log_prob(z[0]).shape == (7, 4)
    assert wide.sample().shape == (7, 4, 2)

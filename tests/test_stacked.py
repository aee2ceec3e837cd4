"""The stacked model against truth: sums over classes by hand, Pyro, and its own second stage.

Where two ways are compared they get the same noise, so they agree to rounding.
"""

import math
from pathlib import Path
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import SVI, Predictive, TraceEnum_ELBO
from torch import Tensor
from torch.nn import functional

import pyrovae
from pyrovae.config import from_tree, to_tree
from pyrovae.evaluation import log_prob
from pyrovae.likelihoods import Bernoulli, Categorical
from pyrovae.models import VAE, SemiSupervisedVAE, StackedVAE
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import Categorical as CategoricalPosterior
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import Categorical as CategoricalPrior
from pyrovae.priors import StandardNormal, VampPrior

pytestmark = pytest.mark.usefixtures("float64")

CLASSES, PIXELS, DIM, FEATURES = 3, 6, 2, 4
WEIGHT = 1.7
Y = {"all unknown": [-1] * 5, "all known": [0, 2, 1, 2, 0], "mixed": [-1, 2, 0, -1, 1]}


def first(**changed: Any) -> VAE:
    parts: dict[str, Any] = {
        "prior": StandardNormal(FEATURES),
        "likelihood": Bernoulli((PIXELS,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
    }
    return VAE(**(parts | changed))


def small(**changed: Any) -> StackedVAE:
    parts: dict[str, Any] = {
        "features": first(),
        "prior": StandardNormal(DIM),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
        "target": Categorical((), levels=CLASSES),
        "classifier": MLP((4,)),
        "label_weight": WEIGHT,
    }
    model = StackedVAE(**(parts | changed))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    model.features.prepared.fill_(True)
    return model


def data(n: int = 5) -> Tensor:
    torch.manual_seed(2)
    return torch.bernoulli(torch.full((n, PIXELS), 0.5))


def normal(raw: Tensor) -> torch.distributions.Independent:
    loc, scale = raw.chunk(2, -1)
    scale = 1e-4 + functional.softplus(scale + math.log(math.expm1(1.0)))
    return torch.distributions.Independent(torch.distributions.Normal(loc, scale), 1)


def by_hand(model: StackedVAE, x: Tensor, y: Tensor) -> Tensor:
    """The bound of each datum as a sum over classes, with one draw of f, and of z for each class.

    The guide draws f and then z, so the noise is that of the model's own run at the same seed.
    """
    torch.manual_seed(3)
    q_f = normal(model.features.encoder_network(x))
    f = q_f.sample()
    noise = torch.normal(torch.zeros(CLASSES, len(x), DIM), torch.ones(CLASSES, len(x), DIM))
    logits = model.features.decoder_network(f)
    log_x = (x * logits - functional.softplus(logits)).sum(-1)
    top = model.top
    log_q = functional.log_softmax(top.label.classifier_network(f), -1)
    log_p = functional.log_softmax(top.label.raw, -1)
    p_z = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(DIM), torch.ones(DIM)), 1
    )
    inside = []
    for c in range(CLASSES):
        code = functional.one_hot(torch.full((len(x),), c), CLASSES).to(x.dtype)
        q_z = normal(top.encoder_network(f, condition=code))
        z = q_z.mean + q_z.stddev * noise[c]
        p_f = top.likelihood(top.decoder_network(z, condition=code), pyrovae.context.Context())
        kl = torch.distributions.kl_divergence(q_z, p_z)
        inside.append(log_x + p_f.log_prob(f) - q_f.log_prob(f) - kl + log_p[c])
    bound = torch.stack(inside, -1)
    unknown = (log_q.exp() * (bound - log_q)).sum(-1)
    row = torch.arange(len(x)), y.clamp(min=0)
    return torch.where(y < 0, unknown, bound[row] + WEIGHT * log_q[row])


def same(here: Tensor, there: Tensor, model: StackedVAE) -> None:
    """Both values and their gradients agree; it reaches all parameters but the first model's."""
    torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-9)
    named = {name: value for name, value in model.named_parameters() if value.requires_grad}
    assert named
    assert not any(name.startswith("features.") for name in named)
    ours, theirs = (
        torch.autograd.grad(value, list(named.values()), retain_graph=True)
        for value in (here, there)
    )
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("known", Y)
def test_the_bound_is_the_sum_over_classes(known: str) -> None:
    model, x, y = small(target_prior="learned"), data(), torch.tensor(Y[known])
    torch.manual_seed(3)
    loss = ELBO()(model.model, model.guide)(x=x, y=y)
    same(loss, -by_hand(model, x, y).sum(), model)


@pytest.mark.parametrize("known", Y)
@pytest.mark.parametrize("particles", [1, 3])
def test_the_bound_is_pyros(known: str, particles: int) -> None:
    model, x, y = small(target_prior="learned"), data(), torch.tensor(Y[known])
    theirs = TraceEnum_ELBO(
        num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1
    )
    torch.manual_seed(3)
    there = theirs.differentiable_loss(model.model, model.guide, x=x, y=y)
    torch.manual_seed(3)
    here = ELBO(kl="sampled", particles=particles)(model.model, model.guide)(x=x, y=y)
    same(here, there, model)


def test_a_mixed_batch_is_its_parts() -> None:
    model, x, y = small(), data(), torch.tensor(Y["mixed"])
    loss = ELBO()(model.model, model.guide)

    def rows(seen: Tensor) -> Tensor:
        torch.manual_seed(3)
        return loss.measure(x=x, y=seen).bound

    none, everything = rows(torch.full((5,), -1)), rows(y.clamp(min=0))
    same(rows(y).sum(), torch.where(y < 0, none, everything).sum(), model)


def test_it_learns_what_a_second_stage_on_resampled_features_does() -> None:
    """The gradient is that of `SemiSupervisedVAE` on draws of q(f | x) as its data."""
    model, x, y = small(), data(), torch.tensor(Y["mixed"])
    torch.manual_seed(3)
    here = ELBO()(model.model, model.guide)(x=x, y=y)
    torch.manual_seed(3)
    f = model.features.encode(x).sample()
    top: SemiSupervisedVAE = model.top
    there = ELBO()(top.model, top.guide)(x=f, y=y)
    parameters = list(top.parameters())
    for mine, other in zip(
        torch.autograd.grad(here, parameters), torch.autograd.grad(there, parameters), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_log_prob_is_that_of_the_first_model_where_the_top_is_its_prior() -> None:
    """With p(f | y, z) = N(0, 1) and q(y), q(z) = p, log p(x) is the first model's."""
    model, x = small(), data()
    with torch.no_grad():
        for parameter in model.top.parameters():
            parameter.zero_()
        for parameter in model.features.encoder_network.parameters():
            parameter.mul_(0.1)  # a proposal near p(f), for weights that vary little
        spread = torch.tensor([[-1.0], [1.0]]).expand(2, FEATURES)  # of mean 0 and variance 1
        start = model.top.likelihood.prepare({"x": spread})
        assert start is not None
        model.top.decoder_network.offset.copy_(start)
        model.top.encoder_network.offset.zero_()
    there = log_prob(model.features, x, samples=20_000)
    here = log_prob(model, x, samples=20_000)
    # log-weights vary by some 0.7 here, so each estimate has an error of 0.01: five of both
    torch.testing.assert_close(here, there, rtol=0.0, atol=0.07)


def test_importance_bounds_refuse_an_enumerated_y_and_take_a_relaxed_one() -> None:
    x, y = data(), torch.tensor(Y["mixed"])
    model = small()
    with pytest.raises(ValueError, match="'y' hangs on the draw of another site"):
        IWAE(particles=3)(model.model, model.guide)(x=x, y=y)
    model = small(inference="relaxed")
    loss = IWAE(particles=3)(model.model, model.guide)(x=x, y=y)
    assert bool(loss.isfinite())


def test_two_stages_save_and_verbs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y = data(20), torch.arange(20) % 4 - 1
    below = first()
    pyrovae.fit(below, x, epochs=1, batch_size=10, seed=0, progress=False)
    model = small(features=below)
    frozen = {name: value.clone() for name, value in below.state_dict().items()}
    batch = {"x": x, "y": y}
    history = pyrovae.fit(model, batch, epochs=2, batch_size=7, seed=0, progress=False)
    assert all(map(math.isfinite, history["train/loss"]))
    for name, value in below.state_dict().items():
        assert torch.equal(value, frozen[name]), name
    pyrovae.save(model, tmp_path / "model")
    loaded: Any = pyrovae.load(tmp_path / "model")
    assert repr(loaded) == repr(model)
    assert not any(value.requires_grad for value in loaded.features.parameters())
    assert not loaded.features.training
    assert torch.equal(loaded.classify(x).logits, model.classify(x).logits)
    assert repr(from_tree(to_tree(model))) == repr(model)
    assert loaded.sample(4, y=1).shape == (4, PIXELS)
    assert loaded.sample(0).shape == (0, PIXELS)
    assert loaded.sample(3, mean=True).shape == (3, PIXELS)
    assert loaded.reconstruct(x, y=y).shape == x.shape
    assert loaded.translate(x[:1], y=2).shape == (1, PIXELS)
    assert loaded.encode(x[0]).batch_shape == ()
    assert loaded.encode(x.reshape(4, 5, PIXELS), y=2).batch_shape == (4, 5)
    assert loaded.decode(torch.zeros(2, 3, DIM), y=0).batch_shape == (2, 3)


def test_a_run_of_the_second_stage_goes_on_bit_for_bit(tmp_path: Path) -> None:
    x, y = data(20), torch.arange(20) % 4 - 1
    models = [small(), small()]
    told: Any = {"batch_size": 7, "seed": 0, "progress": False, "checkpoint_share": 1.0}
    pyrovae.fit(models[0], {"x": x, "y": y}, epochs=3, out=tmp_path / "whole", **told)
    pyrovae.fit(models[1], {"x": x, "y": y}, epochs=1, out=tmp_path / "parts", **told)
    again = small()
    pyrovae.fit(again, {"x": x, "y": y}, epochs=3, resume=tmp_path / "parts", **told)
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_plain_pyro() -> None:
    model, x, y = small(), data(20), torch.arange(20) % 4 - 1
    before = {name: value.clone() for name, value in model.named_parameters()}
    svi = SVI(
        model.model,
        model.guide,
        pyro.optim.Adam({"lr": 0.01}),
        TraceEnum_ELBO(max_plate_nesting=1),
    )
    for _ in range(2):
        assert math.isfinite(svi.step(x=x, y=y))
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith("features."), name
    drawn = Predictive(model.model, num_samples=3)(y=torch.tensor([0, 1]))
    assert drawn["x"].shape == (3, 2, PIXELS)
    assert drawn["features"].shape == (3, 2, FEATURES)


def test_missing_entries_and_a_prior_of_pseudo_inputs() -> None:
    model, x = small(prior=VampPrior(DIM, components=3)), data(12)
    batch = {"x": x, "y": torch.arange(12) % 4 - 1, "observed": torch.rand(12, PIXELS) < 0.7}
    history = pyrovae.fit(model, batch, epochs=1, batch_size=6, seed=0, progress=False)
    assert math.isfinite(history["train/loss"][-1])


def test_features_that_are_not_trained_are_refused() -> None:
    model = small()
    model.features.prepared.fill_(False)
    with pytest.raises(ValueError, match="expects features to be a trained VAE"):
        pyrovae.fit(model, {"x": data(), "y": torch.tensor(Y["mixed"])}, epochs=1)


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        ({"features": MLP((4,))}, TypeError, "features expects a VAE"),
        ({"label_weight": -1.0}, ValueError, "label_weight"),
        ({"target": Categorical((2,), levels=3)}, ValueError, "one class for each datum"),
    ],
)
def test_refusals(changed: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        small(**changed)


def test_features_that_are_codes_are_refused() -> None:
    below = first(prior=CategoricalPrior(3), posterior=CategoricalPosterior())
    with pytest.raises(ValueError, match="expects the features to be vectors of numbers"):
        small(features=below)

"""The model with an auxiliary variable against truth: sums over classes by hand, and Pyro.

Where two ways are compared they get the same noise, so they agree to rounding.
"""

import copy
import math
from itertools import product
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
from pyrovae.likelihoods import Bernoulli, Categorical, Normal
from pyrovae.models import AuxiliaryVAE
from pyrovae.networks import MLP, Conv
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import ConditionalNormal, StandardNormal, VampPrior

pytestmark = pytest.mark.usefixtures("float64")

CLASSES, PIXELS, DIM, AUXILIARY = 3, 6, 2, 4
WEIGHT = 1.7
Y = {
    "all unknown": [-1, -1, -1, -1, -1],
    "all known": [0, 2, 1, 2, 0],
    "mixed": [-1, 2, 0, -1, 1],
    "one known": [-1, -1, 1, -1, -1],
}
SKIP = pytest.mark.parametrize("skip", [False, True], ids=["ADGM", "SDGM"])


def small(**changed: Any) -> AuxiliaryVAE:
    parts: dict[str, Any] = {
        "prior": StandardNormal(DIM),
        "likelihood": Bernoulli((PIXELS,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
        "target": Categorical((), levels=CLASSES),
        "classifier": MLP((4,)),
        "auxiliary_dim": AUXILIARY,
        "label_weight": WEIGHT,
    }
    model = AuxiliaryVAE(**(parts | changed))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    return model


def data(n: int = 5) -> Tensor:
    torch.manual_seed(2)
    return torch.bernoulli(torch.full((n, PIXELS), 0.5))


def normal(raw: Tensor) -> torch.distributions.Independent:
    loc, scale = raw.chunk(2, -1)
    scale = 1e-4 + functional.softplus(scale + math.log(math.expm1(1.0)))
    return torch.distributions.Independent(torch.distributions.Normal(loc, scale), 1)


def by_hand(model: AuxiliaryVAE, x: Tensor, y: Tensor, *, analytic: bool) -> Tensor:
    """The bound of each datum as a sum over classes, with one draw of a, and of z for each class.

    The guide draws a and then z, so the noise is that of the model's own run at the same seed.
    """
    torch.manual_seed(3)
    q_a = normal(model.auxiliary.encoder_network(x))
    a = q_a.rsample()
    noise = torch.normal(torch.zeros(CLASSES, len(x), DIM), torch.ones(CLASSES, len(x), DIM))
    log_q = functional.log_softmax(model.label.classifier_network(x, condition=a), -1)
    log_p = functional.log_softmax(model.label.raw, -1)
    p_z = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(DIM), torch.ones(DIM)), 1
    )
    inside = []
    for c in range(CLASSES):
        code = functional.one_hot(torch.full((len(x),), c), CLASSES).to(x.dtype)
        q_z = normal(model.encoder_network(x, condition=torch.cat([a, code], -1)))
        z = q_z.mean + q_z.stddev * noise[c]
        if model.skip:
            p_a = normal(model.auxiliary.decoder_network(z, condition=code))
            logits = model.decoder_network(z, condition=torch.cat([a, code], -1))
        else:
            seen = torch.cat([z, code], -1)
            p_a = normal(model.auxiliary.decoder_network(x, condition=seen))
            logits = model.decoder_network(z, condition=code)
        log_x = (x * logits - functional.softplus(logits)).sum(-1)
        if analytic:
            kl = torch.distributions.kl_divergence(q_z, p_z)
        else:
            kl = q_z.log_prob(z) - p_z.log_prob(z)
        inside.append(log_x - kl + p_a.log_prob(a) - q_a.log_prob(a) + log_p[c])
    bound = torch.stack(inside, -1)
    unknown = (log_q.exp() * (bound - log_q)).sum(-1)
    row = torch.arange(len(x)), y.clamp(min=0)
    return torch.where(y < 0, unknown, bound[row] + WEIGHT * log_q[row])


def same(here: Tensor, there: Tensor, model: AuxiliaryVAE, *, tolerance: float = 1e-9) -> None:
    """Both values and their gradients agree, and a gradient reaches every parameter."""
    torch.testing.assert_close(here, there, rtol=tolerance, atol=tolerance)
    named = dict(model.named_parameters())
    ours, theirs = (
        torch.autograd.grad(value, list(named.values()), allow_unused=True)
        for value in (here, there)
    )
    for name, mine, other in zip(named, ours, theirs, strict=True):
        assert mine is not None, name
        assert other is not None, name
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)


@SKIP
@pytest.mark.parametrize(("known", "analytic"), [*product(Y, (True, False))])
def test_the_bound_is_the_sum_over_classes(skip: bool, known: str, analytic: bool) -> None:
    model, x, y = small(skip=skip, target_prior="learned"), data(), torch.tensor(Y[known])
    objective = ELBO(kl="auto" if analytic else "sampled")
    torch.manual_seed(3)
    loss = objective(model.model, model.guide)(x=x, y=y)
    same(loss, -by_hand(model, x, y, analytic=analytic).sum(), model)
    how = objective.method(objective.trace(model.model, model.guide, x, y=y))
    closed = "analytic" if analytic else "sampled"
    assert how == {"y": closed, "z": closed, "a": "sampled"}


@SKIP
@pytest.mark.parametrize("known", Y)
@pytest.mark.parametrize("particles", [1, 3])
def test_the_bound_is_pyros(skip: bool, known: str, particles: int) -> None:
    prior = ConditionalNormal(DIM, condition=CLASSES, hidden=(3,))
    model = small(skip=skip, prior=prior, target_prior="learned")
    x, y = data(), torch.tensor(Y[known])
    theirs = TraceEnum_ELBO(
        num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1
    )
    torch.manual_seed(3)
    there = theirs.differentiable_loss(model.model, model.guide, x=x, y=y)
    torch.manual_seed(3)
    here = ELBO(kl="sampled", particles=particles)(model.model, model.guide)(x=x, y=y)
    same(here, there, model, tolerance=1e-8)


@SKIP
@pytest.mark.parametrize("objective", [ELBO(), ELBO(particles=3, beta=0.5)], ids=repr)
def test_a_mixed_batch_is_its_parts(skip: bool, objective: Any) -> None:
    """The bound of a row is the same alone, with the labels of the others known or not."""
    model, x, y = small(skip=skip), data(), torch.tensor(Y["mixed"])
    loss = objective(model.model, model.guide)

    def rows(seen: Tensor) -> Tensor:
        torch.manual_seed(3)
        return loss.measure(x=x, y=seen).bound

    none, everything = rows(torch.full((5,), -1)), rows(y.clamp(min=0))
    same(rows(y).sum(), torch.where(y < 0, none, everything).sum(), model)


def test_the_classifiers_gradient_is_that_of_cross_entropy_at_the_draw() -> None:
    model, x, y = small(), data(), torch.tensor(Y["all known"])
    torch.manual_seed(3)
    loss = ELBO()(model.model, model.guide)(x=x, y=y)
    torch.manual_seed(3)
    a = normal(model.auxiliary.encoder_network(x)).rsample()
    entropy = functional.cross_entropy(
        model.label.classifier_network(x, condition=a), y, reduction="sum"
    )
    parameters = list(model.label.parameters())
    here = torch.autograd.grad(loss, parameters)
    there = torch.autograd.grad(WEIGHT * entropy, parameters)
    for mine, other in zip(here, there, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


@SKIP
def test_evidence_is_that_of_a_plain_sum(skip: bool) -> None:
    """The weights of `log_prob` are those of draws by hand, with y summed in the joint density."""
    model, x = small(skip=skip), data()
    with torch.no_grad():
        terms = ELBO(particles=4).trace(model.model, model.guide, x)
        a, z = terms.latent["a"].value, terms.latent["z"].value
        assert a.shape == (4, 5, AUXILIARY)
        assert z.shape == (CLASSES, 4, 5, DIM)
        joint = []
        for c in range(CLASSES):
            code = functional.one_hot(torch.full((4, 5), c), CLASSES).to(x.dtype)
            q_z = normal(model.encoder_network(x, condition=torch.cat([a, code], -1)))
            inputs = {} if skip else {"inputs": x}
            p_a = model.auxiliary.prior(z[c], code, **inputs)
            beside = torch.cat([a, code], -1) if skip else code
            logits = model.decoder_network(z[c], condition=beside)
            log_x = (x * logits - functional.softplus(logits)).sum(-1)
            log_z = torch.distributions.Normal(0.0, 1.0).log_prob(z[c]).sum(-1)
            joint.append(log_x + log_z + p_a.log_prob(a) - q_z.log_prob(z[c]) - math.log(CLASSES))
        by_draw = torch.stack(joint).logsumexp(0)
        by_draw = by_draw - normal(model.auxiliary.encoder_network(x)).log_prob(a)
    torch.testing.assert_close(terms.log_evidence_weight, by_draw)


@SKIP
def test_importance_bounds_refuse_an_enumerated_y_and_take_a_relaxed_one(skip: bool) -> None:
    x, y = data(), torch.tensor(Y["mixed"])
    model = small(skip=skip)
    with pytest.raises(ValueError, match="'y' hangs on the draw of another site"):
        IWAE(particles=3)(model.model, model.guide)(x=x, y=y)
    model = small(skip=skip, inference="relaxed")
    loss = IWAE(particles=3)(model.model, model.guide)(x=x, y=y)
    found = torch.autograd.grad(loss, list(model.parameters()))
    assert all(bool(gradient.isfinite().all()) for gradient in found)


@SKIP
def test_classification_averages_over_the_variable(skip: bool) -> None:
    """The mean over draws is that over the nodes of Gauss and Hermite, where a is a number."""
    model, x = small(skip=skip, auxiliary_dim=1), data()
    q_a = normal(model.auxiliary.encoder_network(x))
    nodes, weights = torch.as_tensor(_gauss_hermite(60))
    a = q_a.mean + q_a.stddev * nodes[:, None, None]
    probs = functional.softmax(model.label.classifier_network(x, condition=a), -1)
    exact = (weights[:, None, None] * probs).sum(0)
    before = torch.random.get_rng_state()
    found = model.classify(x, draws=20_000).probs
    assert torch.equal(before, torch.random.get_rng_state())
    # sd of a probability's mean is below 0.5 / sqrt(20000) = 0.0035: 15 checks of 5 sd, 1e-5
    torch.testing.assert_close(found, exact, rtol=0.0, atol=0.018)
    assert torch.equal(model.classify(x).probs, model.classify(x).probs)
    torch.testing.assert_close(found.sum(-1), torch.ones(5))


def _gauss_hermite(n: int) -> Any:
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    return np.stack([nodes, weights / weights.sum()])


@SKIP
@pytest.mark.parametrize("inference", ["enumerated", "relaxed", "score"])
def test_fit_svi_save_and_verbs(skip: bool, inference: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    parts: Any = {"skip": skip, "inference": inference}
    model, x, y = small(**parts), data(20), torch.arange(20) % 4 - 1
    objective = ELBO(estimator="score", kl="sampled") if inference == "score" else ELBO()
    history = pyrovae.fit(
        model, {"x": x, "y": y}, objective=objective, epochs=2, batch_size=7, seed=0, progress=False
    )
    assert all(map(math.isfinite, history["train/loss"]))
    pyrovae.save(model, tmp_path / "model")
    loaded: Any = pyrovae.load(tmp_path / "model")
    assert repr(loaded) == repr(model)
    assert torch.equal(loaded.classify(x).logits, model.classify(x).logits)
    assert repr(from_tree(to_tree(model))) == repr(model)
    assert loaded.sample(4, y=1).shape == (4, PIXELS)
    assert loaded.sample(0).shape == (0, PIXELS)
    assert loaded.sample(3, mean=True).shape == (3, PIXELS)
    assert loaded.reconstruct(x, y=y).shape == x.shape
    assert loaded.translate(x[:1], y=2).shape == (1, PIXELS)
    assert loaded.encode(x[0]).batch_shape == ()
    assert loaded.encode(x.reshape(4, 5, PIXELS)).batch_shape == (4, 5)
    assert loaded.decode(torch.zeros(2, 3, DIM), y=0).batch_shape == (2, 3)


@SKIP
def test_plain_pyro(skip: bool) -> None:
    """SVI trains every parameter, and `Predictive` draws every site, without x as well."""
    model, x, y = small(skip=skip), data(20), torch.arange(20) % 4 - 1
    before = copy.deepcopy(model.state_dict())
    svi = SVI(
        model.model,
        model.guide,
        pyro.optim.Adam({"lr": 0.01}),
        TraceEnum_ELBO(max_plate_nesting=1),
    )
    for _ in range(2):
        assert math.isfinite(svi.step(x=x, y=y))
    moved = {name for name, _ in model.named_parameters()}
    same_still = {n for n, value in model.state_dict().items() if torch.equal(value, before[n])}
    assert not moved & same_still
    drawn = Predictive(model.model, num_samples=3)(y=torch.tensor([0, 1]))
    assert drawn["x"].shape == (3, 2, PIXELS)
    assert drawn["a"].shape == (3, 2, AUXILIARY)
    assert bool((drawn["y"] == torch.tensor([0.0, 1.0])).all())


@SKIP
def test_real_targets_images_and_missing_entries(skip: bool) -> None:
    """y is a number, x an image of which some entries are missing."""
    torch.manual_seed(0)
    model = small(
        skip=skip,
        likelihood=Bernoulli((1, 8, 8)),
        encoder=Conv((4,)),
        classifier=Conv((4,)),
        decoder=MLP((5,)),
        target=Normal((), scale="network"),
    )
    x = torch.bernoulli(torch.full((9, 1, 8, 8), 0.5))
    y = torch.where(torch.arange(9) % 3 > 0, torch.randn(9), torch.nan)
    observed = torch.rand(9, 1, 8, 8) < 0.8
    batch = {"x": x, "y": y, "observed": observed}
    history = pyrovae.fit(model, batch, epochs=2, batch_size=4, seed=0, progress=False)
    assert math.isfinite(history["train/loss"][-1])
    q = model.classify(x, observed=observed)
    assert q.mean.shape == (9,)
    assert q.log_prob(torch.zeros(9)).isfinite().all()
    assert model.reconstruct(x).shape == x.shape


def test_a_prior_of_pseudo_inputs(tmp_path: Path) -> None:
    model, x = small(prior=VampPrior(DIM, components=4)), data(12)
    y = torch.arange(12) % 4 - 1
    told: Any = {"epochs": 1, "batch_size": 6, "seed": 0, "progress": False}
    history = pyrovae.fit(model, {"x": x, "y": y}, **told)
    assert math.isfinite(history["train/loss"][-1])
    assert model.sample(3, y=1).shape == (3, PIXELS)


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        ({"auxiliary_dim": 0}, ValueError, "auxiliary_dim to be a positive integer"),
        ({"auxiliary_dim": 2.0}, ValueError, "auxiliary_dim to be a positive integer"),
        ({"skip": 1}, TypeError, "skip to be true or false"),
        ({"label_weight": -1.0}, ValueError, "label_weight"),
        ({"inference": "exact"}, ValueError, "inference to be one of"),
        ({"auxiliary_encoder": 3}, TypeError, "the auxiliary encoder expects a network"),
        ({"target": Categorical((2,), levels=3)}, ValueError, "one class for each datum"),
    ],
)
def test_refusals(changed: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        small(**changed)


def test_draws_of_a_classification_are_counted() -> None:
    with pytest.raises(ValueError, match="positive number of draws"):
        small().classify(data(), draws=0)


def test_labels_out_of_range() -> None:
    with pytest.raises(ValueError, match="cannot score"):
        pyrovae.fit(small(), {"x": data(), "y": torch.tensor([0, 1, 2, 3, -1])}, epochs=1)

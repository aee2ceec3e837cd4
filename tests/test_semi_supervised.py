"""The semi-supervised model against truth: sums over classes by hand, Pyro, and exact evidence.

Where two ways are compared they get the same noise, so they agree to rounding; the tests of
gradients that have noise say how often they would fail by chance.
"""

import math
from itertools import product
from typing import Any

import pyro.distributions as dist
import pytest
import torch
from cases import small_semi_supervised
from pyro.infer import TraceEnum_ELBO
from torch import Tensor, nn
from torch.nn import functional

import pyrovae
from pyrovae.context import Context
from pyrovae.evaluation import log_prob
from pyrovae.heads import Head
from pyrovae.likelihoods import Categorical, Normal
from pyrovae.models import SemiSupervisedVAE
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import Posterior
from pyrovae.priors import ConditionalNormal, StandardNormal

pytestmark = pytest.mark.usefixtures("float64")

CLASSES, PIXELS, DIM = 3, 6, 2
WEIGHT = 1.7
Y = {
    "all unknown": [-1, -1, -1, -1, -1],
    "all known": [0, 2, 1, 2, 0],
    "mixed": [-1, 2, 0, -1, 1],
    "a class absent": [-1, 2, 0, 0, 2],
    "one known": [-1, -1, 1, -1, -1],
}


def small(**changed: Any) -> SemiSupervisedVAE:
    model = small_semi_supervised(**changed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    return model


def data(n: int = 5) -> Tensor:
    return torch.bernoulli(torch.full((n, PIXELS), 0.5))


def by_hand(
    model: SemiSupervisedVAE, x: Tensor, y: Tensor, noise: Tensor, *, analytic: bool
) -> Tensor:
    """The bound of each datum as a sum over classes.

    The noise is of shape `[classes, particles, batch, dim]`.
    """
    log_q = functional.log_softmax(model.label.classifier_network(x), -1)
    log_p = functional.log_softmax(model.label.raw, -1)
    inside = []
    for c in range(CLASSES):
        code = functional.one_hot(torch.tensor(c), CLASSES).to(x.dtype)
        loc, raw = model.encoder_network(x, condition=code).chunk(2, -1)
        scale = 1e-4 + functional.softplus(raw + math.log(math.expm1(1.0)))
        z = loc + scale * noise[c]
        logits = model.decoder_network(z, condition=code)
        log_x = (x * logits - functional.softplus(logits)).sum(-1)
        if isinstance(model.prior, ConditionalNormal):
            mean, raw = model.prior.network(code).chunk(2, -1)
            spread = 1e-4 + functional.softplus(raw + math.log(math.expm1(1.0)))
        else:
            mean, spread = torch.zeros(DIM), torch.ones(DIM)
        if analytic:
            square = (scale.square() + (loc - mean).square()) / spread.square()
            kl = 0.5 * (square - 1.0 - (scale / spread).square().log()).sum(-1)
        else:
            kl = (
                -0.5 * noise[c].square() - scale.log()
                + 0.5 * ((z - mean) / spread).square() + spread.log()
            ).sum(-1)  # fmt: skip
        inside.append((log_x - kl).mean(0) + log_p[c])
    bound = torch.stack(inside, -1)
    unknown = (log_q.exp() * (bound - log_q)).sum(-1)
    row = torch.arange(len(x)), y.clamp(min=0)
    return torch.where(y < 0, unknown, bound[row] + WEIGHT * log_q[row])


def drawn(particles: int, n: int = 5, seed: int = 3) -> Tensor:
    torch.manual_seed(seed)
    shape = (CLASSES, n, DIM) if particles == 1 else (CLASSES, particles, n, DIM)
    return torch.normal(torch.zeros(shape), torch.ones(shape)).reshape(CLASSES, -1, n, DIM)


def gradients(value: Tensor, model: nn.Module) -> dict[str, Tensor]:
    found = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    names = [name for name, _ in model.named_parameters()]
    return {
        n: torch.zeros(()) if g is None else g.clone() for n, g in zip(names, found, strict=True)
    }


def same(here: Tensor, there: Tensor, model: nn.Module, *, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(here, there, rtol=tolerance, atol=tolerance)
    ours, theirs = gradients(here, model), gradients(there, model)
    for name, gradient in theirs.items():
        torch.testing.assert_close(
            ours[name].expand_as(gradient) if ours[name].dim() == 0 else ours[name],
            gradient.expand_as(ours[name]) if gradient.dim() == 0 else gradient,
            rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}",
        )  # fmt: skip


# ------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("known", "particles", "analytic", "settings"),
    [
        *product(Y, (1, 3), (True, False), ["plain"]),
        *product(["mixed"], (1, 3), (True, False), ["learned p(y)", "p(z | y)"]),
    ],
)
def test_the_bound_is_the_sum_over_classes(
    known: str, particles: int, analytic: bool, settings: str
) -> None:
    changed: dict[str, dict[str, Any]] = {
        "plain": {},
        "learned p(y)": {"target_prior": "learned"},
        "p(z | y)": {"prior": ConditionalNormal(DIM, condition=CLASSES, hidden=(3,))},
    }
    model, x, y = small(**changed[settings]), data(), torch.tensor(Y[known])
    noise = drawn(particles)
    objective = ELBO(particles=particles, kl="analytic" if analytic else "sampled")
    torch.manual_seed(3)
    loss = objective(model.model, model.guide)(x=x, y=y)
    there = -by_hand(model, x, y, noise, analytic=analytic).sum()
    same(loss, there, model)


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
    same(here, there, model, tolerance=1e-8)


def test_without_labels_is_all_unknown() -> None:
    model, x = small(), data()
    losses = []
    for batch in ({"x": x}, {"x": x, "y": torch.full((5,), -1)}):
        torch.manual_seed(3)
        losses.append(ELBO()(model.model, model.guide)(**batch))
    same(losses[0], losses[1], model)


@pytest.mark.parametrize("objective", [ELBO(), ELBO(particles=2, beta=0.5), IWAE(particles=4)])
def test_a_mixed_batch_is_its_parts(objective: Any) -> None:
    """The bound of a row is the same alone, with the labels of the others known or not."""
    model, x, y = small(), data(), torch.tensor(Y["mixed"])
    loss = objective(model.model, model.guide)

    def rows(seen: Tensor) -> Tensor:
        torch.manual_seed(3)
        return loss.measure(x=x, y=seen).bound

    none, everything = rows(torch.full((5,), -1)), rows(y.clamp(min=0))
    same(rows(y).sum(), torch.where(y < 0, none, everything).sum(), model)


def test_the_classifiers_gradient_is_that_of_cross_entropy() -> None:
    model, x, y = small(), data(), torch.tensor(Y["all known"])
    here = gradients(ELBO()(model.model, model.guide)(x=x, y=y), model)
    entropy = functional.cross_entropy(model.classify(x).logits, y, reduction="sum")
    there = gradients(WEIGHT * entropy, model)
    named = [name for name in here if "classifier" in name]
    assert named
    for name in named:
        torch.testing.assert_close(here[name], there[name], rtol=1e-10, atol=1e-12)


def test_a_weight_of_zero_leaves_the_classifier_alone() -> None:
    model, x, y = small(label_weight=0.0), data(), torch.tensor(Y["all known"])
    here = gradients(ELBO()(model.model, model.guide)(x=x, y=y), model)
    assert all(bool((g == 0).all()) for name, g in here.items() if "classifier" in name)


# --------------------------------------------------------------------------------- exact evidence

W = torch.tensor([[1.0, 0.5], [-1.0, 1.0], [0.5, 1.5]], dtype=torch.float64)
W = torch.linalg.qr(W)[0] * torch.tensor([1.3, 0.6], dtype=torch.float64)  # orthogonal columns
CENTRES = torch.tensor([[1.0, 0.0, 0.5], [-1.0, 0.7, 0.0], [0.0, -1.0, 1.0]], dtype=torch.float64)
NOISE = 0.8
PI = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)


class Formula(nn.Module):
    def __init__(self, formula: Any) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, value: Tensor, *condition: Tensor) -> Tensor:
        return self.formula(value, *condition)


def formula(written: Any, *, conditional: bool = True) -> Any:
    if not conditional:
        return lambda in_shape, out_shape: Formula(written)
    return lambda in_shape, out_shape, *, condition_shape=None: Formula(written)


class Exact(Posterior):
    """The normal with the precision of the linear-Gaussian model."""

    head = Head(loc=1)

    def forward(self, raw: Tensor, context: Context) -> Any:
        precision = 1.0 + (W.T @ W).diagonal() / NOISE**2
        return dist.Normal(raw, precision.rsqrt().expand_as(raw)).to_event(1)


def mean_of_z(x: Tensor, code: Tensor) -> Tensor:
    precision = 1.0 + (W.T @ W).diagonal() / NOISE**2
    return ((x - code @ CENTRES) @ W) / NOISE**2 / precision


def joint(x: Tensor) -> Tensor:
    """`log p(x, y)` of every class."""
    cov = W @ W.T + NOISE**2 * torch.eye(3)
    given = dist.MultivariateNormal(CENTRES, cov).log_prob(x.unsqueeze(-2))
    return given + PI.log()


def linear_gaussian() -> SemiSupervisedVAE:
    model = SemiSupervisedVAE(
        prior=StandardNormal(2),
        likelihood=Normal((3,), scale=NOISE),
        posterior=Exact(),
        encoder=formula(mean_of_z),
        decoder=formula(lambda z, code: z @ W.T + code @ CENTRES),
        target=Categorical((), levels=3),
        classifier=formula(lambda x: joint(x).log_softmax(-1), conditional=False),
        label_weight=0.0,
    )
    model.label.raw.copy_(PI.log())
    return model


@pytest.mark.parametrize("objective", [ELBO(kl="sampled"), IWAE(particles=3)])
def test_exact_responsibilities_give_the_evidence(objective: Any) -> None:
    model = linear_gaussian()
    x = model.sample(20)
    bound = objective(model.model, model.guide).measure(x=x).bound
    torch.testing.assert_close(bound, joint(x).logsumexp(-1), rtol=1e-9, atol=1e-9)
    y = torch.arange(20) % 3
    known = objective(model.model, model.guide).measure(x=x, y=y).bound
    torch.testing.assert_close(known, joint(x)[torch.arange(20), y], rtol=1e-9, atol=1e-9)


def test_evaluation_sums_over_labels_whether_they_are_known_or_not() -> None:
    model = linear_gaussian()
    x = model.sample(50)
    truth = joint(x).logsumexp(-1)
    for batch in ({"x": x}, {"x": x, "y": torch.arange(50) % 3}):
        result = pyrovae.evaluate(model, batch, samples=5)
        assert result.log_prob == pytest.approx(truth.mean().item(), abs=1e-9)
        assert result.elbo == pytest.approx(truth.mean().item(), abs=1e-9)
        torch.testing.assert_close(
            log_prob(model, batch, samples=5).double(), truth, rtol=1e-9, atol=1e-9
        )


def test_draws_have_the_law_of_the_model() -> None:
    """Means of 40000 draws within five standard errors: one false alarm in 10^5 runs or fewer."""
    model = linear_gaussian()
    x = model.sample(40_000)
    spread = x.std(0) / math.sqrt(len(x))
    assert bool(((x.mean(0) - PI @ CENTRES).abs() < 5 * spread).all())
    of_one = model.sample(40_000, y=1)
    assert bool(((of_one.mean(0) - CENTRES[1]).abs() < 5 * spread).all())
    covariance = W @ W.T + NOISE**2 * torch.eye(3)
    assert bool(((of_one.T.cov() - covariance).abs() < 0.05).all())

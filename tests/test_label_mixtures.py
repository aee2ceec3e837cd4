"""Mixtures with a batch of their own, such as p(z | y) made of pseudo-inputs of every class."""

from typing import Any

import pyro.distributions as dist
import pytest
import torch
from test_semi_supervised import CLASSES, DIM, PIXELS, data, small
from torch import Tensor
from torch.nn import functional

from pyrovae.distributions import DiagonalNormalMixture, mixture
from pyrovae.models import SemiSupervisedVAE
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import FullRankNormal
from pyrovae.priors import ExemplarPrior, VampPrior

pytestmark = pytest.mark.usefixtures("float64")

K = 4

SHAPES: dict[str, tuple[Any, ...]] = {  # logits, normals, value
    "one": ((K,), (K,), (7,)),
    "of each class": ((K,), (3, 1, K), (3, 7)),
    "of each class, particles": ((K,), (3, 1, 1, K), (3, 2, 7)),
    "of each class, one value": ((K,), (3, 1, K), (7,)),
    "of each row": ((K,), (7, K), (7,)),
    "of each row, particles": ((K,), (7, K), (2, 7)),
    "weights of each row": ((7, K), (3, 1, K), (3, 7)),
    "weights of each row, shared": ((7, K), (K,), (2, 7)),
    "one row": ((K,), (3, 1, K), (3, 1)),
}


@pytest.mark.parametrize("event", [(2,), (2, 3), (1,)])
@pytest.mark.parametrize("name", SHAPES)
def test_a_batch_of_mixtures(name: str, event: tuple[int, ...]) -> None:
    of_logits, of_normals, of_value = SHAPES[name]
    logits = torch.randn(of_logits, requires_grad=True)
    loc = (2.0 * torch.randn(*of_normals, *event)).requires_grad_()
    scale = (0.5 + torch.rand(*of_normals, *event)).requires_grad_()
    value = torch.randn(*of_value, *event, requires_grad=True)
    ours = DiagonalNormalMixture(logits, loc, scale, event_dim=len(event))
    scores = dist.Normal(loc, scale, validate_args=False).log_prob(value.unsqueeze(-1 - len(event)))
    parts = scores.sum(tuple(range(-len(event), 0)))
    theirs = (parts + logits.log_softmax(-1)).logsumexp(-1)
    torch.testing.assert_close(ours.log_prob(value), theirs, rtol=1e-9, atol=1e-9)
    leaves = [logits, loc, scale, value]
    here = torch.autograd.grad(ours.log_prob(value).sum(), leaves)
    torch.testing.assert_close(
        here, torch.autograd.grad(theirs.sum(), leaves), rtol=1e-8, atol=1e-8
    )
    batch = torch.broadcast_shapes(of_logits[:-1], of_normals[:-1])
    assert ours.batch_shape == batch
    assert ours.sample((5,)).shape == (5, *batch, *event)
    wide = ours.expand(torch.Size((6, *batch)))
    assert wide.sample().shape == (6, *batch, *event)


def test_draws_come_from_the_mixture_of_their_row() -> None:
    """Means of 20000 draws within five standard errors: one false alarm in 10^5 runs."""
    logits, loc = torch.randn(K), 3.0 * torch.randn(2, 1, K, DIM)
    made = DiagonalNormalMixture(logits, loc, torch.full_like(loc, 0.2))
    draws = made.sample((20_000,))
    assert draws.shape == (20_000, 2, 1, DIM)
    error = draws.std(0) / len(draws) ** 0.5
    assert bool(((draws.mean(0) - made.mean).abs() < 5 * error).all())


def test_components_of_any_family() -> None:
    loc = torch.randn(3, 1, K, DIM)
    full = dist.MultivariateNormal(loc, torch.eye(DIM))
    made = mixture(torch.zeros(K), full)
    value = torch.randn(3, 7, DIM)
    truth = full.log_prob(value.unsqueeze(-2)).logsumexp(-1) - torch.tensor(float(K)).log()
    torch.testing.assert_close(made.log_prob(value), truth)
    assert made.sample().shape == (3, 1, DIM)


# ------------------------------------------------------------------------------ in a model


def model_of(name: str) -> SemiSupervisedVAE:
    prior = VampPrior(DIM, components=K) if name == "Vamp" else ExemplarPrior(DIM, exemplars=K)
    model = small(prior=prior)
    if name == "Exemplar":
        model.prior.examples.copy_(data(K))
    return model


def by_hand(model: SemiSupervisedVAE, z: Tensor, code: Tensor) -> Tensor:
    """`log p(z | y)` as a mixture over the pseudo-inputs, for one class."""
    vamp = isinstance(model.prior, VampPrior)
    inputs = model.prior.pseudo_inputs if vamp else model.prior.examples
    raw = model.encoder_network(inputs, condition=code)
    q = model.posterior(raw, None)  # type: ignore[arg-type]
    normals = q.base_dist
    scale = normals.scale if vamp else functional.softplus(
        model.prior.raw_scale + torch.tensor(1.0).exp().sub(1.0).log()
    ) + 1e-4  # fmt: skip
    scores = dist.Normal(normals.loc, scale).to_event(1).log_prob(z.unsqueeze(-2))
    return scores.logsumexp(-1) - torch.tensor(float(K)).log()


@pytest.mark.parametrize("name", ["Vamp", "Exemplar"])
@pytest.mark.parametrize("particles", [1, 3])
def test_pseudo_inputs_of_every_class(name: str, particles: int) -> None:
    model, x, y = model_of(name), data(), torch.tensor([-1, 2, 0, -1, 1])
    loss = ELBO(kl="sampled", particles=particles)(model.model, model.guide)
    terms = loss.trace(x=x, y=y)
    z = terms.latent["z"].value
    found = terms.latent["z"].log_p
    codes = torch.eye(CLASSES)
    truth = torch.stack([by_hand(model, z[c], codes[c]) for c in range(CLASSES)])
    torch.testing.assert_close(found, truth.reshape(found.shape), rtol=1e-9, atol=1e-9)
    loss(x=x, y=y).backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", ["Vamp", "Exemplar"])
@pytest.mark.parametrize("inference", ["enumerated", "relaxed", "score"])
def test_they_serve_every_verb(name: str, inference: Any) -> None:
    prior = VampPrior(DIM, components=K) if name == "Vamp" else ExemplarPrior(DIM, exemplars=K)
    model = small(prior=prior, inference=inference)
    assert model.sample(6).shape == (6, PIXELS)
    assert model.sample(6, y=1).shape == (6, PIXELS)
    assert model.model(y=torch.tensor([0, -1])).shape == (2, PIXELS)
    objective = IWAE(particles=2) if inference == "enumerated" else ELBO(estimator="mixed")
    assert objective(model.model, model.guide)(x=data(), index=torch.arange(5)).isfinite()


def test_a_posterior_that_is_no_diagonal_normal() -> None:
    model = small(prior=VampPrior(DIM, components=K), posterior=FullRankNormal())
    assert ELBO()(model.model, model.guide)(x=data()).isfinite()
    assert model.sample(3).shape == (3, PIXELS)

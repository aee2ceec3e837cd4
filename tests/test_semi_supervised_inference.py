"""The ways to infer an unknown label that have noise: unbiased, or biased as stated."""

import math
from typing import Any

import pyro.distributions as dist
import pytest
import torch
from test_semi_supervised import data, formula, small
from torch import Tensor

from pyrovae.likelihoods import Normal
from pyrovae.models import SemiSupervisedVAE
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

pytestmark = pytest.mark.usefixtures("float64")

CHUNKS, COPIES = 40, 100
ERRORS = 5.0  # standard errors; with 100 parameters one false alarm in 10^4 runs


def moments(model: Any, objective: Any, batch: dict[str, Tensor]) -> dict[str, tuple[Any, Any]]:
    """Mean and standard error of the loss and of every gradient, for each row of the batch."""
    loss = objective(model.model, model.guide)
    many = {name: value.repeat_interleave(COPIES, 0) for name, value in batch.items()}
    found: dict[str, list[Tensor]] = {}
    for _ in range(CHUNKS):
        model.zero_grad(set_to_none=True)
        value = loss(**many) / COPIES
        value.backward()
        found.setdefault("loss", []).append(value.detach())
        for name, parameter in model.named_parameters():
            found.setdefault(name, []).append(parameter.grad.clone())
    stacked = {name: torch.stack(values) for name, values in found.items()}
    return {n: (v.mean(0), v.std(0) / math.sqrt(CHUNKS)) for n, v in stacked.items()}


def distance(here: tuple[Any, Any], there: tuple[Any, Any]) -> float:
    """The largest difference of two means in standard errors."""
    error = (here[1].square() + there[1].square()).sqrt()
    return float(((here[0] - there[0]).abs() / (error + 1e-12)).max())


def pair(inference: str) -> tuple[SemiSupervisedVAE, SemiSupervisedVAE]:
    """Two models of the same parameters, one that enumerates and one that does not."""
    exact = small(target_prior="learned")
    noisy = small(target_prior="learned", inference=inference)
    noisy.load_state_dict(exact.state_dict())
    return exact, noisy


def batch_of(x: Tensor) -> dict[str, Tensor]:
    return {"x": x, "y": torch.tensor([-1, -1, 1])}


@pytest.mark.parametrize(
    "objective",
    [
        ELBO(estimator="mixed"),
        ELBO(estimator="mixed", particles=2, kl="sampled"),
        ELBO(estimator="score"),
    ],
    ids=repr,
)
def test_drawn_labels_have_the_gradient_of_the_sum(objective: Any) -> None:
    exact, noisy = pair("score")
    batch = batch_of(data(3))
    there, here = moments(exact, ELBO(), batch), moments(noisy, objective, batch)
    for name in there:
        assert distance(here[name], there[name]) < ERRORS, name


def test_without_an_estimator_a_drawn_label_is_refused() -> None:
    model = small(inference="score")
    with pytest.raises(ValueError, match=r"'y'.*ELBO\(estimator='score'\)"):
        ELBO()(model.model, model.guide)(x=data())
    with pytest.raises(ValueError, match="free_bits=0 with estimator='mixed'"):
        ELBO(estimator="mixed", free_bits=0.1)


def test_only_the_classifiers_gradient_is_biased_where_it_is_relaxed() -> None:
    """Draws are exact codes, so all else is as in the sum; a lower temperature has less bias."""
    exact, relaxed = pair("relaxed")
    batch = {"x": data(3)}
    there, here = moments(exact, ELBO(), batch), moments(relaxed, ELBO(), batch)
    for name in there:
        if "classifier" not in name:
            assert distance(here[name], there[name]) < ERRORS, name
    name = [name for name in here if "classifier" in name][-1]
    ours, theirs = here[name][0], there[name][0]
    assert torch.cosine_similarity(ours, theirs, dim=0) > 0.8


@pytest.mark.parametrize("inference", ["score", "relaxed"])
def test_known_labels_need_no_inference(inference: str) -> None:
    exact, noisy = pair(inference)
    batch = {"x": data(), "y": torch.tensor([0, 2, 1, 1, 0])}
    many = {name: value.repeat_interleave(2000, 0) for name, value in batch.items()}
    found = []
    for model in (exact, noisy):
        with torch.no_grad():
            bound = ELBO()(model.model, model.guide).measure(**many).bound.reshape(5, -1)
        found.append((bound.mean(-1), bound.std(-1) / bound.shape[-1] ** 0.5))
    assert distance(found[0], found[1]) < ERRORS


# ----------------------------------------------------------------------------- labels as numbers

A = torch.tensor([0.9, -0.5, 0.4], dtype=torch.float64)
B = torch.tensor([0.5, 0.9, 0.0], dtype=torch.float64)  # orthogonal to A
NOISE = 0.7
TOP = 1.0 + 1e-4  # the standard deviation of p(y): a raw zero


def regression(**changed: Any) -> SemiSupervisedVAE:
    """x = A y + B z + noise, with the exact q(y | x) and q(z | x, y)."""
    precision_y = 1.0 / TOP**2 + (A @ A) / NOISE**2
    precision_z = 1.0 + (B @ B) / NOISE**2

    def raw_scale(x: Tensor, precision: Tensor) -> Tensor:
        scale = precision.rsqrt() - 1e-4
        return (torch.log(torch.expm1(scale)) - math.log(math.expm1(1.0))).expand(*x.shape[:-1], 1)

    def classifier(x: Tensor) -> Tensor:
        mean = (x @ A) / NOISE**2 / precision_y
        return torch.cat([mean.unsqueeze(-1), raw_scale(x, precision_y)], -1)

    def encoder(x: Tensor, y: Tensor) -> Tensor:
        mean = ((x - y * A) @ B) / NOISE**2 / precision_z
        return torch.cat([mean.unsqueeze(-1), raw_scale(mean.unsqueeze(-1), precision_z)], -1)

    parts: dict[str, Any] = {
        "prior": StandardNormal(1),
        "likelihood": Normal((3,), scale=NOISE),
        "posterior": MeanFieldNormal(),
        "encoder": formula(encoder),
        "decoder": formula(lambda z, y: z * B + y * A),
        "target": Normal((), scale="network"),
        "classifier": formula(classifier, conditional=False),
        "label_weight": 0.0,
    }
    return SemiSupervisedVAE(**(parts | changed))


@pytest.mark.parametrize("objective", [ELBO(kl="sampled"), IWAE(particles=3)], ids=repr)
def test_labels_that_are_numbers_give_the_evidence(objective: Any) -> None:
    model = regression()
    x = model.sample(12)
    noise = B.outer(B) + NOISE**2 * torch.eye(3)
    p_x = dist.MultivariateNormal(torch.zeros(3), TOP**2 * A.outer(A) + noise)
    y = torch.randn(12)
    y[::2] = torch.nan
    bound = objective(model.model, model.guide).measure(x=x, y=y).bound
    p_xy = dist.MultivariateNormal(y.nan_to_num().unsqueeze(-1) * A, noise).log_prob(x)
    p_xy = p_xy + dist.Normal(0.0, TOP).log_prob(y.nan_to_num())
    truth = torch.where(y.isnan(), p_x.log_prob(x), p_xy)
    torch.testing.assert_close(bound, truth, rtol=1e-9, atol=1e-9)


def test_where_labels_are_numbers_the_analytic_bound_has_the_same_mean() -> None:
    model = regression(target_prior="learned")
    x = model.sample(3)
    batch = {"x": x, "y": torch.tensor([torch.nan, 0.3, torch.nan])}
    there, here = moments(model, ELBO(kl="sampled"), batch), moments(model, ELBO(), batch)
    for name in there:
        assert distance(here[name], there[name]) < ERRORS, name


def test_the_classifier_of_numbers_is_trained_by_their_likelihood() -> None:
    model = regression(classifier=formula_net(), label_weight=2.5)
    x, y = data(4)[:, :3], torch.tensor([0.1, torch.nan, -0.4, 2.0])
    unweighted = regression(classifier=formula_net(), label_weight=0.0)
    unweighted.load_state_dict(model.state_dict())
    values = []
    for made in (model, unweighted):
        torch.manual_seed(3)
        values.append(ELBO()(made.model, made.guide).measure(x=x, y=y).bound)
    q = model.classify(x)
    known = ~y.isnan()
    term = torch.where(known, 2.5 * q.log_prob(y.nan_to_num()), 0.0)
    torch.testing.assert_close(values[0] - values[1], term, rtol=1e-9, atol=1e-9)


def formula_net() -> Any:
    return lambda in_shape, out_shape: torch.nn.Linear(in_shape[0], out_shape[0])

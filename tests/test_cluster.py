"""The clustering model: its bound against sums over clusters, and how its components begin."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pyro.distributions as dist
import pytest
import torch
from cases import OBJECTIVES, small_cluster
from pyro import poutine
from test_compiled import recorded_only, same_as_eager
from torch import Tensor

import pyrovae
from pyrovae.evaluation import clustering, log_prob
from pyrovae.heads import positive
from pyrovae.likelihoods import Bernoulli, Normal
from pyrovae.models import ClusterVAE
from pyrovae.models.components import Components
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import InverseAutoregressiveFlow, MeanFieldNormal
from pyrovae.priors import GaussianMixture

__all__ = ["recorded_only"]  # a fixture

MEANS = torch.tensor([[3.0, 0.0], [-3.0, 1.0], [0.0, -4.0]])
SCALES = torch.tensor([[0.5, 1.0], [1.0, 0.5], [0.7, 0.7]])
PI = torch.tensor([0.5, 0.2, 0.3])


def data(n: int = 6) -> Tensor:
    return torch.bernoulli(torch.full((n, 6), 0.5))


def moved(**changed: Any) -> ClusterVAE:
    """A model whose components are its prior, with parameters of no pattern."""
    model = small_cluster(**({"warmup": 0} | changed))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model


def draws(n: int) -> tuple[Tensor, Tensor]:
    y = dist.Categorical(PI).sample((n,))
    return MEANS[y] + SCALES[y] * torch.randn(n, 2), y


# ------------------------------------------------------------------------------------- the bound


@pytest.mark.usefixtures("float64")
def test_the_exact_responsibilities_sum_to_the_mixture() -> None:
    """`sum_y p(y | z) log [p(y, z) / p(y | z)]`, every term by itself, is log p(z)."""
    model = moved()
    logits, loc, scale = model.prior.logits, model.prior.loc, positive(model.prior.raw_scale)
    z = torch.randn(7, 2)
    joint = dist.Normal(loc, scale).log_prob(z.unsqueeze(-2)).sum(-1) + logits.log_softmax(-1)
    r = joint.softmax(-1)
    torch.testing.assert_close(model.prior.shares(z).probs, r)
    found = model.prior(None).log_prob(z)  # type: ignore[arg-type]
    torch.testing.assert_close(found, (r * (joint - r.log())).sum(-1))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("objective", [ELBO(particles=2), IWAE(particles=3)], ids=repr)
def test_it_is_a_vae_with_a_mixture_as_prior(objective: Any) -> None:
    model, x = moved(), data()
    other = pyrovae.VAE(
        prior=GaussianMixture(2, components=3), likelihood=Bernoulli((6,)),
        posterior=MeanFieldNormal(), encoder=MLP((5,)), decoder=MLP((5,)),
    )  # fmt: skip
    other.encoder_network.load_state_dict(model.encoder_network.state_dict())
    other.decoder_network.load_state_dict(model.decoder_network.state_dict())
    with torch.no_grad():
        other.prior.load_state_dict(model.prior.state_dict())
    found = []
    for made in (model, other):
        torch.manual_seed(3)
        loss = objective(made.model, made.guide)(x=x)
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in made.prior.parameters())])
    torch.testing.assert_close(found[0], found[1])
    scores = [log_prob(made, x, samples=20) for made in (model, other)]
    torch.testing.assert_close(scores[0], scores[1])


def test_labels_in_the_data_are_ignored() -> None:
    model, x = moved(), data()
    losses = []
    for batch in ({"x": x}, {"x": x, "y": torch.tensor([0, 1, 99, -1, 2, 0])}):
        model.check(batch)
        torch.manual_seed(3)
        losses.append(ELBO()(model.model, model.guide)(**batch))
    assert losses[0] == losses[1]


def test_the_program_without_x_draws_the_cluster_too() -> None:
    trace = poutine.trace(moved().model).get_trace()
    assert [name for name in trace.nodes if name in "yzx"] == ["y", "z", "x"]


# ------------------------------------------------------------------------------------- beginning


@pytest.mark.parametrize("weights", ["learned", "fixed"])
def test_components_begin_at_the_clusters_of_latent_vectors(weights: Any) -> None:
    prior = Components(2, clusters=3, weights=weights)
    prior.fit(draws(2000)[0])
    z, y = draws(2000)
    assert clustering(y, prior.shares(z).probs.argmax(-1)).accuracy > 0.98
    loc, scale = prior.loc.detach(), positive(prior.raw_scale.detach())
    order = torch.cdist(MEANS, loc).argmin(-1)
    assert bool(((loc[order] - MEANS).abs() < 0.2).all())
    assert bool(((scale[order] - SCALES).abs() < 0.2).all())
    truth = PI if weights == "learned" else torch.full((3,), 1 / 3)
    assert bool(((prior.labels().probs[order] - truth).abs() < 0.05).all())


def test_too_few_latent_vectors_leave_the_components_alone() -> None:
    prior = Components(2, clusters=3, weights="learned")
    before = copy.deepcopy(prior.state_dict())
    for z in (torch.zeros(0, 2), torch.randn(2, 2), torch.full((9, 2), torch.nan)):
        prior.fit(z)
        torch.testing.assert_close(dict(prior.state_dict()), dict(before))
    prior.fit(torch.zeros(9, 2))  # all are one point
    assert all(bool(value.isfinite().all()) for value in prior.state_dict().values())


def test_what_is_frozen_keeps_its_values_and_nothing_is_prepared_twice() -> None:
    model = small_cluster(warmup=3).eval()
    model.prior.loc.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    model.prepare({"x": data(20), "y": torch.zeros(20)})
    after = copy.deepcopy(model.state_dict())
    assert torch.equal(after["prior.loc"], before["prior.loc"])
    assert not torch.equal(after["prior.raw_scale"], before["prior.raw_scale"])
    moving = [n for n, _ in model.named_parameters() if n.startswith("encoder")]
    assert all(not torch.equal(after[n], before[n]) for n in moving)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    model.prepare({"x": data(20)})
    torch.testing.assert_close(dict(model.state_dict()), dict(after))


def test_hidden_entries_are_minded_while_warming_up() -> None:
    model, x = small_cluster(warmup=2), data(10)
    observed = torch.rand(10, 6) < 0.5
    unknown = torch.where(observed, x, torch.nan)
    model.prepare({"x": unknown, "observed": observed, "index": torch.arange(10)})
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())


def test_training_finds_clusters_of_the_data() -> None:
    z, y = draws(600)
    x = torch.nn.functional.pad(z, (0, 2)) @ torch.linalg.qr(torch.randn(4, 4))[0]
    model = ClusterVAE(
        dim=2, clusters=3, likelihood=Normal((4,), scale=0.3), posterior=MeanFieldNormal(),
        encoder=MLP((16,)), decoder=MLP((16,)), warmup=150,
    )  # fmt: skip
    pyrovae.fit(
        model, {"x": x}, epochs=40, batch_size=100, progress=False,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    )  # fmt: skip
    model.eval()
    assert clustering(y, model.classify(x).probs.argmax(-1)).accuracy > 0.9


# ------------------------------------------------------------------------------------- verbs


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_shapes_of_the_verbs(rows: int) -> None:
    model, x = moved(), data(rows)
    assert model.clusters == 3
    assert model.classify(x).batch_shape == (rows,)
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(rows).shape == (rows, 6)
    y = torch.zeros(rows, dtype=torch.int64)
    assert model.sample(rows, y=y, mean=True).shape == (rows, 6)


def test_draws_of_one_cluster() -> None:
    model = moved()
    with torch.no_grad():
        model.prior.raw_scale.fill_(-30.0)  # all of a cluster are at its mean
    at = model.prior.loc.detach()
    for y in range(3):
        torch.testing.assert_close(
            model.sample(4, y=y, mean=True), model.decode(at[y].expand(4, 2)).mean,
            rtol=0.0, atol=0.01,
        )  # fmt: skip


@pytest.mark.parametrize("y", [3, -1, 0.5, [0, 1], [[0]]])
def test_what_is_no_cluster(y: Any) -> None:
    given = torch.tensor(y) if isinstance(y, list) else y
    with pytest.raises(ValueError, match="one of the clusters 0 to 2, or 3 of them"):
        moved().sample(3, y=given)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"clusters": 0}, "ClusterVAE expects clusters to be a positive integer"),
        ({"dim": 1.5}, "ClusterVAE expects dim to be a positive integer"),
        ({"warmup": -1}, "ClusterVAE expects warmup to be a number of training steps"),
        ({"target_prior": "free"}, "target_prior to be 'fixed' or 'learned'; got 'free'"),
    ],
)
def test_arguments_out_of_range(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_cluster(**changed)


def test_a_posterior_without_a_mean_cannot_classify() -> None:
    model = small_cluster(posterior=InverseAutoregressiveFlow())
    with pytest.raises(ValueError, match="states none: choose a posterior that does"):
        model.classify(data())


def test_copies_are_the_same_model(tmp_path: Path) -> None:
    model, x = small_cluster(warmup=5, target_prior="fixed"), data()
    pyrovae.fit(model, {"x": x}, epochs=2, batch_size=3, progress=False)
    pyrovae.save(model, tmp_path / "model")
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        pyrovae.load(tmp_path / "model"),
    ]
    for again in copies:
        assert again.prepared
        torch.testing.assert_close(again.classify(x).probs, model.classify(x).probs)


@pytest.mark.usefixtures("recorded_only", "float64")
@pytest.mark.parametrize("objective", ["ELBO", "IWAE"])
def test_the_compiled_step_is_the_eager_one(objective: str) -> None:
    model = moved().train()
    loss = OBJECTIVES[objective].make()(model.model, model.guide)
    same_as_eager(loss, model, {"x": data()}, rtol=0.0, atol=0.0)

"""The semi-supervised model in use: labels of every kind of batch, verbs, training, copies."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pyro
import pytest
import torch
from cases import OBJECTIVES, small_semi_supervised
from pyro.infer import SVI, TraceEnum_ELBO
from test_compiled import recorded_only, same_as_eager
from torch import Tensor

import pyrovae
from pyrovae.likelihoods import Categorical, Normal
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.priors import ConditionalNormal, VampPrior

__all__ = ["recorded_only"]  # a fixture

UNKNOWN = torch.full((6,), -1)


def data(n: int = 6) -> Tensor:
    return torch.bernoulli(torch.full((n, 6), 0.5))


def regression() -> Any:
    return small_semi_supervised(target=Normal((2,), scale="network"))


# ------------------------------------------------------------------------------------ what fits


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.tensor([0, 1, 3, -1, 0, 0]), r"cannot score y\[2\] = 3, classes 0 to 2"),
        (torch.tensor([0, 1, -2, -1, 0, 0]), r"y\[2\] = -2, classes 0 to 2; unknown labels are -1"),
        (torch.tensor([0.0, 1.5, 0, 0, 0, 0]), r"cannot score y\[1\] = 1.5"),
        (torch.tensor([0, 1]), r"expects y of shape \[6\]; got \[2\]"),
        (torch.zeros(6, 1, dtype=torch.int64), r"expects y of shape \[6\]; got \[6, 1\]"),
    ],
)
def test_labels_that_are_none_are_refused_before_anything_is_trained(
    y: Tensor, message: str
) -> None:
    model = small_semi_supervised()
    before = copy.deepcopy(model.state_dict())
    batch = {"x": data(), "y": y}
    with pytest.raises(ValueError, match=message):
        model.check(batch)
    with pytest.raises(ValueError, match="y"):  # where the data see it first, by their message
        pyrovae.fit(model, batch, epochs=1, batch_size=3)
    torch.testing.assert_close(dict(model.state_dict()), before)


def test_numbers_are_not_taken_for_classes() -> None:
    model = regression()
    with pytest.raises(ValueError, match="to be real numbers, nan where unknown; got"):
        model.check({"x": data(), "y": torch.zeros(6, 2, dtype=torch.int64)})
    with pytest.raises(ValueError, match=r"of shape \[6, 2\]; got \[6\]"):
        model.check({"x": data(), "y": torch.zeros(6)})
    with pytest.raises(ValueError, match=r"cannot score y\[0\] = \[inf, 0.0\]"):
        model.check({"x": data(), "y": torch.tensor([[torch.inf, 0.0]] + [[0.0, 0.0]] * 5)})
    half = torch.tensor([[torch.nan, 1.0]] * 6)  # known in part is unknown
    model.check({"x": data(), "y": half})
    assert not model.label.known(half)[1].any()


# ------------------------------------------------------------------------------------ verbs


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_shapes_of_the_verbs(rows: int) -> None:
    model, x = small_semi_supervised(), data(rows)
    y = torch.arange(rows) % 4 - 1  # -1 where unknown
    assert model.classify(x).batch_shape == (rows,)
    assert model.encode(x).batch_shape == (rows,)
    assert model.encode(x, y=y).batch_shape == (rows,)
    z = torch.zeros(rows, 2)
    assert model.decode(z, y=1).batch_shape == (rows,)
    assert model.reconstruct(x).shape == x.shape
    assert model.reconstruct(x, y=y).shape == x.shape
    assert model.translate(x, y=2, source=y).shape == x.shape
    assert model.sample(rows).shape == (rows, 6)
    assert model.sample(rows, y=torch.zeros(rows, dtype=torch.int64), mean=True).shape == (rows, 6)


def test_more_batch_dimensions() -> None:
    model, x = small_semi_supervised(), data(6).reshape(2, 3, 6)
    assert model.classify(x).probs.shape == (2, 3, 3)
    assert model.reconstruct(x).shape == x.shape
    assert model.decode(torch.zeros(2, 3, 2), y=torch.ones(2, 3)).batch_shape == (2, 3)


def test_what_stands_for_an_unknown_label() -> None:
    """The likeliest class, in the rows where it is unknown and in no other."""
    model, x = small_semi_supervised(), data()
    with torch.no_grad():
        model.label.classifier_network.offset.copy_(torch.tensor([0.0, 5.0, 0.0]))
    y = torch.tensor([0, -1, 2, -1, 0, 2])
    filled = torch.where(y < 0, 1, y)
    assert torch.equal(model.encode(x, y=y).mean, model.encode(x, y=filled).mean)
    assert torch.equal(model.encode(x).mean, model.encode(x, y=1).mean)


@pytest.mark.parametrize("y", [3, -1, 0.5, [0, 1]])
def test_a_label_that_is_none_cannot_be_drawn_from(y: Any) -> None:
    given = torch.tensor(y) if isinstance(y, list) else y
    with pytest.raises(ValueError, match="Categorical"):
        small_semi_supervised().sample(3, y=given)


def test_verbs_of_numbers() -> None:
    model, x = regression(), data()
    assert model.classify(x).event_shape == (2,)
    assert model.sample(4, y=torch.tensor([1.0, -1.0])).shape == (4, 6)
    assert model.translate(x, y=torch.tensor([1.0, -1.0])).shape == x.shape
    assert small_semi_supervised(target=Normal(())).sample(3, y=-1).shape == (3, 6)


# ------------------------------------------------------------------------------------ training


BATCHES = {
    "no labels": {},
    "all unknown": {"y": UNKNOWN},
    "all known": {"y": torch.tensor([0, 1, 2, 2, 1, 0])},
    "one known": {"y": torch.tensor([-1, -1, 2, -1, -1, -1])},
    "a class absent": {"y": torch.tensor([0, -1, 2, 2, -1, 0])},
}


@pytest.mark.parametrize("name", BATCHES)
def test_every_kind_of_batch_is_trained_on(name: str) -> None:
    model = small_semi_supervised(target_prior="learned")
    batch = {"x": data(), **BATCHES[name]}
    before = copy.deepcopy(model.state_dict())
    pyrovae.fit(model, batch, epochs=2, batch_size=4, progress=False)
    after = model.state_dict()
    assert all(bool(value.isfinite().all()) for value in after.values())
    learned = dict(model.named_parameters())
    assert all(bool((after[n] != before[n]).any()) for n in learned)


def test_labels_are_learned() -> None:
    """A pixel says the class; a few labels are enough."""
    x = data(300)
    truth = (2 * x[:, 0] * x[:, 1] + (1 - x[:, 0])).long()
    y = torch.where(torch.arange(300) % 10 == 0, truth, -1)
    model = small_semi_supervised(label_weight=20.0)
    pyrovae.fit(
        model, {"x": x, "y": y}, epochs=25, batch_size=50, progress=False,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.02),
    )  # fmt: skip
    model.eval()
    assert (model.classify(x).probs.argmax(-1) == truth).float().mean() > 0.95


@pytest.mark.parametrize("bound", [ELBO(), TraceEnum_ELBO(max_plate_nesting=1)])
def test_pyros_loop(bound: Any) -> None:
    model = small_semi_supervised()
    svi = SVI(model.model, model.guide, pyro.optim.Adam({"lr": 0.05}), bound)
    batch = {"x": data(40), "y": torch.arange(40) % 4 - 1}
    losses = [svi.step(**batch) for _ in range(40)]
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


def test_double_precision() -> None:
    model = small_semi_supervised().double()
    x = data().double()
    assert model.classify(x).probs.dtype == torch.float64
    assert model.sample(2, y=1).dtype == torch.float64
    batch = {"x": x, "y": torch.tensor([0, 1, -1, -1, 2, 2])}
    assert ELBO()(model.model, model.guide)(**batch).dtype == torch.float64


def test_copies_are_the_same_model(tmp_path: Path) -> None:
    model, x = small_semi_supervised(target_prior="learned"), data()
    pyrovae.save(model, tmp_path / "model")
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        pyrovae.load(tmp_path / "model"),
    ]
    for again in copies:
        assert torch.equal(again.classify(x).probs, model.classify(x).probs)
        torch.testing.assert_close(dict(again.state_dict()), dict(model.state_dict()))
        with torch.no_grad():
            again.label.raw.add_(1.0)
        assert not torch.equal(again.label.raw, model.label.raw)


def test_parts_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="target to be of one class for each datum"):
        small_semi_supervised(target=Categorical((2,), levels=3))
    with pytest.raises(ValueError, match="inference to be one of 'enumerated', 'relaxed', 'score'"):
        small_semi_supervised(inference="reparameterised")
    with pytest.raises(ValueError, match="inference to be one of 'reparameterised', 'score'"):
        small_semi_supervised(target=Normal(()), inference="enumerated")
    with pytest.raises(ValueError, match="label_weight to be a finite number of at least 0"):
        small_semi_supervised(label_weight=-1.0)
    with pytest.raises(TypeError, match="target expects a Likelihood"):
        small_semi_supervised(target=3)


# ------------------------------------------------------------------------------------ compiled


@pytest.mark.usefixtures("recorded_only", "float64")
@pytest.mark.parametrize("objective", ["ELBO", "IWAE"])
@pytest.mark.parametrize("name", ["enumerated", "relaxed", "numbers", "p(z | y)", "pseudo-inputs"])
def test_the_compiled_step_is_the_eager_one(name: str, objective: str) -> None:
    changed: dict[str, dict[str, Any]] = {
        "enumerated": {"target_prior": "learned", "warmup": 3},
        "relaxed": {"inference": "relaxed"},
        "numbers": {"target": Normal(()), "classifier": MLP(())},
        "p(z | y)": {"prior": ConditionalNormal(2, condition=3, hidden=(3,))},
        "pseudo-inputs": {"prior": VampPrior(2, components=4)},
    }
    model = small_semi_supervised(**changed[name]).train()
    y = torch.tensor([0, -1, 2, -1, 1, 1])
    if name == "numbers":
        y = torch.tensor([0.3, torch.nan, 2.0, -1.0, torch.nan, 0.0])
    loss = OBJECTIVES[objective].make()(model.model, model.guide)
    same_as_eager(loss, model, {"x": data(), "y": y}, rtol=0.0, atol=0.0)

"""The compiled step is the eager one: value, gradients, buffers, under the same noise."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import (
    FAMILIES,
    FIRST,
    MODELS,
    NETWORKS,
    OBJECTIVES,
    POSTERIORS,
    PRIORS,
    SPLIT,
    data_for,
    randomized,
    small_cvae,
    small_vae,
)
from pyro.infer import Trace_ELBO
from torch import Tensor, nn

import pyrovae
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.priors import ConditionalNormal
from pyrovae.training import compiled
from pyrovae.training.compiled import CompiledLoss

IMAGES = ("Conv", "ResNet")  # the names of what goes from an image or to one

ROWS = [
    *({"prior": name} for name, case in PRIORS.items() if not case.alone),
    *({"posterior": name} for name, case in POSTERIORS.items() if not case.alone),
    *({"likelihood": name} for name in FAMILIES),
    *({"encoder": name, "decoder": name} for name in NETWORKS if not name.startswith(IMAGES)),
    {"encoder": "Conv", "shape": (1, 8, 8)},
    {"decoder": "Conv", "shape": (1, 8, 8), "prior": "VampPrior"},
    {"encoder": "ResNet", "decoder": "ResNet batch", "shape": (1, 5, 7)},
    {"encoder": "Conv batch", "decoder": "ResNet layer", "shape": (1, 5, 7), "prior": "VampPrior"},
]
HARD = {"prior": "VampPrior", "posterior": "FullRankNormal", "likelihood": "Normal network"}


@pytest.fixture
def recorded_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the recorded graph as it is: the same operations, without minutes of a compiler."""
    monkeypatch.setattr(compiled, "compiled_graph", lambda graph, inputs: graph)


def made(row: dict[str, Any]) -> pyrovae.VAE:
    networks = {n: NETWORKS[row[n]].make() for n in ("encoder", "decoder") if n in row}
    return randomized(small_vae(**{**row, **networks}), spread=0.2)


def measured(call: Callable[[], Tensor], vae: nn.Module) -> dict[str, Tensor]:
    """Return the loss, the gradients and the buffers of one step from a fixed random state."""
    vae.zero_grad(set_to_none=True)
    torch.manual_seed(5)
    value = call()
    found = {"loss": value.detach()}
    if value.requires_grad:
        value.backward()
    found |= {f"grad {n}": p.grad for n, p in vae.named_parameters() if p.grad is not None}
    return found | {name: buffer.clone() for name, buffer in vae.named_buffers()}


def same_as_eager(loss: Any, vae: nn.Module, batch: dict[str, Tensor], **tolerances: float) -> Any:
    """Compare a compiled loss with its eager one, from equal buffers; return the compiled one."""
    made = CompiledLoss(loss)
    start = {name: buffer.clone() for name, buffer in vae.named_buffers()}
    there = measured(lambda: made(**batch), vae)
    for name, buffer in vae.named_buffers():
        buffer.copy_(start[name])
    here = measured(lambda: loss(**batch), vae)
    assert made.graphs == 1, made.reasons
    assert here.keys() == there.keys()
    for name, value in here.items():
        torch.testing.assert_close(there[name], value, **tolerances, msg=lambda m, n=name: n + m)
    torch.testing.assert_close(dict(made.logged), dict(loss.logged), **tolerances)
    return made


# Posteriors whose draws carry what their density needs, which estimators have to follow.
CARRYING = ("RelaxedCategorical drawn", "SpikeAndSlab", "PlanarFlow")


def cells() -> list[Any]:
    """What is looked at; all else of the product is slow, as far as it is worth a look at all.

    Every objective of two models; every prior and posterior under two objectives; and every
    likelihood and network under that of several particles, which moves their dimensions. Estimators
    are looked at where draws differ.
    """
    both = ("ELBO", "IWAE")
    named = [row for row in ROWS if "prior" in row or "posterior" in row]
    fast = [(row, objective) for row in named for objective in both]
    fast += [(row, "IWAE") for row in ROWS if row not in named]
    fast += [(row, objective) for row in ({}, HARD) for objective in OBJECTIVES]
    carrying = [row for row in ROWS if row.get("posterior") in CARRYING]
    fast += [(row, objective) for row in carrying for objective in ("ELBO stl", "IWAE dreg")]
    first = {name for names in FIRST for name in names} | {"Bernoulli", "Normal network"}
    wide = [row for row in ROWS if first & set(map(str, row.values()))]
    plain = [n for n, case in OBJECTIVES.items() if case.make().estimator == "reparameterised"]
    slow = [(row, "ELBO") for row in ROWS] + [(row, name) for row in wide for name in plain]
    return [
        *fast,
        *(pytest.param(*cell, marks=pytest.mark.slow) for cell in unique(slow) if cell not in fast),
    ]


def unique(cells: list[Any]) -> list[Any]:
    return [cell for at, cell in enumerate(cells) if cell not in cells[:at]]


@pytest.mark.usefixtures("recorded_only", "float64")
@pytest.mark.parametrize(("row", "objective"), cells(), ids=str)
def test_the_graph_of_every_part_and_objective(row: dict[str, Any], objective: str) -> None:
    vae = made(row).train()
    bound = OBJECTIVES[objective].make()
    posterior = str(row.get("posterior"))
    if posterior in POSTERIORS and POSTERIORS[posterior].point:
        bound = ELBO(beta=0)
    loss = bound(vae.model, vae.guide)
    loss.step.fill_(2)
    x = data_for(vae)
    if any(word in objective for word in SPLIT):
        terms = loss.trace(x=x)
        if any(site.kl_per_dimension("auto") is None for site in terms.latent.values()):
            with pytest.raises(ValueError, match="does not factorise over dimensions"):
                loss(x=x)
            return
    same_as_eager(loss, vae, {"x": x}, rtol=0.0, atol=0.0)


LABELLED = ["AuxiliaryVAE", "Classifier", "StackedVAE"]


@pytest.mark.usefixtures("recorded_only", "float64")
@pytest.mark.parametrize("name", LABELLED)
def test_the_graph_of_a_model_that_knows_some_labels(name: str) -> None:
    model = MODELS[name].make().train()
    likely = model if hasattr(model, "sample") else MODELS["SemiSupervisedVAE"].make()
    batch = {"x": data_for(likely), "y": torch.tensor([-1, 2, 0, -1, 1])}
    loss = ELBO()(model.model, model.guide)
    same_as_eager(loss, model, batch, rtol=0.0, atol=0.0)


def test_every_model_has_a_row() -> None:
    known = {"VAE", "ConditionalVAE", "SemiSupervisedVAE", "ClusterVAE", *LABELLED}
    assert set(MODELS) == known, "a new model belongs into the rows of this file"


@pytest.mark.usefixtures("recorded_only")
@pytest.mark.parametrize("objective", ["ELBO", "IWAE"])
@pytest.mark.parametrize("image", [False, True])
def test_the_graph_of_a_model_that_is_given_y(image: bool, objective: str) -> None:
    prior = ConditionalNormal(2, condition=4 if image else 3, hidden=(4,))
    about: dict[str, Any] = {"condition_shape": (2, 2)} if image else {"levels": 3}
    cvae = randomized(small_cvae((6,), prior=prior, baseline=MLP((3,)), **about), spread=0.2)
    y = torch.randn(5, 2, 2) if image else torch.tensor([0, 2, 1, 1, 0])
    batch = {"x": cvae.sample(5, y=y), "y": y, "observed": torch.rand(5, 6) < 0.7}
    loss = OBJECTIVES[objective].make()(cvae.model, cvae.guide)
    same_as_eager(loss, cvae, batch, rtol=0.0, atol=0.0)


@pytest.mark.parametrize(
    ("row", "objective"),
    [
        ({}, "ELBO beta"),
        pytest.param(HARD, "IWAE", marks=pytest.mark.slow),
        pytest.param({"prior": "GaussianMixture"}, "ELBO sampled", marks=pytest.mark.slow),
        pytest.param({"likelihood": "Binomial"}, "ELBO free bits", marks=pytest.mark.slow),
        pytest.param({"encoder": "Conv", "shape": (1, 8, 8)}, "ELBO", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_what_inductor_makes_of_it(row: dict[str, Any], objective: str) -> None:
    """In float32, and twice: what the schedules read is an input, and the noise is fresh."""
    vae = made(row).train()
    x = data_for(vae)
    loss = OBJECTIVES[objective].make()(vae.model, vae.guide)
    step = same_as_eager(loss, vae, {"x": x}, rtol=1e-4, atol=1e-5)
    loss.step.fill_(3)
    again = data_for(vae, seed=12)
    torch.manual_seed(3)
    there = step(x=again)
    torch.manual_seed(3)
    torch.testing.assert_close(there, loss(x=again), rtol=1e-4, atol=1e-5)
    assert step(x=again).item() != there.item()
    assert step.graphs == 1


# ------------------------------------------------------------------------- what may change later


class Normalised(nn.Module):
    """An encoder with all that a step moves or draws besides z."""

    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.flat = nn.Flatten()
        self.first = nn.Linear(12, 5)
        self.norm = nn.BatchNorm1d(5)
        self.drop = nn.Dropout(0.4)
        self.last = nn.Linear(5, out_shape[0])
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = self.seen + len(x)  # put in the place of the buffer, not written into it
        return self.last(self.drop(torch.relu(self.norm(self.first(self.flat(x))))))


def normalised() -> pyrovae.VAE:
    return randomized(small_vae(encoder=Normalised), spread=0.2).train()


@pytest.mark.usefixtures("recorded_only", "float64")
@pytest.mark.parametrize("objective", ["ELBO", "IWAE"])
def test_buffers_move_and_dropout_draws(objective: str) -> None:
    vae = normalised()
    loss = OBJECTIVES[objective].make()(vae.model, vae.guide)
    same_as_eager(loss, vae, {"x": data_for(vae)}, rtol=0.0, atol=0.0)
    assert vae.encoder_network.network.seen.item() == 5


@pytest.mark.usefixtures("recorded_only")
def test_recording_moves_nothing() -> None:
    vae = normalised()
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    state = torch.get_rng_state()
    loss = ELBO()(vae.model, vae.guide)
    assert CompiledLoss(loss).prepare(x=data_for(vae))
    torch.testing.assert_close(dict(vae.state_dict()), before, rtol=0.0, atol=0.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(
        type(tensor) in (Tensor, nn.Parameter)
        for tensor in loss.state_dict(keep_vars=True).values()
    )
    assert torch.distributions.Distribution._validate_args
    assert loss.logged == {}


@pytest.mark.usefixtures("recorded_only")
def test_the_odd_last_batch_of_an_epoch_is_not_recorded() -> None:
    """Though its loss is divided by another number of rows."""
    vae = small_vae()
    step = CompiledLoss(ELBO()(vae.model, vae.guide))
    x = data_for(vae, n=8)
    for rows in (8, 3, 8, 3):
        step.step(x=x[:rows], divisor=rows)
    assert step.graphs == 1


@pytest.mark.usefixtures("recorded_only", "float64")
def test_a_change_after_the_first_step_is_heeded() -> None:
    vae = normalised()
    x = data_for(vae, n=6)
    loss = ELBO()(vae.model, vae.guide)
    step = CompiledLoss(loss)

    def check(batch: dict[str, Tensor], graphs: int) -> None:
        start = {name: buffer.clone() for name, buffer in vae.named_buffers()}
        there = measured(lambda: step(**batch), vae)
        for name, buffer in vae.named_buffers():
            buffer.copy_(start[name])
        here = measured(lambda: loss(**batch), vae)
        torch.testing.assert_close(there, here, rtol=0.0, atol=0.0)
        assert step.graphs == graphs, step.reasons

    check({"x": x}, 1)
    vae.decoder_network.requires_grad_(False)
    check({"x": x}, 2)
    vae.encoder_network.network.first.bias.requires_grad_(False)
    check({"x": x}, 3)
    vae.eval()
    check({"x": x}, 4)
    vae.encoder_network.network.norm.train()
    check({"x": x}, 5)
    check({"x": x, "observed": x > 0.5}, 6)
    check({"x": x.to(torch.uint8)}, 7)
    check({"x": x[:4]}, 7)  # the odd last batch is eager
    check({"x": torch.cat([x, x])}, 8)
    check({"x": x}, 8)
    check({"x": x.flip(-1).transpose(-1, -2).contiguous().transpose(-1, -2)}, 8)  # other strides
    with torch.no_grad():
        check({"x": x}, 8)
    vae.float()
    check({"x": x}, 9)
    vae.requires_grad_(True).train()
    vae.encoder_network.network.first.weight = nn.Parameter(torch.ones(5, 12).float())
    check({"x": x}, 10)
    vae.requires_grad_(False)
    with pytest.warns(UserWarning, match="not compiled: no parameter is trained"):
        step(x=x)


def test_a_shared_parameter_gets_one_gradient(recorded_only: None) -> None:
    vae = small_vae(shape=(6,), encoder=MLP((6, 6)), decoder=MLP((6, 6)))
    layers = [part for part in vae.encoder_network.modules() if isinstance(part, nn.Linear)]
    layers[1].weight = layers[0].weight
    same_as_eager(ELBO()(vae.model, vae.guide), vae, {"x": data_for(vae)}, rtol=0.0, atol=0.0)


# ---------------------------------------------------------------------- any pair, any training loop


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(2))

    def forward(self, data: Tensor) -> None:
        pyro.module("own", self)
        with pyro.plate("data", len(data)):
            z = pyro.sample("z", dist.Normal(self.loc, 1.0).to_event(1))
            pyro.sample("x", dist.StudentT(4.0, z, 0.5).to_event(1), obs=data)


class Guide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 2)

    def forward(self, data: Tensor) -> None:
        with pyro.plate("data", len(data)):
            pyro.sample("z", dist.Normal(self.net(data), 0.3).to_event(1))


X = torch.tensor([[0.3, -1.2], [0.5, 0.1], [2.0, -0.4], [-1.0, 0.7]])


@pytest.mark.usefixtures("recorded_only")
@pytest.mark.parametrize("batch", [X, (X,), {"data": X}], ids=["tensor", "tuple", "dict"])
def test_a_pair_of_ones_own_in_a_loop_of_ones_own(batch: Any) -> None:
    """The gradients that the backward pass hands out are scaled by what is made of the loss."""
    pair = Model(), Guide()
    eager = ELBO(particles=3)(*pair)
    loss = pyrovae.compile(eager, batch)
    assert loss.graphs == 1
    torch.manual_seed(1)
    args, kwargs = (batch, {}) if isinstance(batch, tuple) else ((), batch)
    value = loss(batch) if isinstance(batch, Tensor) else loss(*args, **kwargs)
    assert loss.graphs == 1  # what was recorded is what runs
    (value / 4).backward()
    found = [parameter.grad for parameter in loss.parameters()]
    loss.zero_grad()
    torch.manual_seed(1)
    (eager(X) / 4).backward()
    torch.testing.assert_close(found, [parameter.grad for parameter in eager.parameters()])
    assert len(pyro.get_param_store()) == 0


def test_what_cannot_be_recorded_is_eager_and_said() -> None:
    pair = Model(), Guide()
    with pytest.warns(UserWarning, match="not compiled: a program or the objective reads a tensor"):
        loss = pyrovae.compile(Trace_ELBO()(*pair), X)
    torch.manual_seed(1)
    value = loss(X)  # and is said once
    torch.manual_seed(1)
    torch.testing.assert_close(value, Trace_ELBO()(*pair)(X), rtol=0.0, atol=0.0)
    assert (loss.graphs, len(loss.reasons)) == (0, 1)


def test_hooks_on_a_gradient_are_not_lost() -> None:
    pair = Model(), Guide()
    torch.manual_seed(1)
    ELBO()(*pair)(X).backward()
    plain, pair[0].loc.grad = pair[0].loc.grad, None
    pair[0].loc.register_hook(lambda grad: 2 * grad)
    with pytest.warns(UserWarning, match="parameter 'model.loc' has a hook"):
        loss = pyrovae.compile(ELBO()(*pair), X)
    torch.manual_seed(1)
    loss(X).backward()
    torch.testing.assert_close(pair[0].loc.grad, 2 * plain)


def test_without_a_compiler_the_step_is_eager_and_said() -> None:
    from torch._inductor import config

    pair = Model(), Guide()
    with (
        config.patch({"cpp.cxx": ("no-such-compiler",), "fx_graph_cache": False}),
        pytest.warns(UserWarning, match="not compiled: no C\\+\\+ compiler was found"),
    ):
        loss = pyrovae.compile(ELBO()(*pair), X)
    loss(X).backward()


def test_more_kinds_of_batches_than_any_run_has(recorded_only: None) -> None:
    loss = CompiledLoss(ELBO()(Model(), Guide()))
    for rows in range(1, 17):
        loss.prepare(torch.zeros(rows, 2))
    with pytest.warns(UserWarning, match="16 kinds of batches"):
        assert not loss.prepare(torch.zeros(17, 2))


def test_what_is_no_loss_is_refused() -> None:
    with pytest.raises(TypeError, match=r"such as ELBO\(\)\(model, guide\); got ELBO"):
        pyrovae.compile(ELBO(), X)
    with pytest.raises(ValueError, match="precision expects one of"):
        pyrovae.compile(ELBO()(Model(), Guide()), X, precision="16")

"""What is not finite ends a run: the parameters stay, and step, site and parameter are named."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop
from torch.utils._python_dispatch import TorchDispatchMode

import pyrovae
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.training import Callback, fit
from pyrovae.training.checkpoints import read_checkpoint

BATCH = 5


class Broken(torch.autograd.Function):
    """Passes its input on; the gradient is nan while `broken` is set."""

    broken = False

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient * float("nan") if Broken.broken else gradient


class Trap(nn.Module):
    """A layer with running statistics; its output is spoilt for one datum, which it recognises."""

    def __init__(self, inputs: int, outputs: int, spoil: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(inputs)
        self.linear = nn.Linear(inputs, outputs)
        self.spoil = spoil

    def forward(self, x: Tensor) -> Tensor:
        marked = (x[:, :1] > 50.0).float()
        return self.linear(self.norm(x)) + self.spoil(marked)


def data(bad: int | None, count: int = 40) -> Tensor:
    """Numbers, among which one row is marked."""
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(2))
    if bad is not None:
        x[bad, 0] = 60.0
    return x


def vae_of(spoil: Callable[[Tensor], Tensor] = lambda marked: marked * float("inf")) -> pyrovae.VAE:
    torch.manual_seed(0)
    return pyrovae.VAE(
        prior=StandardNormal(2),
        likelihood=Normal((3,)),
        posterior=MeanFieldNormal(),
        encoder=lambda i, o: Trap(i[0], o[0], spoil),
        decoder=MLP((4,)),
    )


def infinite(marked: Tensor) -> Tensor:
    return torch.where(marked > 0, torch.full_like(marked, float("inf")), marked)


class Recorder(Callback):
    """The parameters and buffers after each step."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def on_step(self, run: Any) -> None:
        self.states.append({k: v.clone() for k, v in run.loss.pair.state_dict().items()})


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


OPTIMIZERS: dict[str, Any] = {
    "Adam, fused": None,
    "AdamW, fused": lambda p: AdamW(p, lr=1e-2, fused=True),
    "Adam, not fused": lambda p: Adam(p, lr=1e-2),
    "SGD with momentum": lambda p: SGD(p, lr=1e-2, momentum=0.9),
    "RMSprop": lambda p: RMSprop(p, lr=1e-2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bad_step_and_all_later_ones_change_nothing(name: str, tmp_path: Path) -> None:
    """The marked datum comes in some step of the first epoch; nothing is validated."""
    recorder = Recorder()
    vae = vae_of(infinite)
    with pytest.warns(UserWarning, match="training ended"):
        history = fit(
            vae, data(17), epochs=3, batch_size=BATCH, seed=0, optimizer=OPTIMIZERS[name],
            callbacks=[recorder], ema=0.5,
        )  # fmt: skip
    failure = history.failure
    assert failure is not None
    assert failure.epoch == 1
    assert 1 < failure.step <= 8
    assert len(history) == 0
    states = recorder.states
    assert all(value.isfinite().all() for state in states for value in state.values())
    good = failure.step - 1
    for state in states[good:]:
        assert same(states[good - 1], state)
    if good > 1:
        assert not same(states[good - 2], states[good - 1])
    assert all(value.isfinite().all() for value in vae.state_dict().values())


def test_the_step_before_a_failure_is_the_one_of_a_run_that_ends_there() -> None:
    """Averages and all: up to the bad step nothing differs from a run without it."""

    class Stop(Callback):
        def __init__(self, step: int) -> None:
            self.step = step

        def on_step(self, run: Any) -> None:
            if run.step == self.step:
                self.kept = [average.clone() for average in run.average.tensors]

    settings: dict[str, Any] = {"epochs": 1, "batch_size": BATCH, "seed": 0, "ema": 0.5}
    failing, healthy = vae_of(infinite), vae_of(lambda marked: marked * 0.0)
    with pytest.warns(UserWarning, match="training ended"):
        history = fit(failing, data(17), **settings)
    assert history.failure is not None
    stop = Stop(history.failure.step - 1)
    fit(healthy, data(17), callbacks=[stop], **settings)
    trained = [p for p in failing.parameters() if p.requires_grad]
    for kept, parameter in zip(stop.kept, trained, strict=True):
        torch.testing.assert_close(kept, parameter.detach(), rtol=0.0, atol=0.0)


def test_site_and_parameter_are_named_for_a_draw() -> None:
    with pytest.warns(UserWarning, match="training ended") as caught:
        fit(vae_of(infinite), data(17), epochs=1, batch_size=BATCH, seed=0)
    (text,) = [str(warning.message) for warning in caught]
    assert "the loss is nan" in text or "the loss is inf" in text
    assert "at site 'z' its draw is" in text
    assert "at parameter encoder_network.network.norm.weight" in text
    assert "a lower rate, clipping (clip=...)" in text


def test_a_gradient_alone_ends_the_run_and_is_named() -> None:
    class Layer(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return Broken.apply(super().forward(x))

    class Breaker(Callback):
        def on_step(self, run: Any) -> None:
            Broken.broken = run.step >= 3

    torch.manual_seed(0)
    vae = pyrovae.VAE(
        prior=StandardNormal(2), likelihood=Normal((3,)), posterior=MeanFieldNormal(),
        encoder=MLP(()), decoder=lambda i, o: Layer(i[0], o[0]),
    )  # fmt: skip
    try:
        with pytest.warns(UserWarning, match=r"the loss is [\d.]+; the gradient is not finite"):
            history = fit(
                vae, data(None), epochs=2, batch_size=BATCH, seed=0, callbacks=[Breaker()]
            )
    finally:
        Broken.broken = False
    assert history.failure is not None
    assert history.failure.step == 4
    assert "parameter encoder_network.network.1.weight and 3 more" in history.failure.text


def test_a_density_that_overflows_is_named() -> None:
    vae = vae_of(lambda marked: marked * 1e20)  # a far latent, whose square is infinite
    with pytest.warns(UserWarning, match="at site 'z' log [pq] is .* in 1 of 5 numbers"):
        fit(vae, data(17), epochs=1, batch_size=BATCH, seed=0)


def test_best_weights_and_the_last_checkpoint_are_kept(tmp_path: Path) -> None:
    """It fails in a later epoch: the best epoch's weights stay, on disk as well."""

    class Late(nn.Linear):
        steps = 0

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                Late.steps += 1
            return super().forward(x) * (float("nan") if 20 < Late.steps < 30 else 1.0)

    torch.manual_seed(0)
    vae = pyrovae.VAE(
        prior=StandardNormal(2), likelihood=Normal((3,)), posterior=MeanFieldNormal(),
        encoder=MLP(()), decoder=lambda i, o: Late(i[0], o[0]),
    )  # fmt: skip
    pair = (vae.model, vae.guide)  # a lambda cannot be saved, and this keeps the rest of the folder
    with pytest.warns(UserWarning, match="step 21 "):
        history = fit(
            pair, data(None), valid=data(None, 10), epochs=5, batch_size=BATCH, seed=0, out=tmp_path
        )
    assert history.failure is not None
    assert (history.failure.epoch, len(history)) == (3, 2)
    assert history.best_epoch in (1, 2)
    assert all(value.isfinite().all() for value in vae.state_dict().values())
    assert read_checkpoint(tmp_path)["step"] <= 20
    assert '"step": 21' in (tmp_path / "history.json").read_text()


def test_pyros_own_objective_is_guarded_as_well() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(2, 3)

        def forward(self, x: Tensor) -> None:
            pyro.module("model", self.net)
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
                loc = self.net(z) + infinite((x[:, :1] > 50.0).float())
                pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    class Guide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> None:
            pyro.module("guide", self.net)
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(self.net(x), 1.0).to_event(1))

    pair = Model(), Guide()
    with pytest.warns(UserWarning, match="at site 'x' log p is -inf"):
        history = fit(pair, data(17), objective=Trace_ELBO(), epochs=2, batch_size=BATCH, seed=0)
    assert history.failure is not None
    assert all(p.isfinite().all() for part in pair for p in part.parameters())


class HostReads(TorchDispatchMode):
    """Counts the operations that bring a number to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.name() in ("aten::_local_scalar_dense", "aten::is_nonzero")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", [None, lambda p: SGD(p, lr=1e-2, momentum=0.9)])
def test_a_step_reads_nothing_on_the_host(optimizer: Any) -> None:
    """Twice the steps in an epoch cost not one more read, but for the guard's, one in 256."""
    counts = []
    for rows in (100, 200):
        vae = vae_of(lambda marked: marked * 0.0)
        with HostReads() as reads:
            fit(
                vae, data(None, rows), epochs=1, batch_size=BATCH, seed=0,
                optimizer=optimizer, warmup=0, ema=0.9,
            )  # fmt: skip
        counts.append(reads.count)
    assert counts[0] == counts[1]


class OwnStream(torch.utils.data.IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(data(17))


def test_a_failure_in_a_stream_is_found_again() -> None:
    with pytest.warns(UserWarning, match="at site 'z' its draw is"):
        fit(vae_of(infinite), OwnStream(), epochs=1, batch_size=BATCH, seed=0)

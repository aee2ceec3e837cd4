"""fit(resume=...): interrupted anywhere and resumed, a run ends with the same bits."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, MultiStepLR, OneCycleLR
from torch.utils.data import Dataset, IterableDataset

import pyrovae
from pyrovae.data import Binarize, TensorData
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, GECO, IWAE, FactorVAE
from pyrovae.posteriors import FullRankNormal, MeanFieldNormal
from pyrovae.priors import StandardNormal, VampPrior
from pyrovae.schedules import Ramp
from pyrovae.training import Callback, fit
from pyrovae.training.checkpoints import Checkpoints, has_checkpoint, read_checkpoint

ROWS = 26


class InterruptedRunError(Exception):
    """What ends a run of these tests."""


class InterruptAt(Callback):
    """Ends the run after a step, as a kill would: nothing more is written."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Any) -> None:
        if run.step >= self.step:
            raise InterruptedRunError


@pytest.fixture(autouse=True)
def _after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is followed by a checkpoint, so that each moment of a run is tried."""
    monkeypatch.setattr(Checkpoints, "due", property(lambda self: True))


class Layers(nn.Sequential):
    """A network with state of its own and noise of its own."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(inputs, 8),
            nn.BatchNorm1d(8),
            nn.Tanh(),
            nn.Dropout(0.3),
            nn.Linear(8, outputs),
        )


def layers(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
    return Layers(in_shape[0], out_shape[0])


def vae_of(**parts: Any) -> pyrovae.VAE:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "prior": StandardNormal(2),
        "likelihood": Bernoulli((6,)),
        "posterior": MeanFieldNormal(),
        "encoder": MLP((8,)),
        "decoder": MLP((8,)),
    }
    return pyrovae.VAE(**{**given, **parts})


def bits(count: int = ROWS, *, seed: int = 1) -> Tensor:
    half = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.cat([half, half], dim=1).float()


class Noisy(Dataset[Tensor]):
    """Items with augmentation from NumPy's and Python's own generators."""

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, at: int) -> Tensor:
        return torch.from_numpy((np.random.rand(6) < (at + 1) / (ROWS + 1)).astype("float32"))


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(bits())


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 6)

    def forward(self, x: Tensor) -> None:
        pyro.module("net", self.net)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.net(z)).to_event(1), obs=x)


class Guide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> None:
        pyro.module("guide", self.net)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.net(x), 1.0).to_event(1))


def foreign() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return Model(), Guide()


def grey() -> TensorData:
    x = torch.randint(0, 256, (ROWS, 6), generator=torch.Generator().manual_seed(5))
    return TensorData({"x": x.to(torch.uint8)}, transform=Binarize())


CASES: dict[str, tuple[Callable[[], Any], Callable[[], Any], dict[str, Any]]] = {
    "plain": (vae_of, bits, {}),
    "state and noise of the networks": (
        lambda: vae_of(encoder=layers, decoder=layers, prior=VampPrior(2, components=3)),
        bits,
        {},
    ),
    "averaged": (vae_of, bits, {"ema": 0.9}),
    "not fused, momentum": (
        vae_of, bits, {"optimizer": lambda p: SGD(p, lr=0.1, momentum=0.9), "clip": 0.5},
    ),
    "warm-up and cosine": (
        vae_of, bits, {"warmup": 3, "scheduler": lambda o: CosineAnnealingLR(o, T_max=8)},
    ),
    "milestones": (vae_of, bits, {"scheduler": lambda o: MultiStepLR(o, [3, 7])}),
    "one cycle": (vae_of, bits, {"scheduler": lambda o: OneCycleLR(o, 0.1, total_steps=20)}),
    "function of the step": (vae_of, bits, {"scheduler": lambda o: LambdaLR(o, lambda s: 0.9**s)}),
    "scheduled objective": (vae_of, bits, {"objective": ELBO(beta=Ramp(0.0, 1.0, steps=9))}),
    "importance weights": (
        lambda: vae_of(posterior=FullRankNormal()), bits, {"objective": IWAE(particles=3)},
    ),
    "an opponent with state of its own": (
        vae_of, bits, {"objective": FactorVAE(network=MLP((5,), normalization="batch"))},
    ),
    "a multiplier": (vae_of, bits, {"objective": GECO(target=-2.0), "clip": 0.5}),
    "binarised anew": (vae_of, grey, {}),
    "items drawn by NumPy": (vae_of, Noisy, {}),
    "stream": (vae_of, Stream, {}),
    "bfloat16": (vae_of, bits, {"precision": "bf16-mixed"}),
    "foreign pair": (foreign, bits, {"objective": Trace_ELBO()}),
}  # fmt: skip


def tensors(model: Any) -> dict[str, Tensor]:
    programs = model if isinstance(model, tuple) else (model,)
    return {
        f"{at}.{name}": value.clone()
        for at, program in enumerate(programs)
        for name, value in program.state_dict().items()
    }


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def without_times(records: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.mark.parametrize(
    ("name", "step"),
    [(name, step) for name in CASES for step in (3, 4)] + [("plain", 1), ("plain", 9)],
)
def test_resumed_anywhere_a_run_ends_with_the_same_bits(
    name: str, step: int, tmp_path: Path
) -> None:
    """Four batches an epoch: in its middle, and at its last step, before it is validated."""
    make, data, given = CASES[name]
    settings: dict[str, Any] = {
        "epochs": 3, "batch_size": 8, "seed": 3, "valid": bits(10, seed=2), **given,
    }  # fmt: skip
    whole = make()
    np.random.seed(7)
    history = fit(whole, data(), out=tmp_path / "whole", **settings)
    np.random.seed(7)
    with pytest.raises(InterruptedRunError):
        fit(make(), data(), out=tmp_path / "run", callbacks=[InterruptAt(step)], **settings)
    np.random.seed(99)
    resumed = make()
    torch.manual_seed(1234)
    again = fit(resumed, data(), resume=tmp_path / "run", **settings)
    assert same(tensors(whole), tensors(resumed))
    assert without_times(history.records) == without_times(again.records)
    assert history.best_epoch == again.best_epoch
    read = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in read] == [1, 2, 3]
    assert json.loads((tmp_path / "run/history.json").read_text())["stopped"] == again.stopped


def test_interrupted_again_and_again(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 8, "seed": 3}
    whole, model = vae_of(encoder=layers), vae_of(encoder=layers)
    fit(whole, bits(), **settings)
    for step in range(1, 12):
        resume = tmp_path if step > 1 else None
        model = vae_of(encoder=layers)
        with pytest.raises(InterruptedRunError):
            fit(
                model,
                bits(),
                out=tmp_path,
                resume=resume,
                callbacks=[InterruptAt(step)],
                **settings,
            )
    fit(model, bits(), resume=tmp_path, **settings)
    assert same(tensors(whole), tensors(model))


def test_without_a_seed_the_order_of_the_run_is_kept(tmp_path: Path) -> None:
    whole = vae_of()
    torch.manual_seed(5)
    fit(whole, bits(), epochs=2, batch_size=8)
    torch.manual_seed(5)
    with pytest.raises(InterruptedRunError):
        fit(vae_of(), bits(), epochs=2, batch_size=8, out=tmp_path, callbacks=[InterruptAt(2)])
    # vae_of seeds torch, as does a script that is run again
    resumed = vae_of()
    fit(resumed, bits(), epochs=2, batch_size=8, resume=tmp_path)
    torch.manual_seed(5)
    state = read_checkpoint(tmp_path)
    assert state["epoch"] == 2


def test_a_finished_run_is_not_trained_again_and_more_epochs_go_on(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"batch_size": 8, "seed": 3, "optimizer": lambda p: Adam(p, lr=0.01)}
    whole, model = vae_of(), vae_of()
    fit(whole, bits(), epochs=4, **settings)
    fit(model, bits(), epochs=2, out=tmp_path, **settings)
    before = tensors(model)
    again = vae_of()
    assert len(fit(again, bits(), epochs=2, resume=tmp_path, **settings)) == 2
    assert same(before, tensors(again))
    assert len(fit(again, bits(), epochs=4, resume=tmp_path, **settings)) == 4
    assert same(tensors(whole), tensors(again))


def test_the_caller_keeps_the_random_state(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        fit(
            vae_of(),
            bits(),
            epochs=2,
            batch_size=13,
            seed=0,
            out=tmp_path,
            callbacks=[InterruptAt(1)],
        )
    model = vae_of()
    before = torch.get_rng_state()
    fit(model, bits(), epochs=2, batch_size=13, seed=0, resume=tmp_path)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 4}, "batch_size 8; got 4"),
        ({"seed": 4}, "seed 3; got 4"),
        ({"clip": 1.0}, r"clip None; got 1\.0"),
        ({"objective": ELBO(beta=2.0)}, r"objective ELBO\(\); got ELBO\(beta=2\.0\)"),
        ({"optimizer": lambda p: SGD(p, lr=0.1)}, "optimizer Adam; got SGD"),
        ({"ema": 0.5}, "averaging False; got True"),
        ({"valid": bits(3)}, r"validation data None; got 3 x \[6\]"),
        ({"precision": "bf16-mixed"}, "precision '32-true'; got 'bf16-mixed'"),
    ],
)
def test_other_settings_are_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 8, "seed": 3}
    with pytest.raises(InterruptedRunError):
        fit(vae_of(), bits(), out=tmp_path, callbacks=[InterruptAt(1)], **settings)
    with pytest.raises(ValueError, match=message):
        fit(vae_of(), bits(), resume=tmp_path, **{**settings, **changed})


def test_other_data_and_another_model_are_refused(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 8, "seed": 3}
    with pytest.raises(InterruptedRunError):
        fit(vae_of(), bits(), out=tmp_path, callbacks=[InterruptAt(1)], **settings)
    with pytest.raises(ValueError, match=r"training data 26 x \[6\]; got 30 x \[6\]"):
        fit(vae_of(), bits(30), resume=tmp_path, **settings)
    with pytest.raises(ValueError, match="cannot be resumed from"):
        fit(vae_of(encoder=MLP((9,))), bits(), resume=tmp_path, **settings)
    with pytest.raises(FileNotFoundError, match="no checkpoint to resume from"):
        fit(vae_of(), bits(), resume=tmp_path / "nowhere", **settings)


def test_a_checkpoint_killed_while_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 8, "seed": 3}
    whole, model = vae_of(), vae_of()
    fit(whole, bits(), **settings)
    from pyrovae.training import checkpoints

    write, calls = checkpoints.write_tensors, []

    def killed(tensors: Any, file: Path) -> None:
        calls.append(file)
        if len(calls) == 4:
            file.write_bytes(b"half")
            raise InterruptedRunError
        write(tensors, file)

    monkeypatch.setattr(checkpoints, "write_tensors", killed)
    monkeypatch.setattr("shutil.rmtree", lambda *args, **kwargs: None)  # a kill tidies nothing up
    with pytest.raises(InterruptedRunError):
        fit(vae_of(), bits(), out=tmp_path, **settings)
    monkeypatch.undo()
    assert len(list((tmp_path / "checkpoint").glob(".*"))) == 1
    assert read_checkpoint(tmp_path)["step"] == 2
    fit(model, bits(), resume=tmp_path, **settings)
    assert same(tensors(whole), tensors(model))
    assert len(list((tmp_path / "checkpoint").iterdir())) == 1


def test_a_damaged_checkpoint_is_one_clear_error(tmp_path: Path) -> None:
    fit(vae_of(), bits(), epochs=1, batch_size=13, seed=0, out=tmp_path)
    assert has_checkpoint(tmp_path)
    folder = next((tmp_path / "checkpoint").iterdir())
    state = (folder / "state.json").read_text()
    for text in ("", "[" * 100_000, "[]", '{"format": 1}', '{"format": 1, "state": 3}'):
        (folder / "state.json").write_text(text)
        with pytest.raises(ValueError, match=r"is damaged|has format"):
            read_checkpoint(tmp_path)
    (folder / "state.json").write_text(state.replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match="has format 2"):
        read_checkpoint(tmp_path)
    (folder / "state.json").write_text(state)
    (folder / "state.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is damaged"):
        read_checkpoint(tmp_path)


def test_no_checkpoints_are_written_where_none_are_wanted(tmp_path: Path) -> None:
    fit(vae_of(), bits(), epochs=1, batch_size=13, seed=0, out=tmp_path, checkpoint_share=0.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.json", "metrics.jsonl", "model",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="checkpoint_share expects a share"):
        fit(vae_of(), bits(), epochs=1, batch_size=13, checkpoint_share=-1.0)


def test_a_state_that_no_file_can_hold_is_said_at_the_start(tmp_path: Path) -> None:
    class Odd(SGD):
        def state_dict(self) -> dict[str, Any]:
            return {**super().state_dict(), "odd": object()}

    with pytest.raises(TypeError, match=r"optimizer\.odd is <object.*no checkpoint can hold"):
        fit(
            vae_of(),
            bits(),
            epochs=1,
            batch_size=13,
            optimizer=lambda p: Odd(p, lr=0.1),
            out=tmp_path,
        )

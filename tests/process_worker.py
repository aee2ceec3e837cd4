"""What each process of tests/test_processes.py runs: fits whose noise follows from the data.

    python -m torch.distributed.run --nproc-per-node 2 process_worker.py FOLDER

Every case leaves the final parameters and the history in a file of its rank. The same cases run in
one process within the tests, where `run_cases` is called.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyro.distributions as dist
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import Dataset, IterableDataset

import pyrovae
from pyrovae.context import Context
from pyrovae.data import TensorData
from pyrovae.distances import Distance
from pyrovae.heads import Head, positive
from pyrovae.launched import launched
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import MLP
from pyrovae.objectives import (
    ELBO,
    GECO,
    IWAE,
    Wasserstein,
)
from pyrovae.posteriors import MeanFieldNormal, Posterior
from pyrovae.priors import StandardNormal
from pyrovae.training import Callback, compiled, fit
from pyrovae.training import run as run_module
from pyrovae.training.checkpoints import Checkpoints

ROWS = 21  # in batches of four: the last has one row, and none for the second process
BAD = 13  # the row at which the posterior is not finite, where that is asked for


class IndexedNormal(dist.Normal):
    """A normal whose draws follow from the number of the datum, and not from a random state."""

    def __init__(self, loc: Tensor, scale: Tensor, index: Tensor) -> None:
        super().__init__(loc, scale)
        self.index = index

    def expand(self, batch_shape: Any, _instance: Any = None) -> "IndexedNormal":
        loc, scale = self.loc.expand(batch_shape), self.scale.expand(batch_shape)
        return IndexedNormal(loc, scale, self.index)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        draws = torch.arange(shape[:-2].numel()).reshape(*shape[:-2], 1, 1)
        seed = (self.index[:, None] + 1.0) * (torch.arange(shape[-1]) + 1.7) + 3.1 * draws
        return self.loc + self.scale * 1.5 * torch.sin(12.9898 * seed)


class Indexed(Posterior):
    """A mean-field normal with draws of that kind, not finite at one row if asked for."""

    head = Head(loc=1, scale=1)

    def __init__(self, *, bad: int = -1) -> None:
        super().__init__()
        self.bad = bad

    def forward(self, raw: Tensor, context: Context) -> Any:
        parameters = self.head.unpack(raw, self.event_shape)
        index = context.index
        if index is None:  # when the model is built, or asked without data
            index = torch.arange(len(raw))
        loc = torch.where((index == self.bad)[:, None], float("nan"), parameters["loc"])
        return IndexedNormal(loc, positive(parameters["scale"]), index).to_event(1)


class Moments(Distance):
    """Compares the draws' moments with those of a standard normal, and reads no draws of it."""

    @property
    def cost(self) -> str:
        return "n d"

    def between(self, x: Tensor, y: Tensor) -> Tensor:
        return x.mean(0).square().sum() + (x.var(0, correction=0) - 1.0).square().sum()


class Layers(nn.Sequential):
    """A network with state of its own."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(inputs, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.3),
            nn.Linear(5, outputs),
        )  # fmt: skip


def noisy_layers(in_shape: Any, out_shape: Any) -> nn.Module:
    return Layers(in_shape[0], out_shape[0])


def normed_layers(in_shape: Any, out_shape: Any) -> nn.Module:
    return nn.Sequential(
        nn.Linear(in_shape[0], 5), nn.BatchNorm1d(5), nn.Linear(5, out_shape[0])
    )  # fmt: skip


def vae_of(**parts: Any) -> pyrovae.VAE:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "prior": StandardNormal(2),
        "likelihood": Bernoulli((6,)),
        "posterior": Indexed(),
        "encoder": MLP((5,)),
        "decoder": MLP((5,)),
    }
    return pyrovae.VAE(**{**given, **parts})


def bits(count: int = ROWS, *, seed: int = 1) -> Tensor:
    half = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.cat([half, half], dim=1).to(torch.get_default_dtype())


class Items(Dataset[Tensor]):
    """Items as torch has them; noisy ones draw from NumPy's random state."""

    def __init__(self, *, noisy: bool) -> None:
        self.noisy = noisy

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, at: int) -> Tensor:
        if self.noisy:
            return torch.from_numpy(np.random.rand(6) < (at + 1) / (ROWS + 1)).float()
        return bits()[at]


class Stream(IterableDataset[Tensor]):
    """The same as a stream."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter(bits())


def cases() -> dict[str, tuple[pyrovae.VAE, dict[str, Any]]]:
    """Return for each case a model and what `fit` is told, the same in every process."""
    common: dict[str, Any] = {
        "data": bits(), "epochs": 3, "batch_size": 4, "seed": 3, "progress": False,
        "optimizer": lambda p: Adam(p, lr=1e-2), "device": "cpu",
    }  # fmt: skip
    return {
        "elbo": (vae_of(), {**common, "valid": bits(7, seed=2), "patience": 5}),
        "iwae": (vae_of(), {**common, "objective": IWAE(particles=3)}),
        "extras": (
            vae_of(),
            {
                **common,
                "clip": 0.5,
                "ema": 0.9,
                "warmup": 3,
                "valid": bits(1, seed=2),
                "scheduler": lambda optimizer: StepLR(optimizer, 4),
            },
        ),
        "small batches": (vae_of(), {**common, "batch_size": 1, "epochs": 1}),
        "items": (vae_of(), {**common, "data": Items(noisy=False)}),
        "stream": (vae_of(), {**common, "data": Stream()}),
        "Pyro's own": (vae_of(), {**common, "objective": Trace_ELBO()}),
        "compiled": (vae_of(), {**common, "objective": IWAE(particles=3), "compile": True}),
        "opponent": (vae_of(), {**common, "objective": GECO(target=-2.0, lr=0.1)}),
        "gathered": (
            vae_of(),
            {
                **common,
                "batch_size": 7,
                "valid": bits(7, seed=2),
                "objective": Wasserstein(distance=Moments(), gather=True),
                "compile": True,
            },
        ),
        "failing": (vae_of(posterior=Indexed(bad=BAD)), common),
    }


def by_process() -> tuple[pyrovae.VAE, dict[str, Any]]:
    """Return the case whose objective and network take statistics of a process's own rows."""
    told = {
        "data": bits(), "epochs": 2, "batch_size": 8, "seed": 3, "progress": False,
        "optimizer": lambda p: SGD(p, lr=1e-2), "objective": ELBO(free_bits=0.5), "device": "cpu",
    }  # fmt: skip
    return vae_of(encoder=normed_layers), told


def save_result(folder: Path, name: str, model: nn.Module, history: Any) -> None:
    rank, _ = launched()
    folder.mkdir(parents=True, exist_ok=True)
    said = {**history.to_dict(), "records": history.records}
    (folder / f"{name}-{rank}.json").write_text(json.dumps(said))
    tensors = {key: value.numpy() for key, value in model.state_dict().items()}
    np.savez(folder / f"{name}-{rank}.npz", **tensors)


@contextmanager
def in_double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def run_cases(folder: Path, names: Any = None) -> None:
    """Fit every case in double precision, and save what comes of it.

    What is compiled runs as it was recorded: the compiler would take minutes.
    """
    as_recorded = patch.object(compiled, "compiled_graph", lambda graph, inputs: graph)
    with in_double(), warnings.catch_warnings(), as_recorded:
        warnings.filterwarnings("ignore", message="training ended")
        warnings.filterwarnings("ignore", message="the step is not compiled: .*gather=True asks")
        for name, (model, told) in cases().items():
            if names is None or name in names:
                save_result(folder, name, model, fit(model, **told))


class InterruptedRunError(Exception):
    """What ends a run of these tests."""


class InterruptAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Any) -> None:
        if run.step >= self.step:
            raise InterruptedRunError


class States(Callback):
    """Keeps the random state that training begins with."""

    def on_start(self, run: Any) -> None:
        self.state = torch.get_rng_state()


class StopAtOnce(Callback):
    """Ends the run from the second process alone."""

    def on_epoch(self, run: Any, record: Any) -> None:
        if run.processes.rank == 1:
            run.stop("the second process has had enough")


def noisy_fit(**more: Any) -> tuple[pyrovae.VAE, Any]:
    rank, _ = launched()
    np.random.seed(100 + rank)
    model = vae_of(posterior=MeanFieldNormal(), encoder=noisy_layers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="batch_size")
        history = fit(
            model, Items(noisy=True), valid=TensorData({"x": bits(7, seed=2)}), epochs=2,
            batch_size=7, seed=4, progress=False, ema=0.5, device="cpu", **more,
        )  # fmt: skip
    return model, history


def run_noisy(folder: Path) -> None:
    """Train with noise of every kind: whole, and interrupted and resumed."""
    states = States()
    model, history = noisy_fit(callbacks=[states])
    save_result(folder, "whole", model, history)
    rank, _ = launched()
    (folder / f"random-{rank}").write_text(str(states.state.tolist()))
    Checkpoints.due = property(lambda self: True)  # type: ignore[assignment,method-assign]
    run_module._ASKED = 1
    with suppress(InterruptedRunError):
        noisy_fit(out=folder / "cut", callbacks=[InterruptAt(5)])
    model, history = noisy_fit(resume=folder / "cut")
    save_result(folder, "resumed", model, history)
    history = fit(vae_of(), bits(), epochs=9, callbacks=[StopAtOnce()], progress=False)
    save_result(folder, "stopped", model, history)
    try:
        fit(vae_of(), bits(20 + rank), epochs=1, progress=False, batch_size=4)
    except ValueError as error:
        (folder / f"refused-{rank}").write_text(str(error))


def main(folder: Path) -> None:
    run_cases(folder)
    with in_double():
        model, told = by_process()
        save_result(folder, "by process", model, fit(model, **told))
    run_noisy(folder)


if __name__ == "__main__":
    import process_worker  # its networks are saved by a name that can be imported

    process_worker.main(Path(sys.argv[1]))

"""The catalogue of bad inputs: calls from Python, which name the value and what would fit."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, SparseAdam
from torch.optim.lr_scheduler import OneCycleLR, StepLR

import pyrovae
from pyrovae.config import from_tree
from pyrovae.data import Arrays, DatasetData, Digits, TensorData
from pyrovae.evaluation import log_prob
from pyrovae.likelihoods import Bernoulli, Binomial, Normal
from pyrovae.models import VAE
from pyrovae.networks import MLP, Conv, GatedMLP
from pyrovae.objectives import ELBO, IWAE
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import GaussianMixture, StandardNormal, VampPrior
from pyrovae.schedules import Constant, Cosine, Cycle, Ramp

KINDS = (ValueError, TypeError, OSError, MemoryError)
HUGE = 10**400  # larger than any float
X = torch.zeros(20, 3)


def vae(**parts: Any) -> VAE:
    given = {
        "prior": StandardNormal(2), "likelihood": Normal((3,)), "posterior": MeanFieldNormal(),
        "encoder": MLP((4,)), "decoder": MLP((4,)),
    }  # fmt: skip
    return VAE(**{**given, **parts})


def fit(data: Any = X, *, model: Any = None, **given: Any) -> Any:
    model = vae() if model is None else model
    return pyrovae.fit(model, data, **{"epochs": 1, "batch_size": 10, "seed": 0, **given})


def normed(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(nn.Linear(*in_shape, 8), nn.BatchNorm1d(8), nn.Linear(8, *out_shape))


def wrong(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
    return nn.Linear(5, 4)


class Raising(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise IndexError("out of something")


def saved(folder: Path) -> Path:
    pyrovae.save(vae(), folder / "model")
    return folder / "model"


Row = tuple[Callable[[Path], object], str, str]

FIT: dict[str, Row] = {
    "epochs 0": (lambda _: fit(epochs=0), "got 0", "at least 1"),
    "epochs -1": (lambda _: fit(epochs=-1), "got -1", "at least 1"),
    "epochs True": (lambda _: fit(epochs=True), "got True", "at least 1"),
    "epochs 1.5": (lambda _: fit(epochs=1.5), "got 1.5", "an integer"),
    "epochs text": (lambda _: fit(epochs="3"), "got '3'", "an integer"),
    "epochs None": (lambda _: fit(epochs=None), "got None", "an integer"),
    "epochs huge": (lambda _: fit(epochs=HUGE), "epochs", "below 2**31"),
    "batch_size 0": (lambda _: fit(batch_size=0), "got 0", "at least 1"),
    "batch_size 2.0": (lambda _: fit(batch_size=2.0), "got 2.0", "an integer"),
    "warmup -1": (lambda _: fit(warmup=-1), "got -1", "at least 0"),
    "clip text": (lambda _: fit(clip="1"), "got '1'", "a positive norm"),
    "clip huge": (lambda _: fit(clip=HUGE), "clip", "a positive norm"),
    "ema True": (lambda _: fit(ema=True), "got True", "in [0, 1)"),
    "patience": (lambda _: fit(patience=1), "patience=1", "give valid=..."),
    "seed -1": (lambda _: fit(seed=-1), "got -1", "from 0 to 2**63 - 1"),
    "share": (lambda _: fit(checkpoint_share=2), "got 2", "in [0, 1]"),
    "device": (lambda _: fit(device="cdua"), "'cdua'", "auto, cpu, cuda"),
    "device 0": (lambda _: fit(device=0), "got 0", "such as cuda:1"),
    "precision": (lambda _: fit(precision="bf16"), "'bf16'", "bf16-mixed"),
    "objective": (lambda _: fit(objective=ELBO), "ELBO", "such as ELBO()"),
    "optimizer": (lambda _: fit(optimizer="Adam"), "'Adam'", "lambda p: torch.optim.Adam"),
    "rate -1": (lambda _: fit(optimizer=lambda p: Adam(p, lr=-1)), "learning rate: -1", "optim"),
    "rate inf": (lambda _: fit(optimizer=lambda p: SGD(p, lr=np.inf)), "lr=inf", "finite number"),
    "of others": (
        lambda _: fit(optimizer=lambda p: Adam([nn.Parameter(X)])),
        "Adam holds none of the model's parameters", "lambda p: Adam(p, lr=1e-3)",
    ),
    "sparse": (lambda _: fit(optimizer=SparseAdam), "optimizer SparseAdam", "consider Adam"),
    "step size": (
        lambda _: fit(scheduler=lambda o: StepLR(o, 0)), "StepLR(step_size=0", "modulo by zero",
    ),
    "too short": (
        lambda _: fit(scheduler=lambda o: OneCycleLR(o, 0.1, total_steps=1), epochs=5),
        "OneCycleLR(total_steps=1", "Tried to step 2 times",
    ),
    "callbacks": (lambda _: fit(callbacks=[print]), "print", "pyrovae.training.Callback"),
    "out": (lambda at: fit(out=at / "file"), "file is a file", "choose another place"),
    "out below": (lambda at: fit(out=at / "file" / "run"), "file is a file", "another place"),
    "resume": (lambda at: fit(resume=at / "gone"), "gone", "no checkpoint to resume from"),
    "model": (lambda _: fit(model=VAE), "ABCMeta", "such as VAE"),
    "valid": (
        lambda _: fit(valid=torch.zeros(5, 4)), "shape (4,)", "training data x of shape (3,)",
    ),
    "last batch": (
        lambda _: fit(torch.zeros(21, 3), model=vae(encoder=normed)),
        "batch_size=10 leaves a batch of one of 21 data", "choose another, such as 9",
    ),
    "one by one": (
        lambda _: fit(model=vae(decoder=normed), batch_size=1),
        "batch_size=1", "choose another, such as 2",
    ),
    "grey": (
        lambda _: fit(X + 0.5, model=vae(likelihood=Bernoulli((3,)))),
        "x[0, 0] = 0.5 (support: 0 or 1)", "binarise the data",
    ),
    "too large": (
        lambda _: fit(X + 3, model=vae(likelihood=Binomial((3,), total_count=2))),
        "x[0, 0] = 3 (support: integers from 0 to 2)", "raise total_count",
    ),
}  # fmt: skip

DATA: dict[str, Row] = {
    "none": (lambda _: fit(model=vae(), data=None), "NoneType", "a split of no data is None"),
    "list": (lambda _: fit(X.tolist()), "list", "torch.as_tensor"),
    "name": (lambda _: fit("digits"), "str", "pyrovae.data.load('digits')"),
    "class": (lambda _: fit(Digits), "Digits", "call it, Digits()"),
    "empty": (lambda _: fit(torch.zeros(0, 3)), "(0, 3)", "must not be empty"),
    "wide": (lambda _: fit(torch.zeros(20, 4)), "got [batch, 4]", "[batch, 3]"),
    "number": (lambda _: fit(torch.tensor(3.0)), "single number", "counts the data"),
    "nan": (lambda _: fit(X * np.nan), "x[0, 0] = nan", "a boolean 'observed'"),
    "objects": (
        lambda _: fit(np.array([[1], [2, 3]], dtype=object)), "objects", "numpy.stack",
    ),
    "text": (lambda _: fit(np.array([["a"]])), "<U1", "encoded as numbers"),
    "complex": (lambda _: fit(X.to(torch.complex64)), "complex64", "real and imaginary parts"),
    "sparse": (lambda _: fit(X.to_sparse()), "sparse_coo", ".to_dense()"),
    "masked": (
        lambda _: fit(np.ma.masked_array(np.ones((9, 3)))), "masked array", "observed=~array.mask",
    ),
    "key": (lambda _: fit({"X": X}), "'X'", "did you mean 'x'?"),
    "labels": (
        lambda _: fit({"x": X, "y": torch.zeros(19).long()}), "(19,)", "one row for each datum",
    ),
    "real labels": (
        lambda _: fit({"x": X, "y": torch.full((20,), float("inf"))}), "infinity in y[0]", "NaN",
    ),
    "transform": (lambda _: TensorData({"x": X}, transform=3), "got 3", "such as Binarize()"),
    "dataset": (lambda _: DatasetData([1, 2]), "list", "a torch Dataset"),
    "suffix": (lambda _: Arrays("x.txt"), "'x.txt'", ".npy or .npz"),
    "load": (lambda _: pyrovae.data.load("digts"), "'digts'", "did you mean 'digits'?"),
    "option": (lambda _: pyrovae.data.load("digits", sed=1), "'sed'", "did you mean 'seed'?"),
}  # fmt: skip

PARTS: dict[str, Row] = {
    "dim 0": (lambda _: StandardNormal(0), "got 0", "a positive integer"),
    "dim 2.0": (lambda _: StandardNormal(2.0), "got 2.0", "a positive integer"),
    "dim True": (lambda _: StandardNormal(True), "got True", "a positive integer"),
    "dim huge": (lambda _: StandardNormal(10**25), "got 1000", "below 2**31"),
    "components": (lambda _: VampPrior(2, components=-1), "got -1", "a positive integer"),
    "mixture": (lambda _: GaussianMixture(2, components=10**12), "got 1000", "below 2**31"),
    "width": (lambda _: MLP((8, 0)), "(8, 0)", "positive integers"),
    "widths": (lambda _: GatedMLP((10**12,)), "(1000000000000,)", "below 2**31"),
    "activation": (lambda _: MLP(activation="rleu"), "'rleu'", "'relu'"),
    "event shape": (lambda _: Bernoulli((3, 0)), "(3, 0)", "such as (1, 28, 28)"),
    "count": (lambda _: Binomial((3,), total_count=2.0), "got 2.0", "a positive integer"),
    "count huge": (lambda _: Binomial((3,), total_count=HUGE), "total_count", "below 2**31"),
    "scale": (lambda _: Normal((3,), scale="sharde"), "'sharde'", "'shared', 'element'"),
    "scale huge": (lambda _: Normal((3,), scale=HUGE), "scale", "a number of at least 0.0001"),
    "beta": (lambda _: ELBO(beta=-1), "got -1", "at least 0"),
    "beta huge": (lambda _: ELBO(beta=HUGE), "got 1000", "a finite number"),
    "kl": (lambda _: ELBO(kl="exact"), "'exact'", "'auto', 'analytic' or 'sampled'"),
    "particles": (lambda _: IWAE(particles=10**30), "got 1000", "below 2**31"),
    "free bits": (lambda _: ELBO(free_bits=np.inf), "got inf", "a finite number"),
    "steps": (lambda _: Ramp(0, 1, steps=0), "got 0", "at least 1"),
    "end": (lambda _: Cosine(0, np.inf), "got inf", "a finite end"),
    "period": (lambda _: Cycle(period=HUGE), "period", "below 2**31"),
    "value": (lambda _: Constant(None), "got None", "a finite value"),
    "class": (lambda _: vae(prior=StandardNormal), "StandardNormal", "write StandardNormal(...)"),
    "room": (lambda _: vae(prior=MeanFieldNormal()), "MeanFieldNormal()", "pyrovae.priors"),
    "encoder": (lambda _: vae(encoder="MLP"), "'MLP'", "such as MLP((400, 400))"),
    "module": (lambda _: vae(encoder=nn.Linear(3, 4)), "Linear(", "(in_shape, out_shape)"),
    "conv": (lambda _: vae(encoder=Conv()), "(3,) to (4,)", "MLP takes any shapes"),
    "network": (lambda _: vae(encoder=wrong), "the encoder wrong", "2x3 and 5x4"),
    "raising": (
        lambda _: vae(decoder=lambda i, o: Raising()),
        "the decoder",
        "IndexError: out of something",
    ),
    "no memory": (
        lambda _: vae(likelihood=Normal((2**31 - 1, 2**31 - 1))), "Normal((2147", "lower the",
    ),
}  # fmt: skip

USE: dict[str, Row] = {
    "samples 0": (lambda _: pyrovae.evaluate(vae(), X, samples=0), "got 0", "positive integer"),
    "samples 1.5": (lambda _: log_prob(vae(), X, samples=1.5), "got 1.5", "positive integer"),
    "seed": (lambda _: pyrovae.evaluate(vae(), X, seed=-1), "got -1", "from 0 to 2**63 - 1"),
    "shape": (
        lambda _: pyrovae.evaluate(vae(), torch.zeros(5, 1, 8, 8)),
        "got [batch, 1, 8, 8]", "Normal((3,)) expects x of shape [batch, 3]",
    ),
    "log_prob": (lambda _: log_prob(vae(), torch.zeros(5, 4)), "[batch, 4]", "[batch, 3]"),
    "no data": (lambda _: pyrovae.evaluate(vae(), None), "NoneType", "a split of no data"),
    "no test": (
        lambda _: pyrovae.evaluate(vae(), Digits(test=0)), "Digits(test=0)", "give it test=...",
    ),
    "no model": (lambda _: pyrovae.evaluate(3, X), "got int", "such as VAE"),
    "draws": (lambda _: vae().sample(-1), "got -1", "a whole number"),
    "many draws": (lambda _: vae().sample(10**13), "got 1000", "below 2**31"),
    "encode": (lambda _: vae().encode(torch.zeros(5, 4)), "got [5, 4]", "[*batch, 3]"),
    "array": (lambda _: vae().encode(np.zeros((5, 3))), "ndarray", "torch.as_tensor"),
    "decode": (lambda _: vae().decode([1.0, 2.0]), "list", "torch.as_tensor"),
    "save": (lambda at: pyrovae.save(3, at / "m"), "got int", "such as VAE"),
    "save over": (lambda at: pyrovae.save(vae(), at / "file"), "file is a file", "a folder"),
    "save below": (lambda at: pyrovae.save(vae(), at / "file" / "m"), "is a file", "another place"),
    "lambda": (
        lambda at: pyrovae.save(vae(encoder=lambda i, o: nn.Linear(3, 4)), at / "m"),
        "model.encoder: a lambda", "write a function",
    ),
    "load": (lambda at: pyrovae.load(at / "gone"), "gone", "no model folder"),
    "load file": (lambda at: pyrovae.load(at / "file"), "file", "no model folder"),
    "allow": (
        lambda _: from_tree({"class_path": "os.X"}, allow="mine"), "'os.X'", "allow 'os'",
    ),
}  # fmt: skip

ROWS = {
    f"{name}: {row}": rows[row]
    for name, rows in {"fit": FIT, "data": DATA, "parts": PARTS, "use": USE}.items()
    for row in rows
}


@pytest.mark.parametrize("row", ROWS)
def test_it_is_refused(row: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    call, value, remedy = ROWS[row]
    with pytest.raises(KINDS) as caught:
        call(tmp_path)
    said = str(caught.value)
    assert len(said) < 1000
    assert "Traceback" not in said
    assert value in said
    assert remedy in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_one_package_may_be_allowed_as_a_string(tmp_path: Path) -> None:
    assert repr(pyrovae.load(saved(tmp_path), allow="mine").prior) == "StandardNormal(2)"


def test_a_fit_that_was_refused_leaves_the_model_as_it_was() -> None:
    model = vae(prior=VampPrior(2, components=3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=re.escape("learning rate: -1")):
        fit(torch.randn(20, 3), model=model, optimizer=lambda p: Adam(p, lr=-1))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_batch_normalisation_takes_one_row_of_several_particles() -> None:
    model = vae(decoder=normed)
    assert len(fit(torch.randn(21, 3), model=model, objective=IWAE(particles=3))) == 1

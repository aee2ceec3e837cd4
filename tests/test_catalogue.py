"""A catalogue of mistakes: each ends in a line or three, names what was wrong, leaves nothing.

A row is a command, and pieces of what it must say: the value that offends, and what would fit.
"""

import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pyrovae
from pyrovae.__main__ import main
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

LONG = "x" * 5000

# ------------------------------------------------------------------------------------ the rows

WORDS = {
    # verbs and flags
    "trian": "did you mean 'train'",
    "--epochs 3": "a verb comes first",
    "train 3": "unexpected '3'",
    "train --epochs": "--epochs: a value must follow",
    "train --epoch 3": "no option 'epoch'; did you mean 'epochs'?",
    "train --epoch 3 --sede 1": "did you mean 'seed'",
    "train --modle.prior VampPrior": "did you mean 'model'",
    "train --épochs 3": "épochs",
    f"train --{LONG} 3": "xxx ... & epochs",
    "parts --room prior": "did you mean 'priors'",
    "completion tcsh": "bash",
    # numbers
    "train --epochs 0": "epochs & 0 & at least 1",
    "train --epochs -3": "-3",
    "train --epochs 1.5": "1.5 & integer",
    "train --epochs many": "many & integer",
    "train --epochs 3e": "3e",
    "train --batch_size -1": "batch_size & -1",
    "train --seed -1": "seed & -1",
    "train --seed 99999999999999999999999": "seed & 2**63",
    "train --clip 0": "clip & 0",
    "train --clip .nan": "clip & nan",
    "train --clip .inf": "clip & inf",
    "train --ema 1.0": "ema & 1.0",
    "train --ema [0.9,0.99]": "ema",
    "train --patience -1": "patience & -1",
    "train --warmup -1": "warmup & -1",
    "train --samples 0": "samples & 0",
    "train --report maybe": "report & maybe & true",
    "train --device cdua": "cdua & cuda",
    "train --device cuda:9": "cuda:9",
    "train --precision 16": "16 & bf16-mixed",
    "train --optimizer.lr .nan": "nan",
    "train --optimizer.lr -1": "-1",
    "train --optimizer Adm": "did you mean 'Adam'",
    "train --optimizer LBFGS": "LBFGS & step()",
    "train --scheduler ReduceLROnPlateau": "ReduceLROnPlateau",
    "train --scheduler StepLRR": "did you mean 'StepLR'",
    # parts
    "train --model.prior VampPrio": "did you mean 'VampPrior'",
    "train --model.prior Uniform": "no Prior is called 'Uniform' & HypersphericalUniform",
    "train --model.prior.dmi 3": "StandardNormal has no argument 'dmi'; did you mean 'dim'",
    "train --model.prior.dim 0": "0 & positive",
    "train --model.prior.dim -2": "-2",
    "train --model.prior.dim .inf": "integer",
    "train --model.prior VampPrior --model.prior.components 0": "components & 0",
    "train --model.encoder.hidden [300,-3]": "-3",
    "train --model.encoder.hidden abc": "abc & integers",
    "train --model.encoder.activation rleu": "did you mean 'relu'",
    "train --model.likelihood Bernouli": "did you mean 'Bernoulli'",
    "train --model.likelihood Normal --model.likelihood.scale sharde": "did you mean 'shared'",
    "train --model.likelihood Normal --model.likelihood.scale 0": "scale & 0",
    "train --model.likelihood Normal --model.likelihood.event_shape [3]": "[3] & [1, 8, 8]",
    "train --model.posterior LaplaceNormal": "did you mean 'Laplace'",
    "train --model.prior os.system": "outside pyrovae & --allow os",
    "train --model.prior torch.nn.Linear --allow torch": "torch.nn.Linear",
    "train --model.prior mine.Prior --allow mine": "mine",
    "train --model.prior pyrovae.objectives.ELBO": "Prior",
    "train --objective.beta -1": "beta & -1",
    "train --objective.beta Rmap": "did you mean 'Ramp'",
    "train --objective IWAE --objective.particles 0": "particles & 0",
    "train --objective.kl analytical": "did you mean 'analytic'",
    "train --data digits --model.encoder Conv --model.encoder.channels [0]": "0",
    "train --data good.npy --model.encoder Conv": "Conv & (3,)",
    # data
    "train --data digts": "did you mean 'digits'",
    "train --data missing.npy": "missing.npy",
    "train --data missing/": "missing",
    "train --data table.csv": "table.csv",
    "train --data cut.npy": "cut.npy & numpy.save",
    "train --data text.npy": "text.npy",
    "train --data objects.npy": "objects.npy & Python objects",
    "train --data strings.npy": "strings.npy",
    "train --data complex.npy": "complex",
    "train --data scalar.npy": "scalar.npy & single number",
    "train --data none.npy": "empty",
    "train --data one.npy": "1 data & valid",
    "train --data nan.npy": "finite & NaN & observed",
    "train --data inf.npy": "finite & infinity",
    "train --data labels.npz": "first dimension & (60, 3) & (50,)",
    "train --data keyed.npz": "keyed.npz & arrays data & --data.key",
    "train --data keyed.npz --data.key date": "did you mean 'data'",
    "train --data good.npy --data.valid 1.5": "valid & 1.5",
    "train --data good.npy --data.valid 60": "60 & none would be left",
    "train --data good.npy --data.seed -1": "seed & -1",
    "train --data good.npy --model.likelihood Bernoulli": "cannot score x & binarise",
    "train --data digits --model.likelihood Bernoulli": "cannot score x & Binomial",
    "train --model.likelihood Binomial --model.likelihood.total_count 4": "cannot score x",
    "train --data good.npy --model.likelihood Binomial": "total_count & Normal",
    "train --data mnist --data.binarize dynamik": "did you mean 'dynamic'",
    "train --data mixed/": "sizes & size",
    "train --data broken/": "broken/2.png",
    "train --data bare/": "bare",
    "train --data CIFAR11": "did you mean 'CIFAR10'",
    # configuration files
    "train --config missing.yaml": "missing.yaml",
    "train --config list.yaml": "list.yaml & by name",
    "train --config twice.yaml": "'epochs' is given twice",
    "train --config alias.yaml": "aliases",
    "train --config tag.yaml": "tag.yaml",
    "train --config deep.yaml": "nested too deeply",
    "train --config good.npy": "good.npy & text",
    "train --config large.yaml": "bytes",
    "train --config unknown.yaml": "did you mean 'epochs'",
    # runs
    "train --out good.npy": "good.npy",
    "train --out good.npy/run": "good.npy",
    "train --out full": "not empty & --out",
    "train --out /proc/run": "/proc/run",
    "train --resume RUN": "no run folder RUN",
    "train --resume full": "config.yaml",
    "evaluate": "RUN",
    "evaluate RUN": "no run folder RUN",
    "evaluate full": "no trained model",
    "evaluate good.npy": "good.npy",
    "evaluate RUN --split tets": "tets & test",
    "sample RUN --n 0": "0 & positive",
    "sample RUN --n abc": "abc",
    "sample RUN --sed 1": "did you mean '--seed'",
    "encode RUN --out z.txt": "no run folder RUN",
    "report": "RUN",
    "report full": "nothing to report on & full",
}  # each a command, and what it must say, pieces parted by &


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that a row names."""
    folder = tmp_path_factory.mktemp("stage")
    generator = np.random.default_rng(0)
    good = generator.normal(size=(60, 3))
    arrays: dict[str, Any] = {
        "good": good, "strings": np.array(["a", "b"]), "complex": np.ones((9, 2), complex),
        "scalar": np.array(3.0), "none": np.ones((0, 3)), "one": np.ones((1, 3)),
    }  # fmt: skip
    for value in ("nan", "inf"):
        arrays[value] = good.copy()
        arrays[value][4, 1] = float(value)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    ragged = np.empty(2, dtype=object)
    ragged[:] = [[1], [2, 3]]
    np.save(folder / "objects.npy", ragged, allow_pickle=True)
    np.savez(folder / "labels.npz", x=good, y=np.arange(50))
    np.savez(folder / "keyed.npz", data=good)
    whole = (folder / "good.npy").read_bytes()
    (folder / "cut.npy").write_bytes(whole[: len(whole) // 2])
    (folder / "text.npy").write_text("1,2,3\n")
    (folder / "table.csv").write_text("a,b\n1,2\n")
    for name in ("mixed", "broken", "bare", "full"):
        (folder / name).mkdir()
    for number in range(10):
        size = (8, 8 + number % 2)
        Image.new("L", size, number).save(folder / "mixed" / f"{number}.png")
        Image.new("L", (8, 8), number).save(folder / "broken" / f"{number}.png")
    (folder / "broken" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "full" / "note.txt").write_text("mine")
    files = {
        "list": "- 1\n- 2\n", "twice": "epochs: 1\nepochs: 2\n", "alias": "a: &x 1\nb: *x\n",
        "tag": "a: !!python/object/apply:os.system [echo]\n", "deep": "[" * 3000,
        "large": "# " + "x" * 2_000_000, "unknown": "epoch: 3\n",
    }  # fmt: skip
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def listing(folder: Path) -> dict[str, int]:
    """Return every path below a folder with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def pieces(text: str) -> list[str]:
    return [piece.strip() for piece in text.split(" & ")]


@pytest.mark.parametrize("command", WORDS, ids=lambda command: command[:60])
def test_a_mistake_on_the_command_line(
    command: str, stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stage)
    before = listing(stage)
    code = main(shlex.split(command))
    said = capsys.readouterr().err
    assert code == 2, said
    lines = said.splitlines()
    assert 1 <= len(lines) <= 3, said
    assert lines[0].startswith("pyrovae: "), said
    assert "Traceback" not in said
    assert "PYROVAE_TRACEBACK" not in said, f"an error that nobody foresaw: {said}"
    for piece in pieces(WORDS[command]):
        assert piece.lower() in said.lower(), f"{piece!r} is not said: {said}"
    assert listing(stage) == before, "something was written"


def test_several_mistakes_are_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--epoch 3 --sede 1 --model.prior Vamp --clip x --ema y"
    assert main(["train", *words.split()]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[2] == "... and 3 more problems"


# ------------------------------------------------------------------------------------ in Python


def vae(shape: tuple[int, ...] = (3,)) -> pyrovae.VAE:
    return pyrovae.VAE(
        prior=StandardNormal(2), likelihood=Normal(shape), posterior=MeanFieldNormal(),
        encoder=MLP((4,)), decoder=MLP((4,)),
    )  # fmt: skip


X = torch.zeros(20, 3)
CALLS: dict[str, tuple[Any, str]] = {
    "data of another shape": (lambda: pyrovae.fit(vae(), torch.zeros(20, 4)), "4 & 3"),
    "validation data of another shape": (
        lambda: pyrovae.fit(vae(), X, valid=torch.zeros(5, 4), batch_size=5), "4 & 3",
    ),
    "evaluated on another shape": (lambda: pyrovae.evaluate(vae(), torch.zeros(5, 4)), "4 & 3"),
    "no epochs": (lambda: pyrovae.fit(vae(), X, epochs=0), "epochs & 0"),
    "epochs as a word": (lambda: pyrovae.fit(vae(), X, epochs="3"), "epochs & '3'"),
    "a truth value for a number": (lambda: pyrovae.fit(vae(), X, batch_size=True), "batch_size"),
    "a class for a model": (lambda: pyrovae.fit(pyrovae.VAE, X), "VAE"),
    "a list for data": (lambda: pyrovae.fit(vae(), [[1.0, 2.0]]), "list & as"),
    "empty data": (lambda: pyrovae.fit(vae(), torch.zeros(0, 3)), "empty"),
    "nan in data": (lambda: pyrovae.fit(vae(), X.log() * 0), "finite & observed"),
    "an object array": (
        lambda: pyrovae.fit(vae(), np.array([[1], [1, 2]], dtype=object)), "objects",
    ),
    "a misspelt key": (lambda: pyrovae.fit(vae(), {"X": X}), "'X' & did you mean 'x'"),
    "an optimiser made already": (
        lambda: pyrovae.fit(vae(), X, optimizer=torch.optim.SGD(vae().parameters(), lr=1.0)),
        "optimizer & lambda",
    ),
    "an objective by its class": (
        lambda: pyrovae.fit(vae(), X, objective=pyrovae.objectives.ELBO), "objective & ELBO",
    ),
    "no samples": (lambda: pyrovae.evaluate(vae(), X, samples=0), "samples & 0"),
    "a name that is none": (lambda: pyrovae.data.load("mnis"), "mnis & did you mean 'mnist'"),
    "a model that is none": (lambda: pyrovae.save(torch.nn.Linear(1, 1), "there"), "Linear & VAE"),
    "a folder that is none": (lambda: pyrovae.load("nowhere"), "nowhere"),
    "a run that is none": (lambda: pyrovae.fit(vae(), X, resume="nowhere"), "nowhere & checkpoint"),
    "a part by its class": (
        lambda: pyrovae.VAE(
            prior=StandardNormal, likelihood=Normal((3,)), posterior=MeanFieldNormal(),
            encoder=MLP(()), decoder=MLP(()),
        ),
        "StandardNormal(...)",
    ),
    "too many draws of nothing": (lambda: vae().sample(-1), "-1"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_mistake_in_python(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, expected = CALLS[name]
    with pytest.raises((ValueError, TypeError, OSError)) as caught:
        call()
    said = str(caught.value)
    assert len(said) < 1000
    for piece in pieces(expected):
        assert piece in said, f"{piece!r} is not said: {said}"
    assert not os.listdir(tmp_path)

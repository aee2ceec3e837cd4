"""Models of labels on the command line: what y is comes from the data, and `--y` says which."""

from pathlib import Path

import numpy as np
import pytest
import torch

import pyrovae
from pyrovae.__main__ import main
from pyrovae.config import read

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")

TRAIN = "train --model ConditionalVAE --epochs 1 --samples 2 --report false"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run given classes, and one given a part of the image, each by a learned prior."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = f"{TRAIN} --model.prior ConditionalNormal --model.prior.dim 2"
        assert main([*words.split(), "--data", "digits", "--out", "classes"]) == 0
        about = "--data Quadrants --data.source digits --data.visible 2 --out parts"
        assert main([*words.split(), *about.split()]) == 0
    return folder


def test_what_y_is_comes_from_the_data(runs: Path) -> None:
    classes = pyrovae.load(runs / "classes" / "model")
    assert (classes.levels, classes.condition_shape, classes.prior.condition) == (10, (), 10)
    parts = pyrovae.load(runs / "parts" / "model")
    assert (parts.levels, parts.condition_shape) == (None, (1, 8, 8))
    assert parts.prior.condition == 64
    tree = read(runs / "parts" / "config.yaml")
    assert isinstance(tree, dict)
    given = tree["model"]["init_args"]
    assert given["condition_shape"] == []  # so that the data can be exchanged
    assert "condition" not in given["prior"]["init_args"]


def test_draws_are_given_y(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    model = pyrovae.load("classes/model")
    np.save("y.npy", np.array([3, 5]))
    for words, y in (
        ("--y 3", [3] * 5),
        ("--y 3,5", [3, 5, 3, 5, 3]),
        ("--y y.npy", [3, 5, 3, 5, 3]),
        ("", [0, 1, 2, 3, 4]),
    ):
        assert main(f"sample classes --n 5 --mean --out drawn.npy {words}".split()) == 0
        torch.manual_seed(0)
        truth = model.sample(5, y=torch.tensor(y), mean=True)
        assert np.allclose(np.load("drawn.npy"), truth.numpy())
    assert main(["sample", "parts", "--n", "5", "--mean", "--y", "test", "--out", "drawn.npy"]) == 0
    seen = next(pyrovae.data.Quadrants(pyrovae.data.Digits(), visible=2).load().test.batches(
        batch_size=5))["y"]  # fmt: skip
    torch.manual_seed(0)
    truth = pyrovae.load("parts/model").sample(5, y=seen, mean=True)
    assert np.allclose(np.load("drawn.npy"), truth.numpy())


@pytest.mark.parametrize("run", ["classes", "parts"])
@pytest.mark.parametrize("verb", ["reconstruct", "reconstruct --mean", "encode"])
def test_verbs_hand_on_the_y_of_the_data(
    runs: Path, monkeypatch: pytest.MonkeyPatch, run: str, verb: str
) -> None:
    monkeypatch.chdir(runs)
    name, *more = verb.split()
    assert main([name, run, *more, "--out", "made.npz", *(["--n", "3"] * (name[0] == "r"))]) == 0
    assert "y" in np.load("made.npz")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sample classes --y 33", "a class from 0 to 9; got y[0] = 33"),
        ("sample classes --y three", "--y: expected numbers with commas between"),
        ("sample classes --y none.npy", "--y: none.npy cannot be read"),
        ("sample classes --y 1.5", "a class from 0 to 9; got torch.float32"),
        ("sample parts", "--y: missing; ConditionalVAE draws x given y, numbers of shape"),
        ("sample parts --y 1,2", "--y: a y is 64 numbers, of shape [1, 8, 8]; got 2"),
        (f"{TRAIN} --data digits --model.levels 5", "are 10 classes; got levels 5"),
        (f"{TRAIN} --data digits --model.condition_shape [3]", "are 10 classes; got levels None"),
        (f"{TRAIN} --data x.npy", "ConditionalVAE is p(x | y), and Arrays('x.npy') has no labels"),
        (
            f"{TRAIN} --data Quadrants --data.source digits --model.levels 3",
            "y of Quadrants(Digits()) are numbers of shape [1, 8, 8]; got levels 3",
        ),
    ],
)
def test_mistakes_are_said_in_one_line(
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    said: str,
) -> None:
    monkeypatch.chdir(runs)
    np.save("x.npy", np.zeros((20, 3), dtype=np.float32))
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error

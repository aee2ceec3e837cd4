"""The examples run, at settings that take seconds, and do what they say."""

import ast
import csv
import importlib.util
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyro
import pytest
import torch
import zuko  # noqa: F401  (importing it switches torch's validation off: not within a test)
from scipy import stats

import pyrovae
from pyrovae.cli.cells import Cells
from pyrovae.likelihoods import Likelihood
from pyrovae.networks import Network
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior
from pyrovae.training import Callback
from pyrovae.training.checkpoints import Checkpoints
from pyrovae.training.run import Run

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LINES = 40

# Weights of a model that was trained for seconds are poor, and `evaluate` is right to say so.
pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


@contextmanager
def imported(name: str) -> Iterator[ModuleType]:
    """Import an example as a module of its own name, and forget it again."""
    file = EXAMPLES / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where saving looks for what a class is called
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]


@pytest.fixture
def own_parts() -> Iterator[ModuleType]:
    with imported("own_parts") as module:
        yield module


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.name)
def test_every_example_is_tested_and_says_how_to_run_it(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert f"python examples/{file.name}" in (ast.get_docstring(ast.parse(source)) or "")
    assert f'"{file.stem}"' in Path(__file__).read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------- own parts


def test_every_part_of_ones_own_is_short() -> None:
    tree = ast.parse((EXAMPLES / "own_parts.py").read_text(encoding="utf-8"))
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    assert len(lengths) >= 4
    assert max(lengths.values()) < LINES, lengths


def test_there_is_one_part_of_ones_own_for_each_room(own_parts: ModuleType) -> None:
    for base in (Prior, Likelihood, Posterior, Network):
        own = [
            value
            for value in vars(own_parts).values()
            if isinstance(value, type)
            and issubclass(value, base)
            and value.__module__ == "own_parts"
        ]
        assert own, f"no {base.__name__}"


def test_parts_of_ones_own_train_and_survive_saving(
    own_parts: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = own_parts.main(epochs=3, samples=20, out=tmp_path)
    assert numbers["last"] > numbers["first"] + 1.0
    assert -200.0 < numbers["log_prob"] < -50.0  # a uniform guess of 64 counts out of 17: -181
    assert numbers["loaded"] == numbers["log_prob"]
    assert "own_parts.Flow" in (tmp_path / "model" / "config.yaml").read_text(encoding="utf-8")
    assert "KL sampled" in capsys.readouterr().out


def test_every_parameter_of_parts_of_ones_own_is_trained(own_parts: ModuleType) -> None:
    vae = own_parts.build()
    before = {name: value.clone() for name, value in vae.named_parameters()}
    train, _, _ = pyrovae.data.load("digits")
    x = next(train.batches(batch_size=64))["x"]
    pyrovae.fit(vae, x, epochs=2, batch_size=32, seed=0)
    still = [name for name, value in vae.named_parameters() if torch.equal(value, before[name])]
    assert not still


def test_a_model_of_ones_own_parts_is_not_loaded_unasked(
    own_parts: ModuleType, tmp_path: Path
) -> None:
    pyrovae.save(own_parts.build(), tmp_path / "model")
    with pytest.raises(ValueError, match="own_parts"):
        pyrovae.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("part", "replaced"),
    [
        ("prior", lambda own: own.StudentT(2, df=4.0)),
        ("posterior", lambda own: own.Flow(transforms=1, hidden=8)),
        ("encoder", lambda own: own.Residual(16, blocks=1)),
        ("decoder", lambda own: own.one_hidden_layer),
        ("likelihood", lambda own: own.BetaBinomial((5,), total_count=3)),
    ],
)
def test_each_part_of_ones_own_works_among_the_packages(
    own_parts: ModuleType, part: str, replaced: Any, tmp_path: Path
) -> None:
    parts: dict[str, Any] = {
        "prior": pyrovae.priors.StandardNormal(2),
        "likelihood": pyrovae.likelihoods.Binomial((5,), total_count=3),
        "posterior": pyrovae.posteriors.MeanFieldNormal(),
        "encoder": pyrovae.networks.MLP((8,)),
        "decoder": pyrovae.networks.MLP((8,)),
    }
    vae = pyrovae.VAE(**{**parts, part: replaced(own_parts)})
    # Counts that one latent number explains: all 0 or all 3. The noise of the bound is far below
    # what there is to gain.
    x = 3.0 * (torch.arange(100) % 2).float()[:, None].expand(100, 5)
    history = pyrovae.fit(vae, x, valid=x, epochs=15, batch_size=50, seed=0)
    assert history["valid/elbo"][-1] > history["valid/elbo"][0] + 0.2
    pyrovae.save(vae, tmp_path / "model")
    loaded = pyrovae.load(tmp_path / "model", allow=("own_parts",))
    first, again = (pyrovae.evaluation.log_prob(m, x[:4], samples=10) for m in (vae, loaded))
    assert torch.equal(first, again)


# ---------------------------------------------------------------------------------------- others


def test_the_pyro_way(capsys: pytest.CaptureFixture[str]) -> None:
    with imported("pyro_way") as module:
        numbers = module.main(epochs=2)
    assert numbers["svi last"] > numbers["svi first"]
    assert numbers["fit last"] > numbers["fit first"]
    assert all(map(torch.isfinite, map(torch.tensor, numbers.values())))
    kept = len(pyro.get_param_store())  # SVI's; fit has added nothing
    assert f"store now holds {kept} tensors" in (printed := capsys.readouterr().out)
    assert f"store still holds {kept} tensors" in printed


def test_the_figure_of_the_digits(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with imported("digits_figure") as module:
        out = module.main(["--epochs", "2", "--out", str(tmp_path / "figure.png")])
    assert out.read_bytes().startswith(b"\x89PNG")


def test_the_figure_of_the_digits_is_kept_small() -> None:
    assert (EXAMPLES.parent / "docs" / "figures" / "digits.png").stat().st_size < 120_000


def test_colour_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    small = "--data balls --epochs 3 --batch-size 50 --dim 4 --components 2 --samples 5 --test 20"
    with imported("colour") as module:
        monkeypatch.setattr(module, "SIDE", 8)
        result = module.main([*small.split(), "--out", str(tmp_path / "colour.png")])
    assert result.data == 20
    assert 4.0 < result.bits_per_dim < 7.8
    assert f"{result.bits_per_dim:.3f} bits per dimension" in capsys.readouterr().out
    assert (tmp_path / "colour.png").read_bytes().startswith(b"\x89PNG")


def test_topics(capsys: pytest.CaptureFixture[str]) -> None:
    """The planted topics come back, and the perplexities stand in the order that they must."""
    small = "--documents 800 --test 60 --epochs 35 --passes 1 --samples 50"
    with imported("topics") as module:
        numbers = module.main(small.split())
        uniform = np.full(len(module.WORDS), 1.0 / len(module.WORDS))
        counts, _ = module.documents(5, seed=0)
        score = stats.multinomial.logpmf(counts, counts.sum(-1), uniform).mean()
        assert module.perplexity(score, counts) == pytest.approx(len(module.WORDS))
        one = np.ones((5, 1))  # a single topic: the bound is the log-probability itself
        bound = module.mixture_bound(uniform[None], one, counts)
        assert bound == pytest.approx(-counts.sum() * np.log(len(module.WORDS)))
    assert numbers["truth"] < numbers["log_prob"] < numbers["elbo"] < 0.95 * numbers["unigram"]
    assert numbers["truth"] < numbers["lda"] < numbers["unigram"]
    assert numbers["match"] > 0.6  # topics of random words share 4 % of them
    assert "ProdLDA, by log p(x)" in capsys.readouterr().out


class PowerCutError(Exception):
    """What ends a run of these tests."""


class PowerCut(Callback):
    """Ends a run after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Run) -> None:
        if run.step == self.step:
            raise PowerCutError


def without_time(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_logger_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def table(file: Path) -> list[dict[str, str]]:
        with file.open(encoding="utf-8", newline="") as opened:
            return list(csv.DictReader(opened))

    with imported("csv_logger") as module:
        rows = module.main(epochs=2, out=tmp_path / "new")
        assert rows == table(tmp_path / "new" / "history.csv")
        assert [row["epoch"] for row in rows] == ["1", "2"]
        assert list(rows[0])[:4] == ["epoch", "step", "train/loss", "train/elbo"]

        def fit(file: Path, *callbacks: Callback, **options: Any) -> pyrovae.training.History:
            torch.manual_seed(0)
            vae = pyrovae.VAE(
                prior=pyrovae.priors.StandardNormal(2),
                likelihood=pyrovae.likelihoods.Normal((3,)),
                posterior=pyrovae.posteriors.MeanFieldNormal(),
                encoder=pyrovae.networks.MLP((4,)),
                decoder=pyrovae.networks.MLP((4,)),
            )
            given = [module.CSVLogger(file), *callbacks]
            x = torch.randn(50, 3)
            return pyrovae.fit(
                vae, x, epochs=6, batch_size=10, seed=0, callbacks=given, progress=False, **options
            )

        whole = fit(tmp_path / "whole.csv")
        assert table(tmp_path / "whole.csv") == [
            {key: str(value) for key, value in record.items()} for record in whole.records
        ]
        looks = iter(range(100))
        monkeypatch.setattr(Checkpoints, "due", property(lambda self: next(looks) < 14))
        cut = tmp_path / "cut.csv"
        with pytest.raises(PowerCutError):  # the last checkpoint is of the third epoch
            fit(cut, PowerCut(27), out=tmp_path / "run")
        assert [row["epoch"] for row in table(cut)] == ["1", "2", "3", "4", "5"]
        with cut.open("a", encoding="utf-8") as opened:
            opened.write("6,30,0.2")  # and half a row was written
        fit(cut, resume=tmp_path / "run")
        assert without_time(table(cut)) == without_time(table(tmp_path / "whole.csv"))
        assert [row["epoch"] for row in table(cut)] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.slow
@pytest.mark.skipif("PYROVAE_DATA" not in os.environ, reason="PYROVAE_DATA names no data folder")
def test_mnist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = "--epochs 1 --batch-size 500 --components 20 --width 32 --dim 8 --samples 10 --test 50"
    with imported("mnist") as module:
        result = module.main([*small.split(), "--out", str(tmp_path)])
    assert result.data == 50
    assert -300.0 < result.elbo <= result.log_prob < -80.0
    assert (tmp_path / "model").is_dir()


# -------------------------------------------------------------------------------------- quadrants


def test_quadrants_are_predicted_and_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--quick --quadrants 2 --epochs 1 --width 16 --dim 2 --samples 5"
    with imported("quadrants") as module:
        found = module.main(words.split())
    assert list(found) == [2]
    prediction, cvae = found[2]
    assert all(0.0 < score < 32 * 16 * math.log(17) for score in found[2])
    out = capsys.readouterr().out
    assert f"2 visible: prediction {prediction:.2f}\n" in out
    assert f"conditional VAE {cvae:.2f} +- " in out
    assert f"better by {prediction - cvae:.2f}" in out


# ------------------------------------------------------------------------------- semi-supervised


def test_the_experiment_on_labels_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All settings of all cells are read and checked; running cells is tried in other files."""
    monkeypatch.setattr(Cells, "run", lambda self, cells: (end for end in ()))
    with imported("semi_supervised") as module:
        words = f"--quick --labels 20,50 --seeds 2 --out {tmp_path / 'out'}"
        assert module.main(words.split()) == 0
    assert "12 cells" in capsys.readouterr().out
    names = sorted(path.stem for path in (tmp_path / "out" / "cells").glob("*.yaml"))
    assert len(names) == 12
    assert next(name for name in names if name.startswith("M1")) == "M1,labels=20,seed=0"

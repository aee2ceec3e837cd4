"""The command line as its users type it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonargparse
import numpy as np
import pytest
import torch

import pyrovae
from pyrovae.__main__ import VERBS, main
from pyrovae.cli.flags import layer, lex
from pyrovae.cli.images import grid
from pyrovae.cli.train import default_epochs
from pyrovae.config import choices, parse
from pyrovae.data import TensorData
from pyrovae.declared import Declared
from pyrovae.models import Model
from pyrovae.objectives import Objective
from pyrovae.saving import load

SMALL = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "8", "--samples", "5"]
SMALL += ["--epochs", "1", "--model.prior.dim", "2", "--report", "false"]

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("rows", "epochs"), [(1, 1000), (142, 334), (1437, 50), (60_000, 50)])
def test_few_rows_are_gone_through_more_often(rows: int, epochs: int) -> None:
    assert default_epochs(TensorData({"x": torch.zeros(rows, 1)}), 64) == epochs


def losses(run: str) -> list[float]:
    lines = Path(run, "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["train/loss"] for line in lines]


def mistakes(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Run a command that must be refused, and return the lines it wrote to standard error."""
    capsys.readouterr()
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 3
    assert lines[0].startswith("pyrovae: ")
    assert "Traceback" not in "".join(lines)
    return lines


# ------------------------------------------------------------------------------------------- train


def test_points_have_a_distance_to_the_prior(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--objective", "Wasserstein", "--model.posterior", "Deterministic"]
    assert main(["train", *SMALL, *words, "--report", "false", "--out", "RUN"]) == 0
    assert "no log p(x) is estimated" in capsys.readouterr().out
    assert main(["evaluate", "RUN", "--surgery"]) == 0
    said = capsys.readouterr().out
    assert "no log p(x) is estimated" in said
    assert "energy distance" in said
    assert "no density" in mistakes(capsys, "evaluate", "RUN")[0]


def test_train_evaluate_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *SMALL, "--report", "true", "--out", "RUN"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "likelihood Binomial, because a grey level counts" in printed.out
    assert "pyrovae sample RUN" in printed.out
    assert "test log p(x) = -" in printed.out
    assert sorted(os.listdir("RUN")) == [
        "checkpoint",
        "config.yaml",
        "evaluation.json",
        "history.json",
        "metrics.jsonl",
        "model",
        "report.html",
    ]
    assert load("RUN/model").prior.dim == 2
    first = json.loads(Path("RUN/evaluation.json").read_text())
    assert first["samples"] == 5

    assert main(["evaluate", "RUN", "--samples", "5"]) == 0
    assert json.loads(Path("RUN/evaluation.json").read_text()) == first
    capsys.readouterr()
    words = ["evaluate", "RUN/model", "--data", "digits", "--samples", "5", "--surgery"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "total correlation" in said
    assert f"{first['log_prob']:.2f}" in said

    assert main(["sample", "RUN", "--n", "5"]) == 0
    assert "RUN/samples.png" in capsys.readouterr().out
    assert Path("RUN/samples.png").read_bytes().startswith(b"\x89PNG")
    for _ in range(2):
        assert main(["sample", "RUN", "--n", "5", "--out", "x.npy", "--mean"]) == 0
    drawn = np.load("x.npy", allow_pickle=False)
    assert drawn.shape == (5, 1, 8, 8)
    assert main(["sample", "RUN", "--n", "5", "--out", "x.npz"]) == 0
    assert np.load("x.npz", allow_pickle=False)["x"].max() <= 16

    lines = mistakes(capsys, "train", *SMALL, "--out", "RUN")
    assert "not empty" in lines[0]


def test_a_printed_configuration_gives_the_same_run(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SMALL, "--model.prior", "VampPrior", "--model.prior.components", "3"]
    words += ["--objective.beta", "Ramp", "--objective.beta.steps", "7", "--optimizer.lr", "3e-3"]
    assert main(["train", *words, "--print_config"]) == 0
    text = capsys.readouterr().out
    Path("run.yaml").write_text(text)
    assert main(["train", "--config", "run.yaml", "--print_config"]) == 0
    assert capsys.readouterr().out == text
    assert main(["train", *words, "--out", "A"]) == 0
    assert main(["train", "--config", "run.yaml", "--out", "B"]) == 0
    assert main(["train", "--config", "A/config.yaml", "--out", "C"]) == 0
    assert losses("A") == losses("B") == losses("C")
    assert main(["train", "--config", "run.yaml", "--out", "D", "--seed", "1"]) == 0
    assert losses("D") != losses("A")


def test_a_printed_configuration_is_in_the_format_of_jsonargparse(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "--print_config", "--objective.beta", "Ramp"]) == 0
    tree = parse(capsys.readouterr().out)
    tree["model"]["init_args"]["likelihood"]["init_args"] = {"event_shape": [4], "total_count": 3}
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--model", type=Model)
    parser.add_argument("--objective", type=Objective)
    read = parser.parse_object({name: tree[name] for name in ("model", "objective")})
    model = parser.instantiate(read)["model"]
    assert model.likelihood.total_count == 3


def test_flags_go_over_the_file_and_their_order_does_not_matter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("run.yaml").write_text(
        "data: digits\nepochs: 3\nmodel: {init_args: {prior: {class_path: VampPrior, "
        "init_args: {dim: 5, components: 7}}}}\noptimizer: {class_path: SGD, init_args: {lr: 1e-2}}"
    )
    flags = ["--model.prior.components", "9", "--epochs=4", "--model.prior", "GaussianMixture"]
    assert main(["train", *flags, "--config", "run.yaml", "--print_config"]) == 0
    tree = parse(capsys.readouterr().out)
    prior = tree["model"]["init_args"]["prior"]
    assert prior["class_path"] == "pyrovae.priors.GaussianMixture"
    assert prior["init_args"] == {"dim": 5, "components": 9}
    assert tree["epochs"] == 4
    assert tree["optimizer"] == {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.01}}


def test_other_likelihoods_optimisers_schedulers_and_data() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    np.save("rows.npy", rows)
    words = ["--data", "rows.npy", "--data.valid", "0.2", "--batch_size", "20", *SMALL]
    words += ["--model.likelihood", "Normal", "--model.likelihood.scale", "element"]
    words += ["--optimizer", "SGD", "--optimizer.momentum", "0.9", "--optimizer.lr", "1e-4"]
    words += ["--scheduler", "CosineAnnealingLR", "--scheduler.T_max", "9", "--warmup", "1"]
    words += ["--objective", "IWAE", "--objective.particles", "3", "--clip", "1e1", "--ema", ".5"]
    assert main(["train", *words, "--out", "RUN"]) == 0
    model = load("RUN/model")
    assert repr(model.likelihood) == "Normal((3,), scale='element')"
    assert main(["sample", "RUN"]) == 0
    assert np.load("RUN/samples.npy").shape == (64, 3)


def test_runs_without_a_name_are_counted() -> None:
    for _ in range(2):
        assert main(["train", *SMALL]) == 0
    assert sorted(os.listdir("runs")) == ["digits-1", "digits-2"]


def test_ones_own_class_must_be_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("my_own_parts.py").write_text(
        "from pyrovae.priors import StandardNormal\n\n\nclass Mine(StandardNormal):\n    pass\n"
    )
    words = ["train", *SMALL, "--out", "RUN", "--model.prior", "my_own_parts.Mine"]
    assert "--allow my_own_parts" in mistakes(capsys, *words)[0]
    assert "my_own_parts" not in sys.modules
    assert main([*words, "--allow", "my_own_parts"]) == 0
    assert "--allow my_own_parts" in mistakes(capsys, "sample", "RUN")[0]
    assert main(["sample", "RUN", "--allow", "my_own_parts"]) == 0


# ---------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian", "did you mean 'train'"),
        ("train --epoch 3", "did you mean 'epochs'"),
        ("train --epochs", "a value must follow"),
        ("train --epochs many", "epochs: expected an integer or null; got 'many'"),
        ("train --epochs 1.5", "expected an integer"),
        ("train --epochs 0", "epochs expects an integer of at least 1"),
        ("train 3", "unexpected '3'"),
        ("train --data mnits", "did you mean 'mnist'"),
        ("train --data mnist --data.root /nowhere", "/nowhere"),
        ("train --data nowhere.npz", "nowhere.npz"),
        ("train --data os.system", "--allow os"),
        ("train --data.sed 3", "did you mean 'seed'"),
        ("train --model.prio VampPrior", "did you mean 'prior'"),
        ("train --model.prior VampPrio", "did you mean 'VampPrior'"),
        ("train --model.prior VampPrior --model.prior.component 3", "did you mean 'components'"),
        ("train --model.prior Bernoulli", "no Prior is called 'Bernoulli'"),
        ("train --model.prior pyrovae.priors.Prior", "Prior"),
        ("train --model.prior antigravity.Prior", "lies outside pyrovae"),
        ("train --model.prior.dim 0", "StandardNormal expects dim to be a positive integer"),
        ("train --model.encoder.activation rleu", "did you mean 'relu'"),
        ("train --model.encoder.hidden a", "expected a list of integers"),
        ("train --model.encoder Conv --model.decoder Conv --model.encoder.hidden x", "an integer"),
        ("train --model.likelihood.scale shared", "name a Likelihood first"),
        ("train --model.likelihood Bernoulli", "Binomial"),
        ("train --model.likelihood Binomial --model.likelihood.event_shape [3]", "leave it out"),
        ("train --objective.beta Rmp", "did you mean 'Ramp'"),
        ("train --objective.beta -1", "beta of at least 0"),
        ("train --objective ELBOO", "did you mean 'ELBO'"),
        ("train --objective.free_bits 1 --model.prior VampPrior", "free_bits"),
        ("train --optimizer Adm", "did you mean 'Adam'"),
        ("train --optimizer.lr fast", "optimizer.lr: expected a number"),
        ("train --optimizer.lrr 1", "did you mean 'lr'"),
        ("train --optimizer.lr -1", "Invalid learning rate"),
        ("train --scheduler.T_max 3", "name a LRScheduler first"),
        ("train --precision 16", "precision: expected one of"),
        ("train --device gpux", "device"),
        ("train --config nowhere.yaml", "there is no file nowhere.yaml"),
        ("train --config bad.yaml", "given twice"),
        ("train --config list.yaml", "no configuration"),
        ("train --config odd.yaml", "class_path"),
        ("train --prior.help Vamp", "no part is called 'Vamp'"),
        ("evaluate", "RUN"),
        ("evaluate nowhere", "no run folder nowhere"),
        ("evaluate . --sample 3", "did you mean '--samples'"),
        ("evaluate . --samples 0", "positive"),
        ("evaluate .", "no trained model"),
        ("sample nowhere", "no run folder"),
        ("sample . --n x", "--n"),
        ("parts --room prior", "did you mean 'priors'"),
    ],
)
def test_a_mistake_is_said_in_a_line(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.yaml").write_text("epochs: 1\nepochs: 2")
    Path("list.yaml").write_text("- 1")
    Path("odd.yaml").write_text("data: {class_path: Digits, seed: 3}")
    assert said in "\n".join(mistakes(capsys, *words.split()))
    assert "antigravity" not in sys.modules


def test_many_mistakes_take_three_lines(capsys: pytest.CaptureFixture[str]) -> None:
    words = "train --epoch 3 --model.prio X --objective.bet 1 --clip a --seed b"
    lines = mistakes(capsys, *words.split())
    assert len(lines) == 3
    assert lines[2] == "... and 3 more problems"


def test_a_refused_command_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    mistakes(capsys, "train", "--model.prior.dim", "0")
    assert not Path("runs").exists()


@pytest.mark.parametrize("wrong", ["--optimizer.lr -1", "--model.likelihood Bernoulli"])
def test_a_run_refused_in_training_leaves_its_folder_free(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mistakes(capsys, "train", *SMALL, "--out", "a/run", *wrong.split())
    assert not Path("a/run").exists()
    assert main(["train", *SMALL, "--out", "a/run"]) == 0


def test_ctrl_c_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pyrovae.cli.train.fit", stop)
    assert main(["train", *SMALL]) == 130
    assert len(capsys.readouterr().err.splitlines()) == 1


# ------------------------------------------------------------------------------- help and listings


def test_parts_lists_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parts"]) == 0
    listed = capsys.readouterr().out
    for name in choices(Declared):
        assert f"  {name}(" in listed
    assert main(["parts", "--room", "priors"]) == 0
    listed = capsys.readouterr().out
    assert "VampPrior(dim=32, *, components=500)" in listed
    assert "Binomial" not in listed


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"usage: pyrovae {verb}")
    assert not printed.err


def test_help_of_one_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--model.prior.help", "VampPrior"]) == 0
    assert "Tomczak" in capsys.readouterr().out
    assert (
        "--model.prior.help: the name of a class"
        in mistakes(capsys, "train", "--model.prior.help")[0]
    )


def process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user would, with this copy of the package."""
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(pyrovae.__file__).parents[1])},
    )


def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from pyrovae.__main__ import main; codes = [main([word]) for word in "
        "('--help', '--version')] + [main([])]; print(codes, "
        "{'torch', 'pyro', 'numpy', 'yaml', 'jsonargparse'} & set(sys.modules))"
    )
    done = process("-c", code)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0] set()"
    assert "train" in done.stdout


def test_the_command_as_a_process() -> None:
    done = process("-m", "pyrovae", "train", *SMALL, "--out", "RUN")
    assert (done.returncode, done.stderr) == (0, "")
    assert "test log p(x) = -" in done.stdout
    assert Path("RUN/model").is_dir()
    done = process("-m", "pyrovae", "trian")  # found before torch is loaded; others are below
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


# ------------------------------------------------------------------------------------ small pieces


def test_long_and_short_forms_of_a_flag_are_one() -> None:
    short = lex(["--model.prior=X", "--model.prior.dim", "-1"])
    long = lex(["--model.prior.class_path", "X", "--model.init_args.prior.init_args.dim=-1"])
    assert layer({}, short.values) == layer({}, long.values)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_side_by_side_are_one_picture(channels: int) -> None:
    images = np.linspace(0, 1, 5 * channels * 16).reshape(5, channels, 4, 4)
    picture = np.atleast_3d(np.asarray(grid(images)))
    assert picture.shape[2] == channels
    times = picture.shape[1] // 14  # three images of 4 and two lines between
    small = picture[::times, ::times]
    assert small.shape[:2] == (9, 14)
    for at, image in enumerate(images):
        top, left = at // 3 * 5, at % 3 * 5
        shown = small[top : top + 4, left : left + 4]
        assert (shown == np.round(255 * image.transpose(1, 2, 0))).all()

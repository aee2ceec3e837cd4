"""Completion: the scripts, run by the shells they are for, and what they hold against the truth."""

import os
import select
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from pyrovae.__main__ import VERBS, main
from pyrovae.cli.arguments import Parser
from pyrovae.cli.errors import UsageError
from pyrovae.cli.flags import lex
from pyrovae.cli.grammar import grammar
from pyrovae.cli.settings import options, read_settings
from pyrovae.config import arguments, choices, of_room, own_arguments
from pyrovae.data import NAMES, Transform
from pyrovae.declared import Declared
from pyrovae.priors import Prior

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script for each shell, in a file."""
    folder = tmp_path_factory.mktemp("scripts")
    found = {}
    for shell in SHELLS:
        with pytest.MonkeyPatch.context() as patch:
            printed: list[str] = []
            patch.setattr("builtins.print", lambda text, end, to=printed: to.append(text))
            assert main(["completion", shell]) == 0
        found[shell] = folder / f"pyrovae.{shell}"
        found[shell].write_text("".join(printed))
    return found


def shell_of(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture(autouse=True)
def in_a_folder_with_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for run in ("runs/digits-1/model", "runs/digits-2/model", "runs/my vamp/model", "runs/no-run"):
        Path(run).mkdir(parents=True)
    Path("elsewhere").mkdir()
    Path("run.yaml").write_text("")
    Path("x y.npz").write_text("")


# -------------------------------------------------------------------------------------------- bash

_ASK = """
source "$1"
shift
COMP_WORDS=(pyrovae "$@") COMP_CWORD=$#
_pyrovae
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
"""


def asked(script: Path, *words: str) -> list[str]:
    """Return what bash offers for the last word; a bash that finds no other program at all."""
    done = subprocess.run(
        [shell_of("bash"), "--norc", "-uc", _ASK, "bash", str(script), *words],
        capture_output=True,
        check=True,
        text=True,
        env={"PATH": ""},
    )
    assert not done.stderr
    return done.stdout.splitlines()


ALL_SPLITS = ["train", "valid", "test"]
PRIORS = list(of_room("priors"))
ANY_PRIOR = [  # of whatever prior a file names
    *dict.fromkeys(f"--model.prior.{a}" for p in choices(Prior).values() for a in own_arguments(p)),
    "--model.prior.help",
]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["t"], ["train"]),
        (["help", "e"], ["evaluate", "encode"]),
        (["sample", ""], ["runs/digits-1", "runs/digits-2", "runs/my\\ vamp"]),
        (["sample", "runs/digits-2"], ["runs/digits-2"]),
        (["sample", "else"], ["elsewhere"]),
        (["encode", "runs/digits-1", "--sp"], ["--split"]),
        (["encode", "--split", ""], [*ALL_SPLITS, "all"]),
        (["encode", "--split", "t"], ["train", "test"]),
        (["encode", "--split", "=", "t"], ["train", "test"]),  # as readline cuts it
        (["encode", "--split", "="], [*ALL_SPLITS, "all"]),
        (["encode", "--split=t"], ["--split=train", "--split=test"]),
        (["encode", "--split", "all", ""], ["runs/digits-1", "runs/digits-2", "runs/my\\ vamp"]),
        (["encode", "--draw", "runs/d"], ["runs/digits-1", "runs/digits-2"]),
        (["completion", ""], list(SHELLS)),
        (["parts", "--room", "pr"], ["priors"]),
        (["train", "--e"], ["--epochs", "--ema"]),
        (["train", "--batch-"], ["--batch-size"]),
        (["train", "--batch_"], ["--batch_size"]),
        (["train", "--config", "run"], ["run.yaml", "runs"]),
        (["train", "--config", "=", "run."], ["run.yaml"]),
        (["train", "--out", "el"], ["elsewhere"]),
        (["train", "--data", "m"], ["mnist"]),
        (["train", "--data", "x"], ["x y.npz"]),
        (["train", "--model.prior", ""], PRIORS),
        (["train", "--model.prior", "V"], ["VampPrior"]),
        (["train", "--model.prior.help", "V"], ["VampPrior"]),
        (["train", "--model.prior.comp"], ["--model.prior.components"]),
        (
            ["train", "--model.pr"],
            ["--model.prior", "--model.prior.dim", "--model.prior.help"],  # of a StandardNormal
        ),
        (
            ["train", "--model.prior", "VampPrior", "--model.prior."],
            ["--model.prior.dim", "--model.prior.components", "--model.prior.help"],
        ),
        (
            ["train", "--model.prior=pyrovae.priors.VampPrior", "--model.pri"],
            ["--model.prior", *(f"--model.prior.{name}" for name in ("dim", "components", "help"))],
        ),
        (
            ["train", "--config", "run.yaml", "--model.prior."],  # whatever the file names
            ANY_PRIOR,
        ),
        (["train", "--objective.beta.st"], ["--objective.beta.start", "--objective.beta.steps"]),
        (["train", "--objective.kl", "an"], ["analytic"]),
        (["train", "--optimizer", "SG"], ["SGD"]),
        (["train", "--optimizer", "SGD", "--optimizer.mom"], ["--optimizer.momentum"]),
        (["train", "--optimizer.nest"], ["--optimizer.nesterov"]),
        (["train", "--optimizer.nesterov", ""], ["true", "false"]),
        (["train", "--scheduler.T_m"], ["--scheduler.T_max", "--scheduler.T_mult"]),
        (["train", "--data.pa"], ["--data.path"]),
        (["train", "--data.root", "el"], ["elsewhere"]),
        (["train", "--print_config", "--see"], ["--seed"]),
        (["train", "--tensorboard", "--see"], ["--seed"]),  # which does without a value
        (["train", "--tensorboard", "--seed", "3", "--model.prior", "V"], ["VampPrior"]),
        (["train", "--report", ""], ["true", "false"]),
        (["train", "--resume", "runs/digits-1"], ["runs/digits-1"]),
        (["train", "--resume=runs/digits-1", "--epo"], ["--epochs"]),
        (["train", "--precision", "b"], ["bf16-mixed"]),
        (["compare", "--se"], ["--seeds"]),
        (["compare", "--no-"], ["--no-baselines"]),
        (["compare", "--no_baselines", "--model.prior", "V"], ["VampPrior"]),
        (["compare", "--model.prior=VampPrior", "--model.prior.c"], ["--model.prior.components"]),
        (["compare", "--vary", "model.prior=A", "--config", "run."], ["run.yaml"]),
        (["train", "--epochs", ""], []),
        (["train", "--nothing.of.the.kind"], []),
        (["nothing", ""], []),
    ],
)
def test_bash_offers(words: list[str], offered: list[str], scripts: dict[str, Path]) -> None:
    assert sorted(asked(scripts["bash"], *words)) == sorted(offered)


def test_bash_offers_every_verb_and_every_flag(scripts: dict[str, Path]) -> None:
    assert asked(scripts["bash"], "") == ["help", *VERBS]
    assert {f"--{name}" for name in arguments(options)} < set(asked(scripts["bash"], "train", "--"))
    for verb in VERBS:
        if verb != "train":
            flags = asked(scripts["bash"], verb, "--")
            actions = import_module(f"pyrovae.cli.{verb}").parser()._actions
            own = [action.option_strings[-1] for action in actions if action.option_strings]
            if verb == "compare":  # and the settings of a run, but for the seed
                own += [f"--{name}" for name in arguments(options) if name != "seed"]
            assert flags == own


def test_without_runs_folders_are_offered(scripts: dict[str, Path]) -> None:
    shutil.rmtree("runs")
    assert asked(scripts["bash"], "sample", "") == ["elsewhere"]


# ------------------------------------------------------------------------------- against the truth


def problems(words: list[str]) -> list[str]:
    """Return what `train` finds wrong with its words, without doing anything."""
    try:
        read_settings(lex(words))
    except UsageError as error:
        return error.problems
    return []


def test_every_word_is_one_that_train_takes() -> None:
    """Of each class that can be named at a path, each argument that is offered is one it has."""
    whole = grammar(VERBS)
    looked = 0
    named = whole.below.items()
    for (verb, path, chosen), names in named:
        if verb != "train" or not chosen or chosen in NAMES:
            continue
        parents = path.split(".")[:-1]
        above = [".".join(parents[: at + 1]) for at in range(len(parents))]
        parts = path.split(".")[1:]
        taking = [
            next(
                c for (v, a, c), below in whole.below.items() if (v, a) == (verb, at) and n in below
            )
            for at, n in zip(above, parts, strict=True)
        ]
        words = [f"--{at}={c}" for at, c in zip(above, taking, strict=True)]
        words.append(f"--{path}={chosen}")
        if "help" in names:
            assert main(["train", f"--{path}.help", chosen]) == 0
        flags = [f"--{path}.{name}=?" for name in names if name != "help"]
        said = problems([*words, *flags])
        assert not any("has no argument" in line for line in said), said
        looked += len(flags)
    assert looked > 200
    assert "has no argument" in problems(["--model.prior=VampPrior", "--model.prior.dimm=?"])[0]


def test_every_part_and_every_argument_is_there() -> None:
    whole = grammar(VERBS)
    for name, prior in choices(Prior).items():
        assert whole.below["train", "model.prior", name] == [*own_arguments(prior), "help"]
    offered = {word for words in whole.values.values() for word in words}
    assert set(choices(Declared)) - set(choices(Transform)) <= offered
    assert {"Adam", "AdamW", "SGD"} <= set(whole.values["train", "optimizer"])
    assert {"lr", "betas"} <= set(whole.below["train", "optimizer", "Adam"])
    assert "params" not in whole.below["train", "optimizer", ""]  # what `fit` gives by itself


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "train"])
def test_every_small_verb_has_a_parser(verb: str) -> None:
    module = import_module(f"pyrovae.cli.{verb}")
    assert isinstance(module.parser(), Parser)
    assert callable(module.run)


# --------------------------------------------------------------------------------- typed by a user


_TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"  # a process of its own: forking is unsafe


def typed(command: list[str], setup: str, lines: list[str]) -> str:
    """Type lines into an interactive shell, one behind the other, and return all that it shows."""
    env = {"PATH": os.environ["PATH"], "HOME": os.getcwd(), "TERM": "dumb", "COLUMNS": "200"}
    shell = subprocess.Popen(
        [sys.executable, "-c", _TERMINAL, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    shown = b""
    try:
        for at, line in enumerate([f"{setup}; echo '>'END", *lines]):
            shell.stdin.write(f"{line}\n".encode())
            shell.stdin.flush()
            end = time.monotonic() + 30.0
            while shown.count(b">END") <= at and time.monotonic() < end:
                if select.select([shell.stdout], [], [], 0.1)[0]:
                    shown += os.read(shell.stdout.fileno(), 65536)
    finally:
        shell.kill()
        shell.communicate()
    return shown.decode(errors="replace")


TYPED = [
    ("pyrovae enc\t runs/digits-1 --spl\t v\t", "GOT<encode><runs/digits-1><--split><valid>"),
    ("pyrovae sample runs/my\t --me\t", "GOT<sample><runs/my vamp><--mean>"),
    ("pyrovae train --model.prior=V\t --batch-s\t 3", "--model.prior=VampPrior><--batch-size><3>"),
    ("pyrovae train --model.prior.comp\t 3", "GOT<train><--model.prior.components><3>"),
    ("pyrovae train --mod\t", "GOT<train><--model>"),
    ("pyrovae train --config run.\t --data x\t", "GOT<train><--config><run.yaml><--data><x y.npz>"),
]
_PRINT = "printf GOT; printf '<%s>' "
SETUPS = {  # an interactive shell that is asked what words it got
    "bash": (
        ["--norc", "--noprofile", "-i"],
        f'source {{}}; pyrovae() {{{{ {_PRINT}"$@"; echo END; }}}}',
    ),
    "zsh": (
        ["-f", "-i"],
        "autoload -U compinit; compinit -u; "
        f'source {{}}; pyrovae() {{{{ {_PRINT}"$@"; echo END }}}}',
    ),
    "fish": (
        ["--no-config", "--private", "-i"],
        f"source {{}}; function pyrovae; {_PRINT}$argv; echo END; end",
    ),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_user_types_is_completed(shell: str, scripts: dict[str, Path]) -> None:
    command, setup = SETUPS[shell]
    setup = setup.format(scripts[shell])
    shown = typed([shell_of(shell), *command], setup, [line for line, _ in TYPED])
    for _, expected in TYPED:
        assert expected in shown, shown


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_for_its_shell(shell: str, scripts: dict[str, Path]) -> None:
    subprocess.run([shell_of(shell), "-n", str(scripts[shell])], check=True)


def test_fish_offers(scripts: dict[str, Path]) -> None:
    asks = {
        "pyrovae train --model.prior ": PRIORS,
        "pyrovae train --model.prior=V": ["--model.prior=VampPrior"],
        "pyrovae sample ": ["runs/digits-1", "runs/digits-2", "runs/my vamp"],
        "pyrovae train --data mnist --data.b": ["--data.binarize"],
        "pyrovae train --tensorboard --see": ["--seed"],
        "pyrovae train --nothing": [],
    }
    for line, offered in asks.items():
        ask = f"source $argv[1]; complete -C '{line}'"
        done = subprocess.run(
            [shell_of("fish"), "--no-config", "-c", ask, str(scripts["fish"])],
            capture_output=True,
            check=True,
            text=True,
        )
        assert sorted(done.stdout.splitlines()) == offered, line


# ------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["completion"], "SHELL is missing: bash, zsh, fish"),
        (["completion", "tcsh"], "expected one of bash, zsh, fish; got 'tcsh'"),
        (["completion", "bash", "zsh"], "unexpected 'zsh'"),
    ],
)
def test_mistakes(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_help_says_where_the_script_goes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "completion"]) == 0
    text = capsys.readouterr().out
    for place in ("~/.bashrc", "~/.zshrc", "~/.config/fish/completions/pyrovae.fish"):
        assert place in text

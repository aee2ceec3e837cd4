"""The catalogue of bad inputs: the words of the command line, flags and their values."""

import sys
from pathlib import Path

import pytest
from catalogue import Capture, Stage, case, refused, stage

from pyrovae.__main__ import main

LONG = "a" * 5000

TRAP = "raise SystemExit('imported')"
PARTS = """
from pyrovae.priors import Prior, StandardNormal

class NoPart: pass
class Mine(StandardNormal): pass
class Keys(Prior):
    def __init__(self, dim: int = 3): raise KeyError("lost")
    def forward(self, context): ...
class Zero(Prior):
    def __init__(self, dim: int = 3):
        super().__init__()
        self.dim, self.event_shape = dim, (dim,)
    def forward(self, context): return 1 / 0
class Nothing(Zero):
    def forward(self, context): return None
def function(): ...
"""


def text(content: str) -> Stage:
    """Return a stage that writes a text file."""
    return lambda path: path.write_text(content, encoding="utf-8")


STAGES: dict[str, Stage] = {
    "file": text("x"),
    "empty": lambda path: path.mkdir(),
    "full": lambda path: (path / "run").mkdir(parents=True),
}

VERBS = [
    case("trian", "did you mean 'train'?"),
    case("TRAINN", "'TRAINN'", "did you mean 'train'?"),
    case("''", "there is no verb ''", "among train, compare, evaluate"),
    case("--epochs 3", "'--epochs'", "verb"),
    case("help trian", "'trian'", "did you mean 'train'?"),
    case("parts --room prior", "'prior'", "did you mean 'priors'?"),
    case("parts --room rooms", "'rooms'", "priors, likelihoods"),
    case("parts --rom priors", "'--rom'", "did you mean '--room'?"),
    case("parts priors", "unexpected 'priors'", "pyrovae"),
    case("completion tcsh", "'tcsh'", "expected one of bash, zsh, fish"),
    case("completion bahs", "'bahs'", "did you mean 'bash'?"),
    case("completion", "SHELL is missing", "bash, zsh, fish"),
]

WORDS = [
    case("train 3", "'3'", "a value follows its flag"),
    case("train epochs=3", "'epochs=3'", "a value follows its flag"),
    case("train -epochs 3", "'-epochs'", "a value follows its flag"),
    case("train --", "'--'", "a value follows its flag"),
    case("train --.epochs=3", "'--.epochs=3'", "a value follows its flag"),
    case("train --model..prior=X", "'--model..prior=X'", "a value follows its flag"),
    case("train --model.encoder.hidden 8 8", "'8'", "a list is one word [1,2]"),
    case("train --epochs", "--epochs", "a value must follow"),
    case("train --complie", "--complie: a value must follow", "did you mean 'compile'?"),
    case("train --compile maybe", "compile", "'maybe'", "true or false or one of 'auto'"),
    case("train --epochs=", "--epochs", "a value must follow"),
    case("train --model.encoder ''", "--model.encoder", "a value must follow"),
    case("train --out ''", "--out", "a value must follow"),
    case("train --print_confg", "--print_confg", "did you mean 'print_config'?"),
    case("train --epoch 3", "'epoch'", "did you mean 'epochs'?"),
    case("train --epoch 3 --batch-sise 4", "'epochs'?\nbatch_sise: ", "did you mean 'batch_size'?"),
    case("train --epoch 1 --batch_sise 2 --sed 3 --prise 4", "'epoch'", "... and 2 more problems"),
    case("train --épochs 3", "'épochs'", "did you mean 'epochs'?"),
    case("train --wolves 3", "'wolves'", "there are: data, model, objective, features"),
    case(f"train --{LONG} 3", "aaaa", "precision, compile, samples"),
    case("train --prior.help VampPri", "'VampPri'", "did you mean 'VampPrior'?"),
    case("train --prior.help", "--prior.help", "such as VampPrior"),
]

NUMBERS = [
    case("train --epochs many", "'many'", "expected an integer"),
    case("train --epochs 1.5", "'1.5'", "expected an integer"),
    case("train --epochs 1e3", "'1e3'", "expected an integer"),
    case("train --epochs nan", "'nan'", "expected an integer"),
    case("train --epochs 1e400", "'1e400'", "expected an integer"),
    case("train --epochs true", "'true'", "expected an integer"),
    case("train --epochs [1]", "'[1]'", "expected an integer"),
    case("train --batch_size null", "'null'", "expected an integer"),
    case(f"train --epochs {'9' * 5000}", "99999", "expected an integer"),
    case("train --epochs '3\n4'", r"'3\n4'", "expected an integer"),
    case("train --epochs 0", "got 0", "at least 1"),
    case("train --epochs -0", "got 0", "at least 1"),
    case("train --epochs -3 --out empty", "got -3", "at least 1"),
    case("train --epochs 99999999999", "got 99999999999", "below 2**31"),
    case("train --batch_size 0", "batch_size", "got 0", "at least 1"),
    case("train --samples 0", "samples", "got 0", "at least 1"),
    case("train --samples -5", "got -5", "at least 1"),
    case("train --warmup -1", "warmup", "got -1", "at least 0"),
    case("train --patience 1.5", "'1.5'", "expected an integer or null"),
    case("train --patience -1", "got -1", "at least 0"),
    case("train --seed -1", "got -1", "from 0 to 2**63 - 1"),
    case("train --seed 99999999999999999999", "got 99999999999999999999", "2**63 - 1"),
    case("train --clip 0", "clip", "got 0.0", "positive norm"),
    case("train --clip inf", "'inf'", "expected a number or null"),
    case("train --clip 1e400", "got inf", "positive norm"),
    case("train --clip .nan", "got nan", "positive norm"),
    case("train --ema 1", "got 1.0", "in [0, 1)"),
    case("train --ema [0.9,0.99]", "'[0.9,0.99]'", "expected a number or null"),
    case("train --report maybe", "'maybe'", "expected true or false"),
    case("train --precision 16", "'16'", "'32-true', 'bf16-mixed'"),
    case("train --precision bf16", "'bf16'", "did you mean 'bf16-mixed'?"),
    case("train --device cdua", "'cdua'", "auto, cpu, cuda, gpu, mps"),
    case("train --device cpu:3", "'cpu:3'", "such as cuda:1"),
    case("train --device cuda:99", "'cuda:99' cannot be used here", "there are cpu"),
]

PLACES = [
    case("train --out file", "file is a file", "choose another place"),
    case("train --out file/run", "file/run: no folder can be made", "choose another place"),
    case("train --out full", "full exists and is not empty", "choose another --out"),
    case("train --out /dev/null/run", "/dev/null is a file", "choose another place"),
    case("train --out /proc/run", "/proc/run: no folder can be made", "choose another place"),
    case(f"train --out {LONG}", "File name too long", "choose another place"),
    case(f"train --out a/b/{LONG}", "File name too long", "choose another place"),
]

OWN = [
    case("train --model.prior mine.Mine", "'mine.Mine' lies outside pyrovae", "--allow mine"),
    case("train --model.prior trap.Mine", "'trap.Mine' lies outside pyrovae", "--allow trap"),
    case("train --model.prior .Mine", "'.Mine'", "there are: BernoulliCode"),
    case("train --model.prior mine.py", "'mine.py' lies outside", "--allow mine"),
    case("train --allow mine.py --model.prior mine.Mine", "'mine.py'", "package or module, mine"),
    case("train --allow mines", "no package 'mines' is installed here", "nor in"),
    case("train --allow ''", "--allow", "a value must follow"),
    case("train --allow mine --model.prior mine.Mini", "'Mini'", "did you mean 'Mine'?"),
    case("train --allow mine --model.prior mine.NoPart", "'mine.NoPart'", "the kind Prior"),
    case("train --allow mine --model.prior mine.function", "'mine.function'", "the kind Prior"),
    case("train --allow mine --model.posterior mine.Mine", "'mine.Mine'", "the kind Posterior"),
    case("train --allow mine --model.prior mine.Keys", "Keys(dim=3)", "KeyError: 'lost'"),
    case("train --allow mine --model.prior mine.Zero", "Zero()", "division by zero"),
    case("train --allow mine --model.prior mine.Nothing", "NoneType", "a Pyro distribution"),
    case("train --allow trap --model.prior trap.Mine", "'trap' cannot be", "SystemExit: imported"),
    case("train --allow boom --model.prior boom.Mine", "'boom' cannot be", "RuntimeError: boom"),
    case("train --allow wrong --model.prior wrong.Mine", "SyntaxError", "wrong.py, line 1"),
    case("train --model.prior pyrovae.priors.Prior", "'pyrovae.priors.Prior'", "the kind Prior"),
    case("train --model.prior pyrovae.priors.Nope", "'Nope'", "there are: BernoulliCode"),
    case("train --model.prior pyrovae.cli.train.run", "is no part", "pyrovae.priors"),
    # values are read without importing what they name
    case("train --optimizer.lr trap.Mine", "'trap.Mine'", "expected a number"),
    case(
        "train --scheduler SequentialLR --scheduler.schedulers [trap.Mine] "
        "--scheduler.milestones [1]",
        "a list of values, which no text can give",
        "give it in Python",
    ),
    case("train --scheduler LambdaLR --scheduler.lr_lambda trap.f", "a function", "in Python"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, code in {"mine": PARTS, "trap": TRAP, "boom": "raise RuntimeError('boom')"}.items():
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "wrong.py").write_text("def f(:\n")
    return tmp_path


@pytest.mark.parametrize(("words", "said"), [*VERBS, *WORDS, *NUMBERS, *PLACES, *OWN])
def test_it_is_refused(words: list[str], said: list[str], folder: Path, capsys: Capture) -> None:
    stage(words, STAGES, folder)
    refused(words, said, capsys, folder)


def test_a_traceback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYROVAE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="got 0"):
        main(["train", "--epochs", "0"])


def test_what_nobody_foresaw_is_said_in_two_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def lost(tree: object) -> None:
        raise LookupError("lost\nand more of it")

    monkeypatch.setattr("pyrovae.cli.train.check_numbers", lost)
    assert main(["train"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "pyrovae: LookupError: lost"
    assert f"{__file__}, line " in lines[1]
    assert len(lines) == 2

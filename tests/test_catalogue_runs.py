"""The catalogue of bad inputs: run folders, after --resume and the verbs that read them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from catalogue import Capture, Stage, case, refused, stage
from safetensors.torch import load_file, save_file

from pyrovae.__main__ import main

TRAIN = "train --data rows.npy --out RUN --epochs 1 --samples 5 --report false --model.prior.dim 2"
TRAIN += " --model.encoder.hidden 4 --model.decoder.hidden 4"
MODEL = "model/weights.safetensors"
ELSEWHERE = "train anew with its settings, into another folder"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in it, trained once for all rows."""
    folder = tmp_path_factory.mktemp("trained")
    np.save(folder / "rows.npy", np.random.default_rng(0).normal(size=(100, 3)))
    np.save(folder / "wide.npy", np.random.default_rng(0).normal(size=(100, 5)))
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(TRAIN.split()) == 0
    finally:
        os.chdir(before)
    return folder


def state(run: Path, name: str) -> Path:
    """Return a file of the latest checkpoint."""
    return sorted((run / "checkpoint").iterdir())[-1] / name


def replaced(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def with_nan(path: Path) -> None:
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("1.weight"))
    save_file(tensors | {name: tensors[name] * float("nan")}, path)


def without_one(path: Path) -> None:
    tensors = load_file(path)
    del tensors["encoder_network.network.1.weight"]
    save_file(tensors, path)


# what is done to a copy of the run, by the name of the copy
DAMAGE: dict[str, Callable[[Path], object]] = {
    "CUT": lambda run: cut(state(run, "state.json")),
    "CUT_STATE": lambda run: cut(state(run, "state.safetensors")),
    "NO_STATE": lambda run: state(run, "state.safetensors").unlink(),
    "ODD": lambda run: state(run, "state.json").write_text("[1, 2]"),
    "LATER": lambda run: replaced(state(run, "state.json"), '"format": 1', '"format": 7'),
    "BARE": lambda run: (run / "config.yaml").unlink(),
    "BROKEN": lambda run: (run / "config.yaml").write_text("data: ["),
    "LISTED": lambda run: (run / "config.yaml").write_text("- data"),
    "RESEEDED": lambda run: replaced(run / "config.yaml", "seed: 0\noptim", "seed: 5\noptim"),
    "WIDER": lambda run: replaced(run / "config.yaml", "hidden: [4]", "hidden: [5]"),
    "MOVED": lambda run: replaced(run / "config.yaml", "rows.npy", "gone.npy"),
    "UNTESTED": lambda run: replaced(run / "config.yaml", "test: 0.1", "test: 0"),
    "NO_MODEL": lambda run: shutil.rmtree(run / "model"),
    "NOTHING": lambda run: [shutil.rmtree(run), run.mkdir()],
    "CUT_MODEL": lambda run: cut(run / MODEL),
    "EMPTY_MODEL": lambda run: (run / MODEL).write_bytes(b""),
    "NAN_MODEL": lambda run: with_nan(run / MODEL),
    "LESS_MODEL": lambda run: without_one(run / MODEL),
    "LATER_MODEL": lambda run: replaced(run / "model/config.yaml", "format: 1", "format: 9"),
    "ODD_MODEL": lambda run: replaced(run / "model/config.yaml", "StandardNormal", "StandrdNormal"),
    "OWN_MODEL": lambda run: replaced(
        run / "model/config.yaml", "pyrovae.priors.StandardNormal", "nobodys.Prior"
    ),
    "LINKED_MODEL": lambda run: [
        (run / MODEL).rename(run / "elsewhere"),
        (run / MODEL).symlink_to(run.resolve() / "elsewhere"),
    ],
}
FILES: dict[str, Stage] = {
    "file": lambda path: path.write_text("x"),
    "folder.npy": lambda path: path.mkdir(),
}

RESUME = [
    case("train --resume nowhere", "there is no run folder nowhere", "there are RUN"),
    case("train --resume RNU", "RNU", "did you mean 'RUN'?"),
    case("train --resume file", "file is a file", "expected the folder of a run"),
    case("train --resume NOTHING", "NOTHING holds no config.yaml", "fit(resume=...)"),
    case("train --resume BARE", "BARE holds no config.yaml", "fit(resume=...)"),
    case("train --resume BROKEN", "BROKEN/config.yaml cannot be read", "line 1, column"),
    case("train --resume LISTED", "LISTED/config.yaml is no configuration", "settings by name"),
    case("train --resume RUN --seed 3", "got --seed", "only --epochs"),
    case("train --resume RUN --out X", "got --out", "only --epochs"),
    case("train --resume RUN --data wide.npy --clip 1", "got --data, --clip", "only --epochs"),
    case("train --resume RUN --epoch 3", "got --epoch", "did you mean 'epochs'?"),
    case("train --resume RUN --epochs 0", "got 0", "at least 1"),
    case("train --resume RUN --device cdua", "'cdua'", "auto, cpu, cuda"),
    case("train --resume CUT", "state.json is damaged", ELSEWHERE),
    case("train --resume CUT_STATE", "state.safetensors is damaged", ELSEWHERE),
    case("train --resume NO_STATE", "state.safetensors is missing", ELSEWHERE),
    case("train --resume ODD", "has format None", "reads 1"),
    case("train --resume LATER", "has format 7", "with the pyrovae that wrote it"),
    case("train --resume RESEEDED", "has seed 0; got 5", "the settings it was begun with"),
    case("train --resume WIDER", "[5, 3]", "[4, 3]"),
    case("train --resume MOVED", "there is no file gone.npy", "check the path"),
]

READING = [
    case("evaluate", "RUN is missing", "the run folder, or a model folder"),
    case("evaluate nowhere", "there is no run folder nowhere", "there are RUN"),
    case("evaluate RNU", "RNU", "did you mean 'RUN'?"),
    case("evaluate file", "file is a file", "expected the folder of a run"),
    case("evaluate NOTHING", "NOTHING holds no trained model", "it is no run folder"),
    case("evaluate NO_MODEL", "NO_MODEL holds no", "go on with pyrovae train --resume NO_MODEL"),
    case("evaluate BROKEN", "BROKEN/config.yaml cannot be read", "line 1, column"),
    case("evaluate RUN/model", "on which data", "name them by --data"),
    case("evaluate BARE", "on which data", "name them by --data"),
    case("evaluate MOVED", "there is no file gone.npy", "check the path"),
    case(
        "evaluate CUT_MODEL", "CUT_MODEL/model/weights.safetensors is damaged", "within its header"
    ),
    case(
        "evaluate EMPTY_MODEL",
        "EMPTY_MODEL/model/weights.safetensors is damaged",
        "within its header",
    ),
    case("evaluate NAN_MODEL", "is nan in 8 of 8 numbers", "after a training that failed"),
    case("evaluate LESS_MODEL", "'encoder_network.network.1.weight' [4, 3]", "is missing"),
    case("evaluate LATER_MODEL", "has format 9", "install a later pyrovae"),
    case("evaluate ODD_MODEL", "'StandrdNormal'", "did you mean 'StandardNormal'?"),
    case("evaluate OWN_MODEL", "'nobodys.Prior' lies outside pyrovae", "--allow nobodys"),
    case("evaluate OWN_MODEL --allow nobodys", "no package 'nobodys'", "is installed here"),
    case("evaluate LINKED_MODEL", "is a link that leads elsewhere", "put what it leads to there"),
    case("evaluate RUN RUN", "unexpected 'RUN'", "pyrovae"),
    case("evaluate RUN --split tset", "'tset'", "did you mean 'test'?"),
    case("evaluate RUN --split all", "'all'", "expected one of train, valid, test"),
    case("evaluate UNTESTED", "keeps no test split", "choose another --split"),
    case("evaluate RUN --samples 0", "'0'", "a positive integer"),
    case("evaluate RUN --samples abc", "'abc'", "a positive integer"),
    case("evaluate RUN --samples 1e3", "'1e3'", "a positive integer"),
    case("evaluate RUN --samples", "--samples", "a value must follow"),
    case("evaluate RUN --seed -1", "'-1'", "from 0 to 2**63 - 1"),
    case("evaluate RUN --sampels 3", "'--sampels'", "did you mean '--samples'?"),
    case("evaluate RUN --sampels 3 --sed 4", "'--samples'?\n", "did you mean '--seed'?"),
    case("evaluate RUN --data mnits", "'mnits'", "did you mean 'mnist'?"),
    case("evaluate RUN --data wide.npy", "[batch, 3]", "got [batch, 5]"),
    case("evaluate RUN --data digits", "[batch, 3]", "got [batch, 1, 8, 8]"),
    case("evaluate RUN --device cuda:99", "'cuda:99' cannot be used here", "there are cpu"),
]

WRITING = [
    case("sample RUN --n 0", "'0'", "a positive integer"),
    case("sample RUN --n abc", "'abc'", "a positive integer"),
    case("sample RUN --n 99999999999", "'99999999999'", "below 2**31"),
    case("sample RUN --seed 1.5", "'1.5'", "from 0 to 2**63 - 1"),
    case("sample RUN --out x.jpg", "x.jpg", ".png or .npy or .npz"),
    case("sample RUN --out x.png", "data of shape [3] are no images", ".npy file"),
    case("sample RUN --out folder.npy", "folder.npy is a folder", "expected a file"),
    case("sample RUN --out file/x.npy", "file is a file", "choose another place"),
    case("sample RUN --out /proc/x.npy", "/proc/x.npy cannot be written", "No such file"),
    case("sample RUN --means", "'--means'", "did you mean '--mean'?"),
    case("sample RUN --mean true", "unexpected 'true'", "pyrovae"),
    case("sample CUT_MODEL", "CUT_MODEL/model/weights.safetensors is damaged", "within its header"),
    case("reconstruct", "RUN is missing", "the run folder"),
    case("reconstruct RUN --n 999", "got 999", "the test split has 10 data"),
    case("reconstruct RUN --out x.npx", "x.npx", ".npz"),
    case("reconstruct RUN --out x.png", "data of shape [3] are no images", ".npz file"),
    case("reconstruct RUN --data digits", "[batch, 3]", "got [batch, 1, 8, 8]"),
    case("reconstruct NAN_MODEL", "is nan in 8 of 8 numbers", "after a training that failed"),
    case("encode RUN --out x.json", "x.json", ".npz or .csv"),
    case("encode RUN --samples 1", "'1'", "at least 2"),
    case("encode RUN --split tset", "'tset'", "did you mean 'test'?"),
    case("encode RUN --data wide.npy", "[batch, 3]", "got [batch, 5]"),
    case("encode NO_MODEL", "NO_MODEL holds no", "go on with pyrovae train --resume NO_MODEL"),
    case("report", "RUN is missing", "the run folders"),
    case("report nowhere", "there is no run folder nowhere", "there are RUN"),
    case("report RNU", "RNU", "did you mean 'RUN'?"),
    case("report RUN file", "file is a file", "the folder of a run"),
    case("report NOTHING", "NOTHING", "expected a run folder with metrics.jsonl"),
    case("report RUN --out x.pdf", "x.pdf", "ending in .html"),
    case("report RUN --out file/x.html", "file is a file", "choose another place"),
]


@pytest.mark.parametrize(("words", "said"), [*RESUME, *READING, *WRITING])
def test_it_is_refused(
    words: list[str],
    said: list[str],
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    folder = tmp_path / "here"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    for name, damage in DAMAGE.items():
        if name in words:
            shutil.copytree("RUN", name)
            damage(Path(name))
    stage(words, FILES, folder)
    refused(words, said, capsys, folder)

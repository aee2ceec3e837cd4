"""Images by command: a folder of files, a data set of torchvision, and every mistake in a line."""

import json
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyrovae.__main__ import main
from pyrovae.config import parse
from pyrovae.data import pictures
from pyrovae.saving import load

SMALL = ["--model.encoder.hidden", "[4]", "--model.decoder.hidden", "[4]", "--samples", "3"]
SMALL += ["--epochs", "2", "--model.prior.dim", "2", "--batch_size", "8", "--report", "false"]

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def images() -> Path:
    """Twenty images in two classes, 6 high and 5 wide, in colour."""
    own = np.random.default_rng(0)
    for at in range(20):
        path = Path("images", "ab"[at % 2], f"{at}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(own.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(path)
    return Path("images")


def mistakes(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must be refused, and return what it wrote to standard error."""
    capsys.readouterr()
    assert main(words) == 2
    printed = capsys.readouterr()
    assert 1 <= len(printed.err.splitlines()) <= 3
    assert printed.err.startswith("pyrovae: ")
    assert "Traceback" not in printed.err
    return printed.err


@pytest.mark.parametrize("memory", [2**30, 0])
def test_a_folder_is_trained_on(
    images: Path,
    memory: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "MEMORY", memory)
    words = ["--report", "true"] if memory == 0 else []  # whose pictures come from the disk
    assert main(["train", "--data", "images/", *SMALL, *words]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "16 x [3, 6, 5], images/ (2 classes), levels 0..255: training" in printed.out
    assert ("read from the disk" in printed.out) == (memory == 0)
    assert (
        "likelihood DiscretizedLogisticMixture, because levels 0..255 of a pixel vary as"
        in printed.out
    )
    model = load("runs/images-1/model")
    assert repr(model.likelihood) == "DiscretizedLogisticMixture((3, 6, 5))"
    lines = Path("runs/images-1/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    first = json.loads(Path("runs/images-1/evaluation.json").read_text())
    assert main(["evaluate", "runs/images-1", "--samples", "3"]) == 0
    assert json.loads(Path("runs/images-1/evaluation.json").read_text()) == first
    assert main(["evaluate", "runs/images-1", "--data", "images", "--samples", "3"]) == 0
    assert main(["sample", "runs/images-1", "--n", "4"]) == 0
    assert Path("runs/images-1/samples.png").is_file()


def test_a_printed_configuration_gives_the_same_run(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", "images", "--data.size", "[4,3]", "--data.channels", "1"]
    words += ["--data.binarize", "fixed", "--data.valid", "3", *SMALL]
    assert main(["train", *words, "--print_config"]) == 0
    text = capsys.readouterr().out
    tree = parse(text)
    assert tree["data"]["class_path"] == "pyrovae.data.ImageFolder"
    assert tree["data"]["init_args"]["size"] == [4, 3]
    assert tree["model"]["init_args"]["likelihood"]["class_path"].endswith("Bernoulli")
    Path("run.yaml").write_text(text)
    assert main(["train", "--config", "run.yaml", "--print_config"]) == 0
    assert capsys.readouterr().out == text
    assert main(["train", *words, "--out", "A"]) == 0
    assert main(["train", "--config", "run.yaml", "--out", "B"]) == 0
    assert main(["train", "--config", "A/config.yaml", "--out", "C"]) == 0
    found = [Path(run, "metrics.jsonl").read_text().splitlines() for run in "ABC"]
    losses = [[json.loads(line)["train/loss"] for line in lines] for lines in found]
    assert losses[0] == losses[1] == losses[2]
    capsys.readouterr()
    Path("word.yaml").write_text("data: images/\nepochs: 3\n")
    assert main(["train", "--config", "word.yaml", "--data.size", "4", "--print_config"]) == 0
    assert parse(capsys.readouterr().out)["data"]["init_args"]["path"] == "images/"


def test_a_set_of_torchvision_is_trained_on(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "FakeData", "--data.options", "{size: 20, image_size: [1, 4, 4]}"]
    assert main(["train", *words, *SMALL, "--print_config"]) == 0
    text = capsys.readouterr().out
    data = parse(text)["data"]
    assert data["class_path"] == "pyrovae.data.TorchvisionImages"
    assert data["init_args"]["name"] == "FakeData"
    assert data["init_args"]["options"] == {"size": 20, "image_size": [1, 4, 4]}
    Path("run.yaml").write_text(text)
    assert main(["train", "--config", "run.yaml"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "16 x [1, 4, 4], FakeData, levels 0..255: training" in printed.out
    assert repr(load("runs/fakedata-1/model").likelihood).startswith(
        "DiscretizedLogisticMixture((1, 4, 4)"
    )
    assert main(["evaluate", "runs/fakedata-1", "--samples", "3"]) == 0


def test_what_is_known_without_the_files_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "SVHN", "--data.root", "/nonexistent", "--data.binarize", "dynamic"]
    words += ["--data.size", "16", "--data.channels", "1"]
    assert main(["train", *words, "--print_config"]) == 0
    assert "name: SVHN" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--data imags/", "there is no folder imags, seen from {here}; did you mean 'images'?"),
        ("--data imags", "got 'imags'; did you mean 'images'?"),
        ("--data CIFAR11", "got 'CIFAR11'; did you mean 'CIFAR10'?"),
        ("--data cifar10", "got 'cifar10'; did you mean 'CIFAR10'?"),
        ("--data ImageFoldr", "did you mean 'ImageFolder'?"),
        ("--data ImageFolder", "ImageFolder needs the path of a folder"),
        ("--data TorchvisionImages", "TorchvisionImages needs a name"),
        ("--data images/a/0.png", "images/a/0.png is a file and no folder"),
        ("--data empty/", "empty holds no image: images end in .bmp, .gif"),
        ("--data mixed/", "size=32, say, resizes"),
        ("--data grey/ --data.channels 2", "channels to be 1 for grey or 3 for coloured"),
        ("--data images/ --data.size 0", "data: ImageFolder expects size to be a positive integer"),
        ("--data images/ --data.size [1,2,3]", "data.size: expected an integer or a list of 2 int"),
        ("--data images/ --data.sise 3", "did you mean 'size'?"),
        ("--data images/ --data.binarize fix", "data.binarize: expected one of 'dynamic', 'fixed'"),
        ("--data images/ --data.valid 30", "cannot give 30 for validation"),
        ("--data broken/", "broken/1.png cannot be read as an image"),
        ("--data Kinetics", "Kinetics of torchvision is not read here: its data are videos"),
        ("--data EMNIST", "EMNIST of torchvision needs its 'split', one of byclass"),
        ("--data FakeData --data.options 3", "data.options: expected"),
        ("--data FakeData --data.options {sise:3}", "data.options: expected"),
        ("--data FakeData --data.options {'sise':3}", "did you mean 'size'?"),
        ("--data ImageNet --data.root nowhere", "torchvision does not download it: put its"),
        ("--data my.own --data.path x", "--allow my"),
    ],
)
def test_a_mistake_is_said_in_a_line(
    words: str, said: str, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("empty", "mixed", "grey", "broken"):
        Path(name).mkdir()
        for at in range(5 if name != "empty" else 0):
            Image.new("L", (at + 3 if name == "mixed" else 3, 3)).save(f"{name}/{at}.png")
    Path("broken/1.png").write_bytes(b"")
    said = said.replace("{here}", str(Path.cwd()))
    assert said in mistakes(capsys, "train", *words.split())
    assert not Path("runs").exists()


def test_black_and_white_images_are_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    own = np.random.default_rng(0)
    Path("glyphs").mkdir()
    for at in range(20):
        Image.fromarray(own.integers(0, 2, (4, 4)).astype(bool)).save(f"glyphs/{at}.png")
    assert main(["train", "--data", "glyphs/", *SMALL]) == 0
    assert "20 images looked at are black and white" in capsys.readouterr().out
    assert main(["train", "--data", "glyphs/", "--data.binarize", "fixed", *SMALL]) == 0
    assert "likelihood Bernoulli, because the pixels are binarised" in capsys.readouterr().out


def test_parts_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parts", "--room", "data"]) == 0
    listed = capsys.readouterr().out
    assert "  ImageFolder(path='', *, size=None, channels=None, " in listed
    assert "  TorchvisionImages(name='', *, root=None, size=None, " in listed
    for name in ("ImageFolder", "TorchvisionImages"):
        assert main(["train", "--data.help", name]) == 0
        assert "size: what images are resized and centre-cropped to" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    assert "a folder of images" in capsys.readouterr().out


class Refusing(MetaPathFinder):
    """Refuses to import torchvision, and remembers that it was asked to."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "torchvision":
            self.asked.append(name)
            raise ImportError(name)


def test_torchvision_stays_unloaded_where_it_is_not_needed(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That no module imports it at its top is a matter of test_house.py."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    finder = Refusing()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    for data in ("digits", "Digits", "images/", "images", "mnist"):
        assert main(["train", "--data", data, "--print_config"]) == 0
    assert capsys.readouterr().err == ""
    assert finder.asked == []
    main(["train", "--data", "FakeData", "--data.options", "{size: 9}", "--epochs", "1"])
    assert finder.asked  # it would have been seen

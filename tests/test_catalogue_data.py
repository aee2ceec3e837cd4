"""The catalogue of bad inputs: files and folders of data after --data."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalogue import Capture, Stage, case, refused, stage
from PIL import Image
from scipy.sparse import csr_matrix, save_npz

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 3))
SMALL = "--model.encoder.hidden 4 --model.decoder.hidden 4 --epochs 1"


def array(values: Any, *, pickled: bool = False) -> Stage:
    return lambda path: np.save(path, values, allow_pickle=pickled)


def arrays(**values: Any) -> Stage:
    return lambda path: np.savez(path, **values)


def cut(make: Stage, size: int) -> Stage:
    """Return a stage that leaves the beginning of a file, as a copy that broke off does."""

    def made(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[:size])

    return made


def text(content: str) -> Stage:
    return lambda path: path.write_text(content)


def with_one(value: float) -> Any:
    rows = ROWS.copy()
    rows[41, 2] = value
    return rows


def damaged(path: Path) -> None:
    """An archive of which a byte in the middle was changed."""
    np.savez(path, x=ROWS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def header(shape: str) -> Stage:
    """A file that promises another shape than it has."""

    def made(path: Path) -> None:
        line = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line.encode())

    return made


def images(*sizes: tuple[int, int], **others: bytes) -> Stage:
    """Return a stage that makes a folder of grey images, 12 of the first size, and other files."""

    def made(path: Path) -> None:
        path.mkdir()
        for at, size in enumerate((*sizes[:1] * 12, *sizes[1:])):
            Image.new("L", size, at).save(path / f"{at:02d}.png")
        for name, content in others.items():
            (path / name.replace("_", ".")).write_bytes(content)

    return made


def bomb(path: Path) -> None:
    """A folder with a small file that claims to be a picture of 3 600 million pixels."""
    images((8, 8))(path)
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    (path / "99.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)


STAGES: dict[str, Stage] = {
    "good.npy": array(ROWS),
    "grey.npy": array(RNG.random((60, 1, 8, 8))),
    "empty.npy": text(""),
    "cut.npy": cut(array(ROWS), 700),
    "head.npy": cut(array(ROWS), 20),
    "promise.npy": header("(99999999999, 99999999999)"),
    "negative.npy": header("(-5, 3)"),
    "words.npy": text("a,b\n1,2\n"),
    "folder.npy": lambda path: path.mkdir(),
    "objects.npy": array(np.array([[1], [2, 3]], dtype=object), pickled=True),
    "complex.npy": array(np.ones((9, 2), complex)),
    "strings.npy": array(np.array(["a", "b"])),
    "dates.npy": array(np.zeros(9, "datetime64[s]")),
    "scalar.npy": array(np.array(3.0)),
    "one.npy": array(np.ones((1, 3))),
    "none.npy": array(np.ones((0, 3))),
    "narrow.npy": array(np.ones((9, 0))),
    "nan.npy": array(with_one(np.nan)),
    "inf.npy": array(with_one(-np.inf)),
    "cut.npz": cut(arrays(x=ROWS), 900),
    "damaged.npz": damaged,
    "words.npz": text("no archive"),
    "nothing.npz": arrays(),
    "named.npz": arrays(images=ROWS, labels=np.arange(60)),
    "objects.npz": lambda path: np.savez(path, x=np.array([[1], [2, 3]], dtype=object)),
    "short_y.npz": arrays(x=ROWS, y=np.arange(50)),
    "good_y.npz": arrays(x=ROWS, y=np.arange(60) % 3),
    "text_y.npz": arrays(x=ROWS, y=np.array(["cat"] * 60)),
    "part_y.npz": arrays(x=ROWS, y=with_one(np.nan)),
    "inf_y.npz": arrays(x=ROWS, y=with_one(np.inf)),
    "negative_y.npz": arrays(x=ROWS, y=-np.arange(60)),
    "hot_y.npz": arrays(x=ROWS, y=np.eye(60, dtype=int)),
    "mask.npz": arrays(x=ROWS, observed=np.ones((60, 2), bool)),
    "number_mask.npz": arrays(x=ROWS, observed=np.ones((60, 3), int)),
    "outside.npz": lambda path: np.savez(
        path, format="csr", shape=(3, 2), data=[1], indices=[9], indptr=[0, 1, 1, 1]
    ),
    "share.npz": lambda path: save_npz(path, csr_matrix(ROWS)),
    "dense.mtx": text("%%MatrixMarket matrix array real general\n1 1\n1\n"),
    "table.csv": text("a,b\n1,2\n"),
    "file": text("x"),
    "folder": lambda path: path.mkdir(),
    "texts": lambda path: (path.mkdir(), (path / "a.txt").write_text("x")),
    "fine": images((8, 8)),
    "sizes": images((8, 8), (9, 8)),
    "broken": images((8, 8), zz_png=b"\x89PNG\r\n\x1a\n and no more"),
    "no_bytes": images((8, 8), zz_png=b""),
    "bomb": bomb,
}

FILES = [
    case("train --data god.npy", "god.npy", "did you mean 'good.npy'?"),
    case("train --data far.npz", "far.npz", "check the path"),
    case("train --data folder.npy", "folder.npy is a folder", "expected a .npy or .npz file"),
    case("train --data empty.npy", "empty.npy is no sound .npy file", "numpy.save"),
    case("train --data cut.npy", "cut.npy is no sound .npy file", "numpy.save"),
    case("train --data head.npy", "head.npy is no sound .npy file", "numpy.save"),
    case("train --data promise.npy", "promise.npy is no sound .npy file", "numpy.save"),
    case("train --data negative.npy", "negative.npy is no sound .npy file", "numpy.save"),
    case("train --data words.npy", "words.npy is no sound .npy file", "numpy.save"),
    case("train --data objects.npy", "objects.npy", "Object arrays", "never unpickled"),
    case("train --data complex.npy", "complex.npy: x", "complex128", "give .real and .imag"),
    case("train --data strings.npy", "strings.npy: x", "<U1", "encoded as numbers"),
    case("train --data dates.npy", "dates.npy: x", "datetime64[s]", ".astype('float32')"),
    case("train --data scalar.npy", "scalar.npy", "single number", "counts the data"),
    case("train --data one.npy", "1 data cannot give 1", "0 leaves a split out"),
    case("train --data none.npy", "none.npy: data must not be empty", "(0, 3)"),
    case("train --data narrow.npy", "narrow.npy: data must not be empty", "(9, 0)"),
    case("train --data nan.npy", "nan.npy: x", "x[41, 2] = nan", "by a boolean 'observed'"),
    case("train --data inf.npy", "inf.npy: x", "x[41, 2] = -inf", "by a boolean 'observed'"),
    case("train --data cut.npz", "cut.npz is no sound .npz file", "numpy.savez"),
    case("train --data damaged.npz", "damaged.npz is no sound .npz file", "numpy.savez"),
    case("train --data words.npz", "words.npz is no sound .npz file", "numpy.savez"),
    case("train --data nothing.npz", "nothing.npz holds no arrays", "'x'"),
    case("train --data named.npz", "the arrays images, labels", "(--data.key)"),
    case("train --data named.npz --data.key image", "'image'", "did you mean 'images'?"),
    case("train --data objects.npz", "objects.npz", "never unpickled"),
    case("train --data short_y.npz", "short_y.npz", "(60, 3) and y of shape (50,)"),
    case("train --data text_y.npz", "text_y.npz: y", "encoded as numbers"),
    case("train --data part_y.npz", "y[41] with 1 of 3 numbers NaN", "NaN throughout"),
    case("train --data inf_y.npz", "infinity in y[41]", "make them NaN"),
    case("train --data good.npy --data.labels 9", "labels=9", "have no labels"),
    case("train --data good_y.npz --data.labels 61", "at most 48", "got 61"),
    case("train --data good_y.npz --data.labels -1", "0 for none and None for all", "got -1"),
    case("train --data good_y.npz --data.labelled_share 1.0", "between 0 and 1", "got 1.0"),
    case(
        "train --data good_y.npz --data.labels 0 --data.labelled_share 0.5",
        "none of the training data is labelled",
        "keep labels",
    ),
    case("train --data negative_y.npz", "got -59", "-1 for unlabelled"),
    case("train --data hot_y.npz", "(60, 60)", "y.argmax(-1)"),
    case("train --data mask.npz", "(60, 2)", "the shape of x, (60, 3)"),
    case("train --data number_mask.npz", "int64", "convert it with observed.bool()"),
    case("train --data outside.npz", "outside.npz is no sound .npz file", "must be < 2"),
    case("train --data share.npz", "share.npz: expected counts", "a dense .npy file"),
    case("train --data dense.mtx", "dense.mtx is no sound .mtx file", "matrix coordinate"),
    case("train --data far.svm", "there is no file far.svm", "check the path"),
    case("train --data table.csv", "table.csv has no column to model", "all are the same"),
    case("train --data ./tabel.csv", "there is no file tabel.csv", "check the path"),
    case("train --data file", "'file'", "digits, mnist, fashion-mnist"),
    case(f"train {SMALL} --data grey.npy --model.likelihood Bernoulli", "= 0.", "binarise"),
]

FOLDERS = [
    case("train --data nowhere/", "there is no folder nowhere", "seen from"),
    case("train --data folder", "folder holds no image", ".jpg"),
    case("train --data texts/", "texts holds no image", "'a.txt'", ".png"),
    case("train --data fine/00.png", "fine/00.png is a file", "folder of images"),
    case("train --data sizes/", "sizes/12.png is 8 high and 9 wide", "size=32"),
    case("train --data broken/", "broken/zz.png cannot be read", "take it away"),
    case("train --data no_bytes/", "no_bytes/zz.png cannot be read", "take it away"),
    case("train --data bomb/", "bomb/99.png", "take it away"),
    case("train --data fine/ --data.size 0", "got 0", "size to be a positive integer"),
    case("train --data fine/ --data.size [8]", "'[8]'", "a list of 2 integers"),
    case("train --data fine/ --data.size 9999999", "got 9999999", "at most 16384"),
    case("train --data fine/ --data.channels 2", "got 2", "1 for grey or 3 for coloured"),
    case("train --data fine/ --data.workers -1", "got -1", "at least 0"),
    case("train --data fine/ --data.sise 8", "'sise'", "did you mean 'size'?"),
    case("train --data ImageFolder", "ImageFolder needs the path", "ImageFolder('images/')"),
]

NAMES = [
    case("train --data mnits", "'mnits'", "did you mean 'mnist'?"),
    case("train --data Digit", "'Digit'", "did you mean 'digits'?"),
    case("train --data VampPrior", "'VampPrior'", "a class such as MNIST"),
    case("train --data null", "'null'", "digits, mnist"),
    case("train --data os.system", "'os.system'", "--allow os"),
    case("train --data pyrovae.data.Nope", "'Nope'", "there are: Arrays"),
    case("train --data.path good.npy", "'path'", "there are: valid, test, seed"),
    case("train --data digits --data.seed -1", "got -1", "from 0 to 2**63 - 1"),
    case("train --data digits --data.valid 5000", "5000 for validation", "lower valid=5000"),
    case("train --data good.npy --data.valid 1.5", "got 1.5", "a share of them in [0, 1)"),
    case("train --data good.npy --data.valid nan", "'nan'", "an integer or a number"),
    case("train --data good.npy --data.test .nan", "got nan", "a share of them in [0, 1)"),
    case("train --data good.npy --data.valid .6 --data.test .6", "36 for testing", "lower valid"),
    case("train --data mnist --data.binarize dynamik", "'dynamik'", "did you mean 'dynamic'?"),
]


@pytest.mark.parametrize(("words", "said"), [*FILES, *FOLDERS, *NAMES])
def test_it_is_refused(
    words: list[str],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    stage([*words, "good.npy"], STAGES, tmp_path)
    refused(words, said, capsys, tmp_path)


def test_a_download_that_fails_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from pyrovae.data import torchvision

    torchvision()
    import torchvision.datasets.mnist as downloader

    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(downloader, "download_and_extract_archive", unreachable)
    monkeypatch.chdir(tmp_path)
    words = ["train", "--data", "mnist", "--data.root", "kept"]
    said = ["MNIST is not in kept", "no network here", "PYROVAE_DATA"]
    refused(words, said, capsys, tmp_path)

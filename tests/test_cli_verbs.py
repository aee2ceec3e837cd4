"""The small verbs: what they write is what the model says, whole, or not there at all."""

import csv
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pyrovae
from pyrovae.__main__ import VERBS, main
from pyrovae.cli.growing import GrowingArray, arrays_to
from pyrovae.cli.images import in_unit, pairs
from pyrovae.cli.table import table_to
from pyrovae.likelihoods import Binomial, Normal
from pyrovae.models import VAE
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import evaluation_mode, random_state

SMALL = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "8", "--samples", "5"]
SMALL += ["--epochs", "1", "--model.prior.dim", "2", "--batch_size", "20", "--report", "false"]

pytestmark = pytest.mark.filterwarnings("ignore:poor importance weights")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs: of images with labels, and of rows of three numbers."""
    folder = tmp_path_factory.mktemp("runs")
    before = Path.cwd()
    os.chdir(folder)
    try:
        np.save("rows.npy", np.random.default_rng(0).normal(3.0, 2.0, size=(50, 3)))
        assert main(["train", *SMALL, "--out", "images"]) == 0
        assert main(["train", *SMALL, "--data", str(folder / "rows.npy"), "--out", "rows"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def images(runs: Path) -> str:
    return str(runs / "images")


@pytest.fixture
def rows(runs: Path) -> str:
    return str(runs / "rows")


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must be refused, and return the one line that it says."""
    capsys.readouterr()
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pyrovae: ")
    return line


def digits(split: str) -> dict[str, torch.Tensor]:
    data = getattr(pyrovae.data.load("digits"), split)
    return next(data.batches(batch_size=len(data)))


def read(file: str) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


def few_rows(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let every verb compute so many rows at once."""
    monkeypatch.setattr("pyrovae.cli.opening._FEW_ROWS", 0)
    monkeypatch.setattr("pyrovae.cli.opening.rows_within", lambda compute: count)


# ------------------------------------------------------------------------------------------ sample


def test_samples_are_the_models(images: str) -> None:
    assert main(["sample", images, "--n", "9", "--out", "x.npy", "--seed", "3"]) == 0
    model = pyrovae.load(Path(images) / "model")
    with random_state(3):
        assert np.array_equal(np.load("x.npy"), model.sample(9).numpy())
    assert main(["sample", images, "--n", "9", "--out", "x.npz", "--seed", "3", "--mean"]) == 0
    with random_state(3):
        assert np.array_equal(read("x.npz")["x"], model.sample(9, mean=True).numpy())


def test_many_samples_are_drawn_some_at_a_time(
    images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_rows(monkeypatch, 11)  # of which a power of two is taken
    assert main(["sample", images, "--n", "20", "--out", "x.npy"]) == 0
    model = pyrovae.load(Path(images) / "model")
    with random_state(0):
        expected = torch.cat([model.sample(8), model.sample(8), model.sample(4)])
    assert np.array_equal(np.load("x.npy"), expected.numpy())


def test_no_more_samples_than_memory_allows_are_drawn_at_once(
    images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    draw = VAE.sample

    def counted(self: VAE, n: int, **options: Any) -> torch.Tensor:
        counts.append(n)
        return draw(self, n, **options)

    monkeypatch.setattr(VAE, "sample", counted)
    assert main(["sample", images, "--n", "9000", "--out", "x.npy"]) == 0
    assert np.load("x.npy", mmap_mode="r").shape == (9000, 1, 8, 8)
    assert max(counts) <= 4096
    assert sum(counts[-3:]) == 9000


def test_a_picture_of_too_many_is_refused(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = mistake(capsys, "sample", images, "--n", "1000000")
    assert "1000000 images of 8 x 8 are too many for a picture" in line
    assert ".npy" in line
    assert not list(Path(images).glob("samples*"))


def test_what_does_not_fit_on_the_disk_is_refused(
    images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = mistake(capsys, "sample", images, "--n", "2000000000", "--out", "x.npy")
    assert "x.npy takes 512.0 GB" in line
    assert not os.listdir()


def test_a_likelihood_without_a_mean_is_said(
    images: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mean(self: Any) -> torch.Tensor:
        raise NotImplementedError

    monkeypatch.setattr("pyro.distributions.Binomial.mean", property(mean))
    for words in (["sample", images, "--mean"], ["reconstruct", images]):
        assert "p(x | z) of Binomial((1, 8, 8), total_count=16) has no mean" in mistake(
            capsys, *words
        )


# ------------------------------------------------------------------------------------- reconstruct


def test_reconstructions_are_the_models(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reconstruct", images, "--n", "7", "--split", "valid", "--seed", "5"]
    assert main([*words, "--out", "x.npz"]) == 0
    assert "7 pairs of shape [1, 8, 8], valid split: x.npz" in capsys.readouterr().out
    found = read("x.npz")
    known = digits("valid")
    model = pyrovae.load(Path(images) / "model")
    x = known["x"][:7]
    with random_state(5):
        expected = model.reconstruct(x)
    assert np.array_equal(found["x"], x.numpy())
    assert np.array_equal(found["y"], known["y"][:7].numpy())
    assert found["index"].tolist() == list(range(7))
    np.testing.assert_allclose(found["reconstruction"], expected.numpy(), rtol=1e-5)

    assert main([*words, "--out", "x.npy"]) == 0
    both = np.load("x.npy")
    assert np.array_equal(both, np.stack([found["x"], found["reconstruction"]], axis=1))

    assert main([*words, "--out", "x.npz", "--mean"]) == 0
    with torch.no_grad(), evaluation_mode(model):
        expected = model.decode(model.encode(x).mean).mean
    np.testing.assert_allclose(read("x.npz")["reconstruction"], expected.numpy(), rtol=1e-5)


def test_reconstructions_in_several_batches_are_the_same(
    images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["reconstruct", images, "--n", "20", "--mean", "--out"]
    assert main([*words, "one.npz"]) == 0
    few_rows(monkeypatch, 8)
    assert main([*words, "several.npz"]) == 0
    one, several = read("one.npz"), read("several.npz")
    assert sorted(one) == sorted(several) == ["index", "reconstruction", "x", "y"]
    for name, values in one.items():
        np.testing.assert_allclose(several[name], values, rtol=1e-5)


def test_a_picture_has_originals_above_their_reconstructions(images: str) -> None:
    assert main(["reconstruct", images, "--n", "5"]) == 0
    assert main(["reconstruct", images, "--n", "5", "--out", "x.npz"]) == 0
    found = read("x.npz")
    picture = np.asarray(Image.open(Path(images) / "reconstructions.png"))
    times = picture.shape[1] // (4 * 9 - 1)  # four images of 8 in a row, and lines between
    small = picture[::times, ::times]
    assert small.shape == (2 * 17 + 4, 35)  # two double rows, and a gap between
    for at in range(5):
        top, left = at // 4 * 21, at % 4 * 9
        for name, first in (("x", top), ("reconstruction", top + 9)):
            shown = small[first : first + 8, left : left + 8]
            assert (shown == np.round(255 * found[name][at, 0] / 16)).all()
    assert (small[21:, 9:] == 128).all()  # nothing behind the last pair


def test_numbers_of_a_pair_are_stretched_alike() -> None:
    x = np.array([[[[0.0, 10.0]]]])
    made = np.array([[[[5.0, 20.0]]]])
    upper, lower = in_unit(np.stack([x, made]), None)
    assert upper.ravel().tolist() == [0.0, 0.5]
    assert lower.ravel().tolist() == [0.25, 1.0]
    assert np.isfinite(in_unit(np.full((1, 1, 2, 2), np.nan), None, like=x)).sum() == 0
    assert pairs(np.full((1, 3, 8, 8), np.nan), np.zeros((1, 3, 8, 8))).mode == "RGB"


def test_other_data_than_images_become_numbers(
    rows: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reconstruct", rows]) == 0  # five in the test split, fewer than the default
    assert "5 pairs of shape [3], test split" in capsys.readouterr().out
    found = read(f"{rows}/reconstructions.npz")
    assert found["x"].shape == found["reconstruction"].shape == (5, 3)
    assert "y" not in found
    line = mistake(capsys, "reconstruct", rows, "--out", "x.png")
    assert "data of shape [3] are no images; write them to a .npz file" in line


def test_missing_entries_are_kept_apart(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    observed = generator.random((40, 3)) > 0.3
    x = np.where(observed, generator.normal(size=(40, 3)), np.nan).astype("float32")
    np.savez("gaps.npz", x=x, observed=observed)
    model = plain_model()
    pyrovae.save(model, "model")
    words = ["--data", "gaps.npz", "--split", "train", "--out", "x.npz"]
    assert main(["reconstruct", "model", *words, "--mean"]) == 0
    found = read("x.npz")
    train = next(pyrovae.data.load("gaps.npz").train.batches(batch_size=32))
    assert np.array_equal(found["observed"], train["observed"].numpy())
    q = model.encode(train["x"], observed=train["observed"])
    np.testing.assert_allclose(
        found["reconstruction"], model.decode(q.mean).mean.detach().numpy(), rtol=1e-5
    )
    assert main(["encode", "model", *words]) == 0
    np.testing.assert_allclose(read("x.npz")["mean"], q.mean.detach().numpy(), rtol=1e-5)


def plain_model() -> VAE:
    return VAE(
        prior=StandardNormal(2),
        likelihood=Normal((3,)),
        posterior=MeanFieldNormal(),
        encoder=MLP((8,)),
        decoder=MLP((8,)),
    )


# ------------------------------------------------------------------------------------------ encode


def test_latents_are_the_models(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", images]) == 0
    assert "400 latents z, mean and standard deviation; test split" in capsys.readouterr().out
    found = read(f"{images}/latents.npz")
    known = digits("test")
    model = pyrovae.load(Path(images) / "model")
    with torch.no_grad(), evaluation_mode(model):
        q = model.encode(known["x"])
    assert sorted(found) == ["index", "mean", "scale", "split", "y"]
    np.testing.assert_allclose(found["mean"], q.mean.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["scale"], q.stddev.numpy(), rtol=1e-4, atol=1e-6)
    assert np.array_equal(found["y"], known["y"].numpy())
    assert np.array_equal(found["index"], known["index"].numpy())
    assert set(found["split"]) == {"test"}


def test_a_table_holds_the_same_numbers(images: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few_rows(monkeypatch, 64)  # several batches, the last one smaller
    assert main(["encode", images, "--split", "all", "--out", "z.npz"]) == 0
    assert main(["encode", images, "--split", "all", "--out", "z.csv"]) == 0
    arrays = read("z.npz")
    with open("z.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["split", "index", "y", "z0", "z1", "z0_scale", "z1_scale"]
    counts = {name: len(split) for name, split in pyrovae.data.load("digits")._asdict().items()}
    names = [row["split"] for row in table]
    assert names == arrays["split"].tolist()
    assert names == [name for name, count in counts.items() for _ in range(count)]
    for name in ("index", "y"):
        assert [int(row[name]) for row in table] == arrays[name].tolist()
    for key, name in (("mean", "z{}"), ("scale", "z{}_scale")):
        for at in range(2):
            column = np.array([row[name.format(at)] for row in table]).astype("float32")
            assert np.array_equal(column, arrays[key][:, at])  # no digit is lost


def test_draws_come_from_the_posterior(images: str) -> None:
    assert main(["encode", images, "--draw", "--seed", "4", "--out", "z.npz"]) == 0
    model = pyrovae.load(Path(images) / "model")
    x = digits("test")["x"]
    with torch.no_grad(), evaluation_mode(model), random_state(4):
        expected = model.encode(x).sample()
    found = read("z.npz")
    assert sorted(found) == ["index", "split", "y", "z"]
    np.testing.assert_allclose(found["z"], expected.numpy(), rtol=1e-4, atol=1e-6)
    assert main(["encode", images, "--draw", "--seed", "5", "--out", "z.csv"]) == 0
    header, first, *_ = Path("z.csv").read_text().splitlines()
    assert header == "split,index,y,z0,z1"
    assert float(first.split(",")[3]) != found["z"][0, 0]


def test_data_without_labels_have_no_column_for_them(rows: str) -> None:
    assert main(["encode", rows, "--out", "z.csv"]) == 0
    header, *lines = Path("z.csv").read_text().splitlines()
    assert header == "split,index,z0,z1,z0_scale,z1_scale"
    assert len(lines) == 5
    assert main(["encode", rows]) == 0
    assert "y" not in read(f"{rows}/latents.npz")


MOVED = """
import pyro.distributions as dist
from torch.distributions.transforms import AffineTransform
from pyrovae.posteriors import MeanFieldNormal


class Moved(MeanFieldNormal):
    "A normal twice as wide and moved by one, which does not know its own mean."

    def forward(self, raw, context):
        plain = super().forward(raw, context)
        return dist.TransformedDistribution(plain, [AffineTransform(1.0, 2.0)])
"""


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Iterator[VAE]:
    """A model whose posterior has no mean in closed form, saved to the folder "model"."""
    Path("moved.py").write_text(MOVED)
    monkeypatch.syspath_prepend(os.getcwd())
    import moved  # type: ignore[import-not-found]

    model = VAE(
        prior=StandardNormal(2),
        likelihood=Binomial((1, 8, 8), total_count=16),
        posterior=moved.Moved(),
        encoder=MLP((8,)),
        decoder=MLP((8,)),
    )
    pyrovae.save(model, "model")
    yield model
    del sys.modules["moved"]


def test_a_posterior_without_a_formula_is_described_by_draws(
    moved: VAE, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["encode", "model", "--data", "digits", "--allow", "moved"]
    assert main([*words, "--samples", "2000", "--out", "z.npz"]) == 0
    said = capsys.readouterr().out
    assert "of 2000 draws each, since Moved() has none in closed form" in said
    found = read("z.npz")
    with torch.no_grad(), evaluation_mode(moved):
        q = moved.encode(digits("test")["x"]).base_dist
    truth, scale = 1.0 + 2.0 * q.mean.numpy(), 2.0 * q.stddev.numpy()
    # 800 standardised errors of each: five standard errors are beaten with probability 5e-4
    assert (np.abs((found["mean"] - truth) / scale) * np.sqrt(2000) < 5.0).all()
    assert (np.abs(found["scale"] / scale - 1.0) * np.sqrt(4000) < 5.0).all()
    assert main([*words, "--draw", "--out", "z.npz"]) == 0
    assert "closed form" not in capsys.readouterr().out.splitlines()[-1]


def test_a_mean_that_there_is_none_of_is_refused(
    moved: VAE, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reconstruct", "model", "--data", "digits", "--allow", "moved"]
    assert "q(z | x) of Moved() has no mean in closed form" in mistake(capsys, *words, "--mean")
    assert main(words) == 0


STREAMED = """
import numpy as np
from torch.utils.data import IterableDataset

from pyrovae.data import DatasetData, Source, Splits, Suggestion


class Numbers(IterableDataset):
    def __iter__(self):
        return iter(np.random.default_rng(0).normal(size=(70, 3)).astype("float32"))


class Streamed(Source):
    event_shape = (3,)
    total_count = None
    suggestion = Suggestion(likelihood="Normal")

    def load(self):
        return Splits(train=DatasetData(Numbers()), valid=None, test=None)
"""


def test_a_stream_is_read_as_far_as_it_goes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("streamed.py").write_text(STREAMED)
    monkeypatch.setattr(sys, "path", [*sys.path])
    few_rows(monkeypatch, 16)
    model = plain_model()
    pyrovae.save(model, "model")
    words = ["model", "--data", "streamed.Streamed", "--allow", "streamed", "--split", "train"]
    words += ["--out", "x.npz"]
    try:
        assert main(["encode", *words]) == 0
        assert read("x.npz")["index"].tolist() == list(range(70))
        assert main(["reconstruct", *words]) == 0
        assert read("x.npz")["x"].shape == (32, 3)
        assert main(["reconstruct", *words, "--n", "70", "--mean"]) == 0
        before = read("x.npz")
        assert before["x"].shape == (70, 3)
        line = mistake(capsys, "reconstruct", *words, "--n", "71")
        assert "--n: the data end after 70 of 71" in line
        assert np.array_equal(read("x.npz")["x"], before["x"])
    finally:
        sys.modules.pop("streamed", None)


def test_latents_of_several_dimensions_have_flat_names(tmp_path: Path) -> None:
    with table_to(tmp_path / "t.csv", {"a": "a{}", "b": "b", "c": "c"}) as table:
        table.add({"b": np.array([1, 2]), "a": np.arange(12.0).reshape(2, 2, 3), "x": np.zeros(2)})
        table.add({"b": np.array([3]), "a": np.full((1, 2, 3), np.nan, "float32")})
    header, first, _, last = (tmp_path / "t.csv").read_text().splitlines()
    assert header == "a0_0,a0_1,a0_2,a1_0,a1_1,a1_2,b"
    assert first == "0.0,1.0,2.0,3.0,4.0,5.0,1"
    assert last == "nan,nan,nan,nan,nan,nan,3"


# ------------------------------------------------------------------------------ whole, or not there


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writing fail inside this context once a file has so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


COMMANDS = [
    ("sample", "x.npy"),
    ("sample", "x.npz"),
    ("sample", "x.png"),
    ("reconstruct", "x.npz"),
    ("reconstruct", "x.npy"),
    ("encode", "x.npz"),
    ("encode", "x.csv"),
]


@pytest.mark.parametrize(("verb", "file"), COMMANDS)
def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    verb: str, file: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(file).write_text("old")
    with largest_file(300):
        line = mistake(capsys, verb, images, "--out", file)
    assert line == f"pyrovae: {file} cannot be written: File too large"
    assert Path(file).read_text() == "old"
    assert os.listdir() == [file]
    assert main([verb, images, "--out", file]) == 0
    assert Path(file).stat().st_size > 300
    assert os.listdir() == [file]


def test_an_interrupted_command_leaves_the_old_file(
    images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("x.npy").write_text("old")
    few_rows(monkeypatch, 4)
    draw = VAE.sample
    drawn = []

    def interrupted(self: VAE, n: int, **options: Any) -> torch.Tensor:
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(n)
        return draw(self, n, **options)

    monkeypatch.setattr(VAE, "sample", interrupted)
    assert main(["sample", images, "--n", "20", "--out", "x.npy"]) == 130
    assert drawn == [4, 4]
    assert Path("x.npy").read_text() == "old"
    assert os.listdir() == ["x.npy"]


@pytest.mark.parametrize("verb", ["sample", "reconstruct", "encode"])
def test_an_unwritable_place_is_one_line(
    verb: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("")
    Path("folder.npz").mkdir()
    line = mistake(capsys, verb, images, "--out", "file/x.npz")
    assert "file/x.npz cannot be written: " in line
    line = mistake(capsys, verb, images, "--out", "folder.npz")
    assert "--out: folder.npz is a folder" in line
    assert main([verb, images, "--out", "new/folder/x.npz"]) == 0
    assert os.listdir("new/folder") == ["x.npz"]


def test_an_error_of_the_data_is_not_taken_for_one_of_the_file(
    images: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: VAE, *args: Any, **options: Any) -> torch.Tensor:
        raise OSError("cannot identify image file '3.png'")

    few_rows(monkeypatch, 4)
    monkeypatch.setattr(VAE, "sample", broken)
    line = mistake(capsys, "sample", images)
    assert line == "pyrovae: cannot identify image file '3.png'"


def test_too_little_memory_is_one_line(
    images: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(self: VAE, *args: Any, **options: Any) -> torch.Tensor:
        raise RuntimeError(
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        )

    few_rows(monkeypatch, 4)
    for name in ("sample", "encode"):
        monkeypatch.setattr(VAE, name, out_of_memory)
    for verb in ("sample", "reconstruct", "encode"):
        assert "the model leaves no room for it; free memory" in mistake(capsys, verb, images)


@pytest.mark.parametrize("parts", [[3], [2, 3, 1], [1] * 12])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "<U5"])
def test_growing_arrays_are_numpys_own(parts: list[int], dtype: str, tmp_path: Path) -> None:
    whole = np.arange(sum(parts) * 6).reshape(-1, 2, 3).astype(dtype)
    chunks = np.split(whole, np.cumsum(parts)[:-1])
    with GrowingArray(tmp_path / "x.npy") as array:
        for chunk in chunks:
            array.add(chunk)
    found = np.load(tmp_path / "x.npy", allow_pickle=False)
    assert found.dtype == whole.dtype
    assert np.array_equal(found, whole)
    (tmp_path / "aside").mkdir()
    with arrays_to(tmp_path / "aside" / "both.npz") as arrays:
        for chunk in chunks:
            arrays.add({"a": chunk, "b": chunk[:, 0].T.T})
    assert os.listdir(tmp_path / "aside") == ["both.npz"]
    both = read(str(tmp_path / "aside" / "both.npz"))
    assert np.array_equal(both["a"], whole)
    assert np.array_equal(both["b"], whole[:, 0])


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    with GrowingArray(tmp_path / "x.npy") as array:
        array.add(np.zeros((2, 3)))
        with pytest.raises(ValueError, match=r"x: expected rows of shape \[3\]"):
            array.add(np.zeros((2, 4)))
        with pytest.raises(ValueError, match=r"kind float64; got \[3\] and float32"):
            array.add(np.zeros((2, 3), "float32"))
    assert np.load(tmp_path / "x.npy").shape == (2, 3)


# ---------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sample nowhere", "there is no run folder nowhere"),
        ("reconstruct nowhere", "there is no run folder nowhere"),
        ("encode nowhere", "there is no run folder nowhere"),
        ("encode .", ". holds no trained model"),
        ("encode", "RUN is missing: the run folder"),
        ("encode RUN more", "unexpected 'more'"),
        ("encode RUN/model", "does not say on which data it was trained; name them by --data"),
        ("reconstruct RUN/model", "name them by --data"),
        ("encode RUN --data nothing", "got 'nothing'"),
        ("encode RUN --data nowhere.npz", "there is no file nowhere.npz"),
        ("encode RUN --data rows.npy", "expects x of shape [batch, 1, 8, 8]; got [batch, 3]"),
        ("reconstruct RUN --data rows.npy", "expects x of shape [batch, 1, 8, 8]; got [batch, 3]"),
        ("encode RUN --data Digits --split tset", "got 'tset'; did you mean 'test'?"),
        ("reconstruct RUN --split all", "expected one of train, valid, test; got 'all'"),
        ("encode RUN --out z.txt", "expected a file ending in .npz or .csv; got z.txt"),
        ("encode RUN --out z", "expected a file ending in .npz or .csv; got z"),
        ("sample RUN --out x.jpg", "expected a file ending in .png or .npy or .npz"),
        ("reconstruct RUN --out x.csv", "expected a file ending in .png or .npz or .npy"),
        ("sample RUN --n 0", "expected a positive integer; got '0'"),
        ("reconstruct RUN --n 0", "expected a positive integer; got '0'"),
        ("reconstruct RUN --n -3", "expected a positive integer; got '-3'"),
        ("reconstruct RUN --n 401", "--n: the test split has 400 data; got 401"),
        ("reconstruct RUN --n 2.5", "expected a positive integer; got '2.5'"),
        ("encode RUN --samples 1", "expected an integer of at least 2; got '1'"),
        ("sample RUN --seed -1", "expected an integer from 0 to 2**63 - 1; got '-1'"),
        ("evaluate RUN --seed 99999999999999999999", "2**63 - 1"),
        ("sample RUN --menn", "there is no option '--menn'; did you mean '--mean'?"),
        ("reconstruct RUN --splt test", "did you mean '--split'"),
        ("encode RUN --drow", "did you mean '--draw'"),
        ("encode RUN --ot z.csv", "did you mean '--out'"),
        ("encode RUN --allow", "--allow: a value must follow"),
        ("help smaple", "did you mean 'sample'"),
    ],
)
def test_a_mistake_is_one_line(
    words: str, said: str, images: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("rows.npy").write_bytes((runs / "rows.npy").read_bytes())
    given = [word.replace("RUN", images) for word in words.split()]
    assert said in mistake(capsys, *given)
    assert os.listdir() == ["rows.npy"]


def test_a_split_that_is_not_kept_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("all.npy", np.random.default_rng(0).normal(size=(30, 3)))
    words = ["--data", "all.npy", "--data.valid", "0", "--data.test", "3", "--out", "R"]
    assert main(["train", *SMALL, *words]) == 0
    line = mistake(capsys, "encode", "R", "--split", "valid")
    assert "keeps no valid split; choose another --split" in line
    assert main(["encode", "R", "--split", "all"]) == 0
    assert read("R/latents.npz")["split"].tolist() == ["train"] * 27 + ["test"] * 3


def test_a_run_from_python_is_found_and_needs_data(capsys: pytest.CaptureFixture[str]) -> None:
    pyrovae.fit(plain_model(), torch.randn(40, 3), epochs=1, batch_size=20, seed=0, out="R")
    assert main(["sample", "R", "--n", "3"]) == 0
    assert np.load("R/samples.npy").shape == (3, 3)
    assert "R does not say on which data it was trained" in mistake(capsys, "encode", "R")
    np.save("x.npy", np.random.default_rng(0).normal(size=(30, 3)))
    assert main(["encode", "R", "--data", "x.npy"]) == 0
    assert main(["evaluate", "R", "--data", "x.npy", "--samples", "3"]) == 0
    assert not Path("R/evaluation.json").exists()


# -------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_every_default_and_has_an_example(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["help", verb]) == 0
    text = capsys.readouterr().out
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out == text
    assert re.search(rf"^example: pyrovae {verb}\b", text, re.MULTILINE)
    assert re.search(r"^[A-Z].*\.$", text, re.MULTILINE)  # the sentence that says what it does
    body = text[text.index("options:") :]
    for option in re.split(r"\n(?=  -)", body)[1:]:
        flag = option.split()[0].rstrip(",")
        assert flag == "-h" or "(default: " in " ".join(option.split()), option
    assert max(map(len, text.splitlines())) <= 100


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(pyrovae.__file__).parents[1])},
    )
    return done.stdout


def test_help_of_the_small_verbs_loads_nothing_heavy() -> None:
    verbs = [verb for verb in VERBS if verb != "train"]
    heavy = {"torch", "pyro", "numpy", "yaml", "jsonargparse", "PIL"}
    code = f"""
import sys
from pyrovae.__main__ import main
for verb in {verbs}:
    main(["help", verb])
print(sorted({heavy} & set(sys.modules)))
"""
    assert run_python(code).splitlines()[-1] == "[]"


def test_an_example_of_the_help_runs(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("evaluate", "sample", "reconstruct", "encode", "parts"):
        assert main(["help", verb]) == 0
        (example,) = re.findall(r"^example: (.*)", capsys.readouterr().out, re.MULTILINE)
        words = example.replace("runs/digits-1", images).replace("5000", "5").split()[1:]
        assert main(words) == 0, example

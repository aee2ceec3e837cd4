"""MNIST: binarisation, splits and files; the true images only where PYROVAE_DATA has them."""

import os
import socket
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch

from pyrovae.data import MNIST, Binarize, FashionMNIST, mnist, torchvision
from pyrovae.data.image_files import Images, data_folder, read_images

TRUE = Path(os.environ.get("PYROVAE_DATA") or "/nonexistent")
needs_files = pytest.mark.skipif(
    not (TRUE / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file(),
    reason="PYROVAE_DATA names no folder with MNIST/raw",
)


def grey(count, seed):
    own = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=own)
    return x, torch.randint(10, (count,), generator=own)


@pytest.fixture
def fake(monkeypatch):
    """Stand in for the files: 60 random images to train on, 20 to test on."""
    images = Images(*grey(60, 0), *grey(20, 1))
    monkeypatch.setattr(mnist, "read_images", lambda name, root: images)
    return images


def whole(data):
    return next(data.batches(batch_size=len(data)))


@pytest.mark.parametrize("source", [MNIST, FashionMNIST])
def test_dynamic_binarisation(fake, source):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    train, valid, test = source(valid=10).load()
    assert torch.equal(torch.get_rng_state(), state)
    assert [len(train), len(valid), len(test)] == [50, 10, 20]
    assert train.tensors["x"].dtype == torch.uint8
    assert train.transform == Binarize()
    for data, still in ((train, False), (valid, True), (test, True)):
        one, two = whole(data)["x"], whole(data)["x"]
        assert torch.equal(one, two) is still
        assert set(one.unique().tolist()) == {0.0, 1.0}
        assert ("anew at each access" in data.description) is not still
        assert ("once with seed" in data.description) is still


def test_fixed_binarisation_does_not_depend_on_the_split(fake):
    """An image looks the same whichever split a seed puts it in, and in dynamic validation."""
    pictures = {}
    for made in (
        MNIST(binarize="fixed", valid=10),
        MNIST(binarize="fixed", valid=30, seed=1),
        MNIST(binarize="fixed", valid=0),
    ):
        train, valid, test = made.load()
        parts = [train.tensors["x"]] if valid is None else [train.tensors["x"], valid.tensors["x"]]
        bits = torch.cat(parts).flatten(1)
        pictures[repr(made)] = {tuple(row.tolist()) for row in bits}
        assert len(bits) == 60
    assert len({frozenset(found) for found in pictures.values()}) == 1
    still = MNIST(valid=10).load().valid.tensors["x"]
    assert torch.equal(still, MNIST(binarize="fixed", valid=10).load().valid.tensors["x"])
    assert valid is None
    assert test is not None


def test_grey_levels_are_kept_as_counts(fake):
    train, valid, test = MNIST(binarize="none", valid=10).load()
    assert torch.equal(test.tensors["x"], fake.test_x)
    held = torch.cat([train.tensors["x"], valid.tensors["x"]]).flatten(1)
    truth = fake.train_x.flatten(1)
    assert {tuple(row.tolist()) for row in held} == {tuple(row.tolist()) for row in truth}
    assert whole(test)["x"].max() == 255


@pytest.mark.parametrize("source", [MNIST, FashionMNIST])
def test_suggestions(source):
    assert source().suggestion.likelihood == "Bernoulli"
    assert source().total_count is None
    assert source(binarize="none").total_count == 255
    suggested = source(binarize="none").suggestion
    assert suggested.likelihood == "DiscretizedLogisticMixture"
    assert suggested.arguments == {"total_count": 255}
    assert source().event_shape == (1, 28, 28)
    with pytest.raises(
        ValueError,
        match=r"one of 'dynamic', 'fixed', 'none'; got 'dynamics'; did you mean 'dynamic'\?",
    ):
        source(binarize="dynamics")


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PYROVAE_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("PYROVAE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "pyrovae"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / ".cache" / "pyrovae"


@pytest.mark.parametrize("source", [MNIST, FashionMNIST])
def test_without_network_the_remedy_is_named(monkeypatch, tmp_path, capsys, source):
    torchvision()
    import torchvision.datasets.mnist as downloader

    def unreachable(*args, **kwargs):
        assert socket.getdefaulttimeout() is not None
        raise URLError("no network here")

    monkeypatch.setattr(downloader, "download_and_extract_archive", unreachable)
    name = source.__name__
    with pytest.raises(FileNotFoundError) as caught:
        source(root=str(tmp_path)).load()
    said = str(caught.value)
    assert said.startswith(f"{name} is not in {tmp_path} and cannot be downloaded (")
    assert "no network here" in said
    assert "train-images-idx3-ubyte" in said
    assert str(tmp_path / name / "raw") in said
    assert "PYROVAE_DATA" in said
    assert "\n" not in said
    assert capsys.readouterr().out == ""
    assert socket.getdefaulttimeout() is None


def write_idx(path, array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(head + array.tobytes())


def test_files_in_place_are_read_without_network(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    held = grey(30, 0)
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte", held[0][:, 0].numpy())
        write_idx(raw / f"{part}-labels-idx1-ubyte", held[1].numpy().astype(np.uint8))
    train, valid, test = FashionMNIST(root=str(tmp_path), binarize="none", valid=5).load()
    assert [len(train), len(valid), len(test)] == [25, 5, 30]
    assert torch.equal(test.tensors["x"], held[0])
    assert torch.equal(test.tensors["y"], held[1])
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + bytes(20))
    with pytest.raises(OSError, match=r"are not those of FashionMNIST .*delete them"):
        FashionMNIST(root=str(tmp_path)).load()


@needs_files
def test_the_true_images():
    images = read_images("MNIST", None)
    assert images.train_x.shape == (60_000, 1, 28, 28)
    assert images.test_x.shape == (10_000, 1, 28, 28)
    assert images.train_y.bincount().tolist()[:3] == [5923, 6742, 5958]
    assert images.train_x.double().mean().item() / 255 == pytest.approx(0.1306604762738429)


@needs_files
def test_the_true_splits():
    """Pixel means of a binarised split are within 5 standard errors of the grey ones (2e-7)."""
    train, valid, test = MNIST().load()
    assert [len(train), len(valid), len(test)] == [50_000, 10_000, 10_000]
    probability = read_images("MNIST", None).test_x.double() / 255
    error = (probability * (1 - probability)).sum().sqrt() / probability.numel()
    drawn = whole(test)["x"].double()
    assert abs(drawn.mean() - probability.mean()) <= 5 * error
    assert ((drawn == 1) | (drawn == 0)).all()

"""Sources: splits that are seeded, disjoint and exhaustive, suggestions, files, names."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from pyrovae.data import (
    MNIST,
    NAMES,
    Arrays,
    Digits,
    FashionMNIST,
    ImageFolder,
    Source,
    TorchvisionImages,
    load,
    shorthand,
    source_for,
)
from pyrovae.data.source import split_rows


@pytest.mark.parametrize(("valid", "test"), [(0, 0), (3, 4), (0.1, 0.25), (0.001, 0), (0.5, 9)])
def test_splits_are_disjoint_and_exhaustive(valid, test):
    rows = split_rows(20, valid=valid, test=test, seed=0)
    assert torch.cat(rows).sort().values.tolist() == list(range(20))
    assert all(torch.equal(part, part.sort().values) for part in rows)


def test_a_small_share_is_one_datum():
    assert [len(part) for part in split_rows(5, valid=0.01, test=0.0, seed=0)] == [4, 1, 0]


def test_splits_depend_on_the_seed_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = split_rows(100, valid=10, test=10, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again, other = (split_rows(100, valid=10, test=10, seed=seed) for seed in (0, 1))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not torch.equal(first.test, other.test)


def test_digits_are_all_of_scikit_learns():
    splits = Digits().load()
    assert [len(part) for part in splits] == [1197, 200, 400]
    read = load_digits()
    held = torch.cat([part.tensors["x"] for part in splits]).flatten(1).long()
    labels = torch.cat([part.tensors["y"] for part in splits])
    table = torch.cat([held, labels[:, None]], 1)
    truth = torch.from_numpy(np.column_stack([read.data, read.target])).long()
    assert torch.equal(sorted_rows(table), sorted_rows(truth))
    assert splits.train.event_shape == Digits().event_shape == (1, 8, 8)
    batch = next(splits.test.batches(batch_size=400))
    assert batch["x"].max() == Digits().total_count == 16
    assert "test" in splits.test.description


def sorted_rows(table):
    return table[np.lexsort(table.numpy().T)]


def test_digits_without_some_splits():
    train, valid, test = Digits(valid=0, test=0).load()
    assert len(train) == 1797
    assert valid is test is None
    with pytest.raises(ValueError, match=r"1797 data cannot give 900 .* and 900 for test.*lower"):
        Digits(valid=900, test=900).load()


@pytest.mark.parametrize("source", [Digits, MNIST, FashionMNIST, Arrays])
def test_constructors(source):
    made = source()
    assert isinstance(made, Source)
    assert repr(made) == f"{source.__name__}()"
    assert repr(source(seed=3, valid=5)) in {
        f"{source.__name__}(seed=3, valid=5)",
        f"{source.__name__}(valid=5, seed=3)",
    }
    for seed in (-1, 1.5, True, None):
        with pytest.raises(ValueError, match=rf"{source.__name__} expects seed to be an integer"):
            source(seed=seed)
    for valid in (-1, True, 1.5, "a few"):
        with pytest.raises(ValueError, match=rf"{source.__name__} expects valid to be a count"):
            source(valid=valid)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_in_both_formats(tmp_path, suffix):
    x = np.random.default_rng(0).normal(size=(50, 2, 3)).astype(np.float32)
    path = tmp_path / f"a{suffix}"
    np.save(path, x) if suffix == ".npy" else np.savez_compressed(path, x=x, other=x[:3])
    source = Arrays(str(path))
    assert source.event_shape == (2, 3)
    train, valid, test = source.load()
    assert [len(train), len(valid), len(test)] == [40, 5, 5]
    assert train.keys == ("x", "index")
    rows = split_rows(50, valid=0.1, test=0.1, seed=0)
    assert torch.equal(test.tensors["x"], torch.from_numpy(x)[rows.test])


def test_labels_and_masks_come_along(tmp_path):
    x = np.where(np.eye(6, dtype=bool), np.nan, 1.0)
    np.savez(tmp_path / "a.npz", data=x, y=np.arange(6, dtype=np.int8), observed=~np.isnan(x))
    source = Arrays(tmp_path / "a.npz", valid=0, test=2, key="data")
    train, valid, test = source.load()
    assert valid is None
    assert test.keys == ("x", "y", "observed", "index")
    batch = next(train.batches(batch_size=4))
    assert torch.equal(batch["x"], batch["observed"].double())
    assert batch["y"].dtype == torch.int64
    assert source.suggestion.likelihood == "Bernoulli"  # the missing entries are no zeros


@pytest.mark.parametrize(
    ("values", "likelihood", "arguments"),
    [
        (np.eye(5), "Bernoulli", {}),
        (np.eye(5, dtype=np.uint8), "Bernoulli", {}),
        (np.eye(5, dtype=bool), "Bernoulli", {}),
        (np.arange(5, dtype=np.uint8), "Binomial", {"total_count": 255}),
        (np.arange(5, dtype=np.int64) * 60, "Binomial", {"total_count": 255}),
        (np.arange(5.0), "Binomial", {"total_count": 255}),
        (np.arange(40, dtype=np.uint8).reshape(5, 8), "Binomial", {"total_count": 255}),
        (
            np.arange(80, dtype=np.uint8).reshape(5, 4, 4),
            "DiscretizedLogisticMixture",
            {"total_count": 255},
        ),
        (
            np.arange(60, dtype=np.uint8).reshape(5, 3, 2, 2),
            "DiscretizedLogisticMixture",
            {"total_count": 255},
        ),
        (np.arange(60.0).reshape(5, 3, 2, 2), "Binomial", {"total_count": 255}),
        (np.arange(5, dtype=np.int64) - 1, "Normal", {"scale": "shared"}),
        (np.arange(5, dtype=np.int64) * 100, "Normal", {"scale": "shared"}),
        (np.linspace(0, 1, 5), "Normal", {"scale": "shared"}),
        (np.linspace(0, 1, 5, dtype=np.float16), "Normal", {"scale": "shared"}),
    ],
)
def test_suggestions_by_the_values(tmp_path, values, likelihood, arguments):
    np.save(tmp_path / "a.npy", values)
    source = Arrays(str(tmp_path / "a.npy"))
    assert source.suggestion.likelihood == likelihood
    assert source.suggestion.arguments == arguments
    assert source.suggestion.reason
    assert source.total_count == arguments.get("total_count")


def test_event_shape_reads_the_head_alone(tmp_path):
    """A file cut off behind its head still knows its shape, and is refused when it is read."""
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((100, 7)))
    path.write_bytes(path.read_bytes()[:200])
    assert Arrays(str(path)).event_shape == (7,)
    with pytest.raises(ValueError, match=r"no sound \.npy file of numbers"):
        Arrays(str(path)).load()


def test_refused_files(tmp_path):
    with pytest.raises(ValueError, match=r"path of a \.npy or \.npz file; got 'a\.csv'"):
        Arrays("a.csv")
    with pytest.raises(ValueError, match=r"Arrays needs the path of a file"):
        Arrays().load()
    missing = Arrays(str(tmp_path / "missing.npy"))
    for ask in (missing.load, lambda: missing.event_shape, lambda: missing.suggestion):
        with pytest.raises(FileNotFoundError, match=r"there is no file .*missing\.npy: check"):
            ask()
    np.savez(tmp_path / "a.npz", images=np.zeros(3))
    unnamed = Arrays(tmp_path / "a.npz", key="image")
    for ask in (unnamed.load, lambda: unnamed.event_shape):
        with pytest.raises(
            ValueError, match=r"holds the arrays images, .*array 'image'; .*; did you mean 'images'"
        ):
            ask()
    np.save(tmp_path / "o.npy", np.array([{"a": 1}, None]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"o\.npy is no sound .*never unpickled"):
        Arrays(tmp_path / "o.npy").load()
    np.save(tmp_path / "t.npy", np.array(["a", "b"]))
    with pytest.raises(ValueError, match=r"t\.npy: x must be an array of booleans"):
        Arrays(tmp_path / "t.npy").load()
    for name in ("b.npy", "b.npz"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        for ask in (Arrays(tmp_path / name).load, lambda n=name: Arrays(tmp_path / n).event_shape):
            with pytest.raises(ValueError, match=r"is no sound \.np. file of numbers"):
                ask()
    np.save(tmp_path / "s.npy", np.float64(3))
    with pytest.raises(ValueError, match="holds a single number"):
        _ = Arrays(tmp_path / "s.npy").event_shape


def test_what_a_word_stands_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("images", "digits", "MNIST", "CIFAR10", "my.images", "Pictures"):
        (tmp_path / name).mkdir()
    for word, expected in (
        ("digits", Digits()),
        ("digits/", ImageFolder("digits/")),
        ("MNIST", MNIST()),
        ("Digits", Digits()),
        ("FashionMNIST", FashionMNIST()),
        ("Arrays", Arrays()),
        ("CIFAR10", TorchvisionImages("CIFAR10")),  # names come before folders,
        ("./CIFAR10", ImageFolder("./CIFAR10")),  # and a path is one by its look
        ("images", ImageFolder("images")),
        ("Pictures", ImageFolder("Pictures")),
        ("my.images", ImageFolder("my.images")),
        ("imags/", ImageFolder("imags/")),
        ("~/images", ImageFolder("~/images")),
        ("..", ImageFolder("..")),
        ("/", ImageFolder("/")),
        (Path("images"), ImageFolder("images")),
        (Path("CIFAR10"), ImageFolder("CIFAR10")),
        (Path("a.npz"), Arrays("a.npz")),
        ("images/a.npy", Arrays("images/a.npy")),
        ("A.NPY", Arrays("A.NPY")),
    ):
        assert repr(source_for(word)) == repr(expected)
    assert repr(source_for("images", size=8)) == "ImageFolder('images', size=8)"
    assert repr(source_for("SVHN", valid=5)) == "TorchvisionImages('SVHN', valid=5)"
    for word, near in (
        ("CIFAR11", "CIFAR10"),
        ("cifar10", "CIFAR10"),
        ("svhn", "SVHN"),
        ("imags", "images"),
        ("digitss", "digits"),
        ("ImageFoldr", "ImageFolder"),
    ):
        with pytest.raises(ValueError, match=rf"got '{word}'; did you mean '{near}'\?"):
            source_for(word)
    for word in ("", "zzzzzzzz", "no such thing"):
        with pytest.raises(ValueError, match=r"data are named by digits, mnist, fashion-mnist, by"):
            source_for(word)
    with pytest.raises(TypeError, match=r"ImageFolder has the options size, .*; got 'path'"):
        source_for("images/", path="other")
    with pytest.raises(TypeError, match="got 'sise'; did you mean 'size'"):
        source_for("images/", sise=3)


def test_names_without_torchvision(monkeypatch):
    def missing():
        raise ImportError("no torchvision")

    monkeypatch.setattr(shorthand, "set_names", missing)
    with pytest.raises(ValueError, match="got 'digitt'; did you mean 'digits'"):
        source_for("digitt")


def test_names_and_paths(tmp_path):
    assert {name: type(source_for(name)) for name in NAMES} == NAMES
    assert isinstance(source_for("some/file.npz", key="data"), Arrays)
    assert repr(source_for("mnist", binarize="none")) == "MNIST(binarize='none')"
    np.save(tmp_path / "a.npy", np.zeros(10))
    assert [len(part) for part in load(tmp_path / "a.npy", valid=2)] == [7, 2, 1]
    for name, meant in (
        ("Mnist", "mnist"),
        ("fashion_mnist", "FashionMNIST"),
        ("digit", "digits"),
    ):
        with pytest.raises(
            ValueError,
            match=rf"by digits, mnist, fashion-mnist, by a class .* did you mean '{meant}'\?",
        ):
            load(name)
    with pytest.raises(TypeError, match=r"valid, test, seed, .*; got 'sed'; did you mean 'seed'"):
        load("digits", sed=1)

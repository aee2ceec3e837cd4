"""Arrays that stay in their files read like data in memory, and never fill the memory."""

import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pyrovae
from pyrovae.data import Arrays, Binarize, MappedData, TensorData, array_files, arrays, as_data
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

GIB = 2**30


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def mapped(folder: Path, values: np.ndarray, name: str = "a.npy") -> np.memmap:
    np.save(folder / name, values)
    return np.load(folder / name, mmap_mode="r")


def sparse(path: Path, rows: int, columns: int) -> Path:
    """Write a `.npy` file of zeros in float32 that takes hardly any room on the disk."""
    with path.open("wb") as file:
        head = {"descr": "<f4", "fortran_order": False, "shape": (rows, columns)}
        np.lib.format.write_array_header_1_0(file, head)
        file.truncate(file.tell() + 4 * rows * columns)
    return path


def peak_bytes() -> int:
    """Return the largest resident size of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("dtype", ["u1", "<i8", ">f4", "<f2", "?", "<u2"])
@pytest.mark.parametrize("start", [0, 2])
def test_reads_like_data_in_memory(tmp_path, dtype, start):
    x = np.arange(60).reshape(10, 2, 3).astype(dtype)
    y = torch.arange(10) - 1
    observed = mapped(tmp_path, np.arange(60).reshape(10, 2, 3) % 7 > 0, "o.npy")
    held = TensorData({"x": x, "y": y, "observed": np.array(observed)})
    data = as_data({"x": mapped(tmp_path, x), "y": y, "observed": observed})
    assert isinstance(data, MappedData)
    assert (data.keys, data.event_shape, len(data)) == (held.keys, held.event_shape, len(held))
    for order in (None, 5):
        read = [
            list(
                one.batches(
                    batch_size=4, generator=None if order is None else generator(order), start=start
                )
            )
            for one in (data, held)
        ]
        for batch, truth in zip(*read, strict=True):
            assert tuple(batch) == tuple(truth) == data.keys
            for key in truth:
                assert torch.equal(batch[key], truth[key])
                assert batch[key].dtype == truth[key].dtype


def test_a_file_larger_than_the_limit_is_split_like_a_small_one(tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(50, 2, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", x)
    source = Arrays(str(tmp_path / "a.npy"), valid=7, test=0.1, seed=3)
    small = source.load()
    suggested = source.suggestion
    monkeypatch.setattr(arrays, "MEMORY", 100)
    for part, truth in zip(source.load(), small, strict=True):
        assert isinstance(part, MappedData)
        assert part.description == truth.description
        batch, held = (next(one.batches(batch_size=50)) for one in (part, truth))
        assert torch.equal(batch["x"], held["x"])
        assert torch.equal(batch["index"], held["index"])
    assert source.suggestion.likelihood == suggested.likelihood
    assert "first 50 rows" in source.suggestion.reason


def test_eight_gibibytes_are_trained_on_in_little_memory(tmp_path):
    """A sparse file of 8 GiB: the peak of this process may grow by half a GiB."""
    source = Arrays(str(sparse(tmp_path / "a.npy", 2**17, 2**14)), valid=64, test=0)
    before = peak_bytes()
    train, valid, _ = source.load()
    assert (len(train), len(valid)) == (2**17 - 64, 64)
    assert source.suggestion.likelihood == "Bernoulli"
    batches = train.batches(batch_size=8, generator=generator())
    for _ in range(5):
        batch = next(batches)
        assert batch["x"].shape == (8, 2**14)
        assert not batch["x"].any()
    assert peak_bytes() - before < GIB // 2


def test_fit_reads_from_the_disk(tmp_path):
    x = mapped(tmp_path, np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))

    def trained(data):
        torch.manual_seed(0)
        vae = pyrovae.VAE(
            prior=StandardNormal(2),
            likelihood=Normal((5,)),
            posterior=MeanFieldNormal(),
            encoder=MLP((8,)),
            decoder=MLP((8,)),
        )
        history = pyrovae.fit(vae, data, epochs=2, batch_size=16, seed=0, progress=False)
        return history["train/loss"]

    assert trained(x) == trained(np.array(x))


def test_binarisation_draws_as_in_memory(tmp_path):
    grey = np.random.default_rng(0).integers(256, size=(30, 7), dtype=np.uint8)
    read = []
    for data in (
        MappedData({"x": mapped(tmp_path, grey)}, transform=Binarize()),
        TensorData({"x": grey}, transform=Binarize()),
    ):
        torch.manual_seed(1)
        read.append(torch.cat([batch["x"] for batch in data.batches(batch_size=8)]))
    assert torch.equal(*read)


def test_what_is_not_finite_is_found_in_its_batch(tmp_path):
    x = np.zeros((9, 3), dtype=np.float32)
    x[5, 1] = np.inf
    data = MappedData({"x": mapped(tmp_path, x)}, rows=torch.tensor([1, 8, 5]), description="mine")
    with pytest.raises(ValueError, match=r"row 5 of mine: x must be finite; got x\[2, 1\] = inf"):
        list(data.batches(batch_size=3))


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"x": [1.0, 2.0]}, TypeError, r"expects arrays, .*got x as list"),
        ({"y": np.zeros(3)}, ValueError, r"need a key 'x'"),
        ({"x": np.zeros((0, 3))}, ValueError, r"must not be empty"),
        ({"x": np.array(3.0)}, ValueError, r"first dimension that counts the data"),
        ({"x": np.array(["a", "b"])}, TypeError, r"x must be an array of booleans"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(2, int)}, ValueError, r"y must be of shape \(3,\)"),
        ({"x": np.zeros(3), "y": np.array([0, 1, -2])}, ValueError, r"labels from 0 on.*got -2"),
        ({"x": np.zeros(3), "lable": np.zeros(3)}, ValueError, r"got 'lable'"),
        ({"x": np.zeros(3), "observed": np.zeros(3)}, TypeError, r"observed must be boolean"),
        ({"x": np.full(3, np.nan)}, ValueError, r"x must be finite; got x\[0\] = nan"),
    ],
)
def test_refusals(given, error, said):
    with pytest.raises(error, match=said):
        MappedData(given)
    with pytest.raises(TypeError, match=r"MappedData expects transform .*got 3"):
        MappedData({"x": np.zeros(3)}, transform=3)


def test_files_that_cannot_be_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MEMORY", 0)
    whole = sparse(tmp_path / "a.npy", 100, 7)
    whole.write_bytes(whole.read_bytes()[:500])
    np.save(tmp_path / "o.npy", np.array([{"a": 1}, None]), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(b"nothing of the kind")
    for name in ("a.npy", "o.npy", "b.npy"):
        with pytest.raises(ValueError, match=r"is no sound \.npy file of numbers"):
            Arrays(tmp_path / name).load()
    np.save(tmp_path / "t.npy", np.array(["a", "b"]))
    with pytest.raises(ValueError, match=r"t\.npy: x must be an array of booleans"):
        Arrays(tmp_path / "t.npy", valid=0, test=0).load()
    np.save(tmp_path / "s.npy", np.float64(3))
    with pytest.raises(ValueError, match=r"s\.npy: x must have a first dimension"):
        Arrays(tmp_path / "s.npy", valid=0, test=0).load()
    with pytest.raises(FileNotFoundError, match="there is no file"):
        array_files.map_file(tmp_path / "missing.npy")

"""Sparse matrices: read as they are, dense a batch at a time, and refused in clear words."""

import io
import resource
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch
from sklearn.datasets import dump_svmlight_file

import pyrovae
from pyrovae.data import Arrays, SparseCounts, SparseData, TensorData, as_data, source_for
from pyrovae.data.transforms import Binarize
from pyrovae.likelihoods import Multinomial
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal

GIB = 2**30


def counts(rows: int = 40, columns: int = 7, seed: int = 0) -> Any:
    """A matrix with an empty row, an empty column, and an entry that is a stored zero."""
    generator = np.random.default_rng(seed)
    dense = generator.poisson(0.7, size=(rows, columns))
    dense[3], dense[:, 2] = 0, 0
    made = scipy.sparse.csr_matrix(dense)
    made.data[5] = 0
    return made


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def parts(matrix: Any) -> dict[str, Any]:
    """What SciPy writes of a matrix in compressed rows."""
    return {
        "format": np.array(b"csr"),
        "shape": np.array(matrix.shape),
        "data": matrix.data,
        "indices": matrix.indices,
        "indptr": matrix.indptr,
    }


# ---------------------------------------------------------------------------------- as data


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32, np.float32, np.float64, bool])
@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_matrix", "bsr_array"])
def test_reads_like_dense_data(kind: str, dtype: Any) -> None:
    matrix = getattr(scipy.sparse, kind)(counts().astype(dtype))
    y = np.arange(40) % 3
    held = TensorData({"x": matrix.toarray(), "y": y})
    data = as_data({"x": matrix, "y": y})
    assert isinstance(data, SparseData)
    assert (data.keys, data.event_shape, len(data)) == (held.keys, held.event_shape, len(held))
    for seed, start in ((None, 0), (5, 0), (5, 2)):
        read = [
            list(
                one.batches(
                    batch_size=9,
                    generator=None if seed is None else generator(seed),
                    start=start,
                )
            )
            for one in (data, held)
        ]
        for batch, truth in zip(*read, strict=True):
            assert tuple(batch) == tuple(truth) == data.keys
            for key in truth:
                assert torch.equal(batch[key], truth[key])
                assert batch[key].dtype == truth[key].dtype


def test_duplicates_add_up_and_the_matrix_given_stays_as_it_is() -> None:
    places = (np.array([0, 0, 1, 0]), np.array([2, 2, 0, 1]))
    matrix = scipy.sparse.coo_matrix((np.array([1, 4, 2, 3]), places), shape=(2, 3))
    compressed = scipy.sparse.csr_matrix(
        (np.array([1, 4, 3, 2]), np.array([2, 2, 1, 0]), np.array([0, 3, 4])), shape=(2, 3)
    )
    for given in (matrix, compressed):
        batch = next(as_data(given).batches(batch_size=2))
        assert batch["x"].tolist() == [[0.0, 3.0, 5.0], [2.0, 0.0, 0.0]]
        assert given.nnz == 4


def test_shares_are_those_of_the_batches() -> None:
    data = as_data(counts())
    whole = [batch["x"] for batch in data.batches(batch_size=6, generator=generator())]
    cut = [
        [
            share.batch["x"]
            for share in data.shares(batch_size=6, part=part, parts=2, generator=generator())
        ]
        for part in range(2)
    ]
    for batch, first, second in zip(whole, *cut, strict=True):
        assert torch.equal(batch[0::2], first)
        assert torch.equal(batch[1::2], second)


def test_a_transform_sees_the_dense_batch() -> None:
    data = SparseData(scipy.sparse.eye_array(6, 4), transform=Binarize(), description="mine")
    assert next(data.batches(batch_size=6))["x"].equal(torch.eye(6, 4).double())
    assert "transform=Binarize()" in repr(data)


def test_more_places_than_memory(tmp_path: Path) -> None:
    """100 000 rows of 200 000 columns, 80 GB if dense: this process may grow by half a GiB."""
    draw = np.random.default_rng(0)
    shape, entries = (100_000, 200_000), 500_000
    places = [draw.integers(size, size=entries).astype(np.int32) for size in shape]
    matrix = scipy.sparse.coo_matrix((np.ones(entries, np.int16), places), shape=shape).tocsr()
    scipy.sparse.save_npz(tmp_path / "wide.npz", matrix, compressed=False)
    expected = matrix[7].toarray()
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    train, valid, test = source_for(tmp_path / "wide.npz", valid=1000).load()
    assert isinstance(train, SparseData)
    assert isinstance(test, SparseData)
    assert [len(train), len(valid), len(test)] == [89_000, 1000, 10_000]
    batches = train.batches(batch_size=32, generator=generator())
    assert all(next(batches)["x"].shape == (32, 200_000) for _ in range(4))
    whole = SparseData(matrix)
    row = next(whole.taking(torch.tensor([7])).batches(batch_size=1))["x"]
    assert np.array_equal(row.numpy(), expected)
    vae = pyrovae.VAE(
        prior=StandardNormal(2),
        likelihood=Multinomial(train.event_shape),
        posterior=MeanFieldNormal(),
        encoder=MLP((2,)),
        decoder=MLP((2,)),
    )
    pyrovae.fit(vae, train.taking(torch.arange(24)), epochs=1, batch_size=8, progress=False)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * unit < GIB // 2


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: SparseData(np.eye(3)), TypeError, "expects a sparse matrix of SciPy.*ndarray"),
        (lambda: SparseData(scipy.sparse.coo_array(np.ones(3))), TypeError, "two dimensions"),
        (lambda: as_data(scipy.sparse.csr_matrix((0, 3))), ValueError, r"empty.*\(0, 3\)"),
        (lambda: as_data(1j * scipy.sparse.eye_array(3)), TypeError, "complex128"),
        (
            lambda: as_data(scipy.sparse.csr_array([[0, 1.0], [np.nan, 0]])),
            ValueError,
            r"x\[1, 0\] = nan",
        ),
        (lambda: as_data({"x": counts(), "y": np.arange(3)}), ValueError, "each of 40 rows.*got 3"),
        (lambda: as_data({"x": counts(), "y": np.full(40, np.inf)}), ValueError, "infinity in y"),
        (lambda: as_data({"x": counts(), "observed": 1}), ValueError, "labels 'y' and nothing"),
        (lambda: SparseData(counts(), transform=3), TypeError, "SparseData expects transform"),
    ],
)
def test_refusals(make: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        make()


def test_a_damaged_matrix_in_memory_is_refused() -> None:
    matrix = counts()
    matrix.indices[4] = 7
    with pytest.raises(ValueError, match="must be < 7"):
        as_data(matrix)


# --------------------------------------------------------------------------------- from files


@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
@pytest.mark.parametrize("array", [False, True])
def test_files_of_scipy(format: str, tmp_path: Path, *, array: bool) -> None:
    matrix = counts()
    written = scipy.sparse.csr_array(matrix) if array else matrix
    scipy.sparse.save_npz(tmp_path / "words.npz", written.asformat(format))
    source = source_for(tmp_path / "words.npz", valid=5, test=0.25, seed=3)
    assert isinstance(source, SparseCounts)
    assert source.event_shape == (7,)
    assert source.total_count is None
    train, valid, test = source.load()
    seen = torch.cat([next(part.batches(batch_size=40))["x"] for part in (train, valid, test)])
    assert sorted(seen.tolist()) == sorted(matrix.toarray().astype(float).tolist())
    assert [len(train), len(valid), len(test)] == [25, 5, 10]
    assert train.description == "words.npz: training"
    again = source_for(tmp_path / "words.npz", valid=5, test=0.25, seed=3).load()
    assert torch.equal(train.rows, again.train.rows)
    assert source.suggestion.likelihood == "Multinomial"
    assert "0.4" in source.suggestion.reason


def test_text_files_and_labels(tmp_path: Path) -> None:
    matrix = counts()
    scipy.io.mmwrite(tmp_path / "words.mtx", matrix)
    dump_svmlight_file(matrix, np.arange(40) % 3, str(tmp_path / "words.svm"), zero_based=True)
    save(tmp_path / "words.npz", y=np.arange(40) % 3, **parts(matrix))
    kept = {"valid": 0, "test": 0}
    for name in ("words.mtx", "words.svm", "words.npz"):
        batch = next(source_for(tmp_path / name, **kept).load().train.batches(batch_size=40))
        assert np.array_equal(batch["x"].numpy(), matrix.toarray())
        if name != "words.mtx":
            assert torch.equal(batch["y"], torch.arange(40) % 3)
    dump_svmlight_file(matrix, np.arange(40) / 3, str(tmp_path / "real.svm"))
    assert source_for(tmp_path / "real.svm").load().train.keys == ("x", "index")


def test_an_archive_of_arrays_is_no_sparse_matrix(tmp_path: Path) -> None:
    assert isinstance(source_for(save(tmp_path / "a.npz", x=np.eye(3))), Arrays)
    assert isinstance(source_for(tmp_path / "missing.npz"), Arrays)
    (tmp_path / "b.npz").write_bytes(b"no archive")
    assert isinstance(source_for(tmp_path / "b.npz"), Arrays)
    assert isinstance(source_for(tmp_path / "missing.mtx"), SparseCounts)


def test_names_of_columns(tmp_path: Path) -> None:
    words = ["alpha", "beta", "gamma", "delta", "épsilon", "zeta", "eta"]
    scipy.sparse.save_npz(tmp_path / "words.npz", counts())
    source = SparseCounts(tmp_path / "words.npz")
    assert source.columns == ()
    (tmp_path / "vocabulary.txt").write_text("\n".join(words[::-1]) + "\n", encoding="utf-8")
    assert source.columns == tuple(words[::-1])
    (tmp_path / "words.vocabulary.txt").write_text("\ufeff" + "\n".join(words), encoding="utf-8")
    assert source.columns == tuple(words)
    assert source.load().test.description == "words.npz: test, columns named"
    named = SparseCounts(tmp_path / "words.npz", vocabulary=tmp_path / "vocabulary.txt")
    assert named.columns == tuple(words[::-1])
    (tmp_path / "words.vocabulary.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=r"words\.vocabulary\.txt names 2 columns, .*matrix has 7"):
        source.load()
    (tmp_path / "words.vocabulary.txt").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(ValueError, match=r"words\.vocabulary\.txt is no text in UTF-8"):
        source.load()
    missing = SparseCounts(tmp_path / "words.npz", vocabulary=tmp_path / "vocabluary.txt")
    with pytest.raises(FileNotFoundError, match=r"did you mean .*vocabulary\.txt'"):
        missing.load()


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "words.npz", counts())
    source = SparseCounts(tmp_path / "words.npz")
    assert source.event_shape == (7,)
    scipy.sparse.save_npz(tmp_path / "words.npz", counts(columns=9))
    assert source.event_shape == (9,)


def changed(**others: Any) -> dict[str, Any]:
    return {**parts(counts()), **others}


def at(name: str, place: int, value: Any) -> dict[str, Any]:
    """Return a matrix with one number of one of its arrays changed."""
    made = parts(counts())
    made[name] = made[name].copy()
    made[name][place] = value
    return made


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in parts(counts()).items() if key != name}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (at("indices", 4, 7), "must be < 7"),
        (at("indices", 4, 2**31 - 1), "must be < 7"),
        (at("indices", 4, -1), "must be >= 0"),
        (at("indptr", 4, 2**31 - 1), "index pointer|indptr"),
        (at("indptr", 0, 3), "index pointer|indptr"),
        (at("indptr", 40, 5000), "index pointer|indptr|Last value"),
        (changed(shape=np.array([41, 7])), "index pointer|indptr"),
        (changed(shape=np.array([-40, 7])), "shape|dimension"),
        (changed(shape=np.array([0, 0])), "index pointer|indptr|empty"),
        (changed(shape=np.array([40, 7, 1])), "must be integers"),
        (changed(shape=np.array([40.0, 7.0])), "must be integers"),
        (changed(indices=counts().indices.astype(float)), "must be integers"),
        (changed(data=counts().data.astype("<U3")), "one row of booleans, integers"),
        (changed(data=counts().data.astype(complex)), "one row of booleans, integers"),
        (changed(data=counts().data[:, None]), "one row of booleans, integers"),
        (changed(data=counts().data[:-1]), "same size|Last value"),
        (changed(format=np.array(b"dia")), "format 'dia'; expected one of csr, csc, coo"),
        (changed(format=np.array("lil")), "format 'lil'.*tocsr"),
        (changed(format=np.array([1, 2])), "format None"),
        (changed(data=np.array([{}, 1], dtype=object)), "never unpickled"),
        (without("indices"), "lacks indices or indptr"),
        (at("data", 3, -2), r"x\[0, 5\] = -2, and such in 1 of 136 entries"),
        (changed(data=counts().data + 0.5), r"x\[0, 0\] = \d\.5, .*dense \.npy file"),
        (changed(data=counts().data * np.nan), r"x\[0, 0\] = nan"),
        (changed(data=counts().data + np.inf), r"x\[0, 0\] = inf"),
        (changed(y=np.arange(3)), "each of 40 rows of x; got 3"),
    ],
    ids=range(26),
)
def test_damaged_archives(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = save(tmp_path / "words.npz", **arrays)
    with pytest.raises(ValueError, match=said) as raised:
        source_for(path).load()
    assert str(raised.value).startswith(str(path))


def test_places_outside_of_coordinates(tmp_path: Path) -> None:
    matrix = counts().tocoo()
    for name, value in (("row", 40), ("col", 7), ("row", -1)):
        arrays = {"row": matrix.row.copy(), "col": matrix.col.copy(), "data": matrix.data}
        arrays[name][2] = value
        shape, format = np.array(matrix.shape), np.array(b"coo")
        path = save(tmp_path / "words.npz", shape=shape, format=format, **arrays)
        with pytest.raises(ValueError, match=r"no sound \.npz file of a sparse matrix: .*index"):
            source_for(path).load()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.mtx", "", "does not begin with %%MatrixMarket"),
        ("a.mtx", "1 2 3\n", "does not begin with %%MatrixMarket"),
        ("a.mtx", "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n", "'matrix array"),
        ("a.mtx", "%%MatrixMarket matrix coordinate complex general\n1 1 0\n", "complex"),
        ("a.mtx", "%%MatrixMarket matrix coordinate integer general\n", "no line of three"),
        (
            "a.mtx",
            "%%MatrixMarket matrix coordinate integer general\n9 9 99999999999\n1 1 1\n",
            "promises 99999999999 entries",
        ),
        ("a.mtx", "%%MatrixMarket matrix coordinate integer general\n3 3 2\n1 1 1\n", "sound .mtx"),
        (
            "a.mtx",
            "%%MatrixMarket matrix coordinate integer general\n3 3 1\n4 1 1\n",
            "sound .mtx",
        ),
        ("a.mtx", "%%MatrixMarket matrix coordinate integer general\n0 0 0\n", "empty|sound .mtx"),
        ("a.svm", "", "empty|sound .svm"),
        ("a.svm", "1 a:b\n", "sound .svm"),
        ("a.svm", "1 1:0.5\n0 2:1\n", r"x\[0, 0\] = 0.5"),
        ("a.svm", "\x00\x01\x02", "sound .svm"),
    ],
)
def test_damaged_texts(name: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=said) as raised:
        source_for(tmp_path / name).load()
    assert str(raised.value).startswith(str(tmp_path / name))


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "words.mtx").mkdir()
    with pytest.raises(IsADirectoryError, match=r"words\.mtx is a folder; expected a \.npz or"):
        source_for(tmp_path / "words.mtx").load()
    scipy.io.mmwrite(tmp_path / "bags.mtx", counts())
    with pytest.raises(FileNotFoundError, match=r"did you mean .*bags\.mtx'"):
        source_for(tmp_path / "bag.mtx").load()
    with pytest.raises(ValueError, match=r"SparseCounts expects the path of a \.npz or"):
        SparseCounts("words.csv")
    with pytest.raises(ValueError, match="needs the path of a file"):
        SparseCounts().load()


@pytest.mark.parametrize("size", [3, 40, 400, 900])
def test_archives_that_break_off(size: int, tmp_path: Path) -> None:
    scipy.sparse.save_npz(tmp_path / "words.npz", counts())
    whole = (tmp_path / "words.npz").read_bytes()
    (tmp_path / "words.npz").write_bytes(whole[:size])
    for source in (source_for(tmp_path / "words.npz"), SparseCounts(tmp_path / "words.npz")):
        with pytest.raises(ValueError, match=r"is no sound \.npz file"):
            source.load()


def test_a_damaged_member_of_an_archive_is_named(tmp_path: Path) -> None:
    """The directory is whole, and what it points at is not."""
    made = io.BytesIO()
    np.savez(made, **parts(counts()))
    content = bytearray(made.getvalue())
    with zipfile.ZipFile(made) as archive:
        content[archive.getinfo("shape.npy").header_offset] ^= 0xFF
    (tmp_path / "words.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"is no sound \.npz file of numbers \(Bad magic"):
        source_for(tmp_path / "words.npz").load()
    for source in (Arrays(tmp_path / "words.npz", key="shape"),):
        with pytest.raises(ValueError, match=r"is no sound \.npz file of numbers \(Bad magic"):
            source.load()
        with pytest.raises(ValueError, match=r"is no sound \.npz file of numbers \(Bad magic"):
            _ = source.event_shape

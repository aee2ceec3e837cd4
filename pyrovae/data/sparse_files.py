"""Sparse files: matrices that are mostly zero, read without ever unpickling anything."""

import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyrovae.data.array_files import names_in, read_arrays, require_file

TEXTS = (".mtx", ".svm", ".svmlight", ".libsvm")
SUFFIXES = (".npz", *TEXTS)

_PLACES = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "coo": ("row", "col"),
}  # the integers that say where the numbers stand, in the formats that are read
_REMEDY = "write it with scipy.sparse.save_npz(path, matrix.tocsr())"
_LEAST = 4  # bytes of a line of a MatrixMarket file: two numbers, a space and an end

Array = np.ndarray[Any, Any]


class Sparse(NamedTuple):
    """A matrix in compressed rows, and the labels of its rows where a file holds them."""

    matrix: Any
    labels: Array | None


def is_sparse_file(path: Path) -> bool:
    """Return whether a path is that of a sparse matrix, an `.npz` by what it holds.

    Example:
        >>> is_sparse_file(Path("words.mtx")), is_sparse_file(Path("missing.npz"))
        (True, False)
    """
    suffix = path.suffix.lower()
    held = names_in(path) if suffix == ".npz" else ()
    return suffix in TEXTS or {"format", "shape", "data"} <= set(held)


def read_sparse(path: Path) -> Sparse:
    """Return the matrix of a file, checked, its duplicates added up and its columns in order.

    Arguments:
        path: an `.npz` file of SciPy, which may hold labels `y` as well, a MatrixMarket file in
            coordinates, `.mtx`, or an svmlight file, whose labels are taken where all are integers.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not what its name says, or holds Python objects or no numbers.
    """
    require_file(path, SUFFIXES)
    suffix = path.suffix.lower()
    read = _npz if suffix == ".npz" else _matrix_market if suffix == ".mtx" else _svmlight
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            matrix, labels = read(path)
            matrix = matrix.tocsr()
            matrix.sum_duplicates()
    except (TypeError, ValueError, IndexError, OverflowError, UnicodeError) as error:
        if str(error).startswith(str(path)):
            raise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is no sound {suffix} file of a sparse matrix: {reason}"
        ) from error
    if 0 in matrix.shape:
        raise ValueError(f"{path} holds an empty matrix, of shape {matrix.shape}")
    return Sparse(matrix, labels)


def _npz(path: Path) -> Sparse:
    import scipy.sparse

    held = read_arrays(path, ("format", "shape", "data"))
    format = held["format"].item() if held["format"].size == 1 else None
    format = format.decode("ascii", "replace") if isinstance(format, bytes) else format
    if format not in _PLACES:
        raise ValueError(
            f"{path} holds a sparse matrix of format {format!r}; expected one of "
            f"{', '.join(_PLACES)}: {_REMEDY}"
        )
    places = _PLACES[format]
    if not set(places) <= set(names_in(path)):
        raise ValueError(
            f"{path} lacks {' or '.join(places)} of a matrix in two dimensions: {_REMEDY}"
        )
    held |= read_arrays(path, places)
    shape = held["shape"]
    if shape.shape != (2,) or any(held[name].dtype.kind not in "iu" for name in ("shape", *places)):
        raise ValueError(f"its shape, {' and '.join(places)} must be integers; {_REMEDY}")
    if held["data"].ndim != 1 or held["data"].dtype.kind not in "biuf":
        raise ValueError(
            f"its numbers must be one row of booleans, integers or floating numbers; got "
            f"{held['data'].dtype}{list(held['data'].shape)}"
        )
    first, second = (held[name] for name in places)
    rows, columns = (int(size) for size in shape)
    if format == "coo":
        made = scipy.sparse.coo_matrix((held["data"], (first, second)), shape=(rows, columns))
    else:
        kind = getattr(scipy.sparse, f"{format}_matrix")
        made = kind((held["data"], first, second), shape=(rows, columns))
        made.check_format(full_check=True)  # or a place outside would be written to
    labels = read_arrays(path, ("y",))["y"] if "y" in names_in(path) else None
    return Sparse(made, labels)


def _matrix_market(path: Path) -> Sparse:
    import scipy.io

    _check_head(path)
    return Sparse(scipy.io.mmread(path), None)


def _check_head(path: Path) -> None:
    """Raise where a MatrixMarket file holds no sparse numbers, or promises more than it has."""
    with path.open("rb") as file:
        kind = file.readline(200).decode("ascii", "replace").lower().split()
        if kind[:1] != ["%%matrixmarket"]:
            raise ValueError("its first line does not begin with %%MatrixMarket")
        if kind[1:3] != ["matrix", "coordinate"] or kind[3:4] == ["complex"]:
            raise ValueError(
                f"expected a 'matrix coordinate' of integer, real or pattern; got "
                f"{' '.join(kind[1:4])!r}: a dense one is better kept as a .npy file"
            )
        line = b"%"
        while line.startswith(b"%") or (line and not line.strip()):
            line = file.readline(2**16)
        if not re.fullmatch(rb"\s*\d+\s+\d+\s+\d+\s*", line):
            raise ValueError("it has no line of three integers: rows, columns and entries")
        entries = int(line.split()[2])
        if entries * _LEAST > path.stat().st_size + 1:
            raise ValueError(f"it promises {entries} entries and is too short for them")


def _svmlight(path: Path) -> Sparse:
    from sklearn.datasets import load_svmlight_file

    with path.open("rb") as file:
        matrix, labels = load_svmlight_file(file)
    matrix.check_format(full_check=True)
    whole = np.isfinite(labels).all() and (labels == np.round(labels)).all()
    named = whole and bool((labels >= 0).all())
    return Sparse(matrix, labels.astype(np.int64) if named else None)


def read_names(path: Path, count: int) -> tuple[str, ...]:
    """Return the names of columns from a file, one to a line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no text in UTF-8, or holds another number of lines than `count`.
    """
    require_file(path, (".txt",))
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error}): one name to a line") from error
    if len(names) != count:
        raise ValueError(
            f"{path} names {len(names)} columns, one to a line, and the matrix has {count}; name "
            f"the right file by vocabulary=... (--data.vocabulary)"
        )
    return tuple(names)

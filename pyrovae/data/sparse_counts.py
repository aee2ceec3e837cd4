"""Sparse matrices of counts, such as bags of words, in files."""

from pathlib import Path
from typing import final

import numpy as np
import torch

from pyrovae.data.checks import as_tensor, checked_labels
from pyrovae.data.labelling import check_budget, form_of, within_budget
from pyrovae.data.source import (
    LabelForm,
    Source,
    Splits,
    Suggestion,
    check_part,
    check_seed,
    cut,
    split_rows,
)
from pyrovae.data.sparse import SparseData, place_of
from pyrovae.data.sparse_files import SUFFIXES, Sparse, read_names, read_sparse


@final
class SparseCounts(Source):
    """Counts in a sparse matrix of which each row is one x, such as the words of a document.

    The file is an `.npz` of `scipy.sparse.save_npz` (in which an array `y`, added by hand, is taken
    as labels), a MatrixMarket file in coordinates, or an svmlight file, whose labels are taken
    where they are integers from 0 on. Nothing is unpickled. The entries that are not zero are held
    in memory, and rows made dense a batch at a time, so the matrix may have more places than
    memory.

    Names of the columns, one to a line in UTF-8, are read from `FILE.vocabulary.txt` for a matrix
    `FILE.npz`, or else from `vocabulary.txt` beside it, where there is one.

    Arguments:
        path: the file.
        vocabulary: the file of the columns' names; None looks for it.
        valid: what to validate on, a count of data, or a float as a share of them; 0 for none.
        test: what to test on, in the same way.
        seed: seeds the permutation that splits the data.
        labels: how many labels of the training data to keep, equally many of each class; the
            others, and those of the validation data, become unknown. None keeps all.
        labels_seed: chooses them.
        labelled_share: repeats labelled rows a whole number of times, to be about this share of
            the training rows, and so of a batch; None reads each once.

    Raises:
        ValueError: the path has another suffix, or a number is out of range.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import scipy.sparse
        >>> with TemporaryDirectory() as folder:
        ...     file = f"{folder}/words.npz"
        ...     scipy.sparse.save_npz(file, scipy.sparse.eye(20, 5, dtype=int, format="csr"))
        ...     source = SparseCounts(file)
        ...     source.event_shape, source.suggestion.likelihood, len(source.load().train)
        ((5,), 'Multinomial', 16)
    """

    def __init__(
        self,
        path: str = "",
        *,
        vocabulary: str | None = None,
        valid: int | float = 0.1,
        test: int | float = 0.1,
        seed: int = 0,
        labels: int | None = None,
        labels_seed: int = 0,
        labelled_share: float | None = None,
    ) -> None:
        self.path = str(path)
        self.vocabulary = None if vocabulary is None else str(vocabulary)
        self.valid = valid
        self.test = test
        self.seed = seed
        self.labels = labels
        self.labels_seed = labels_seed
        self.labelled_share = labelled_share
        self._held: tuple[object, Sparse] | None = None
        check_part(self, "valid", valid, shares=True)
        check_part(self, "test", test, shares=True)
        check_seed(self, seed)
        check_budget(self)
        if self.path and self._file.suffix.lower() not in SUFFIXES:
            raise ValueError(
                f"SparseCounts expects the path of a {' or '.join(SUFFIXES)} file; "
                f"got {self.path!r}"
            )

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (int(self._read().matrix.shape[1]),)

    @property
    def total_count(self) -> int | None:
        return None  # each row has a total of its own

    @property
    def label_form(self) -> LabelForm | None:
        labels = self._read().labels
        try:
            return None if labels is None else form_of(checked_labels(as_tensor("y", labels)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.path}: {error}") from error

    @property
    def suggestion(self) -> Suggestion:
        matrix = self._read().matrix
        share = matrix.nnz / (matrix.shape[0] * matrix.shape[1])
        return Suggestion(
            likelihood="Multinomial",
            arguments={"total": None},
            reason=f"the rows are sparse counts ({share:.2g} of the places are not zero), each a "
            f"bag with a total of its own",
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, such as words; empty where no file names them."""
        count = self.event_shape[0]
        if self.vocabulary is not None:
            return read_names(Path(self.vocabulary).expanduser(), count)
        for beside in (self._file.stem + ".vocabulary.txt", "vocabulary.txt"):
            file = self._file.with_name(beside)
            if file.is_file():
                return read_names(file, count)
        return ()

    def load(self) -> Splits:
        matrix, labels = self._read()
        named = ", columns named" if self.columns else ""
        try:
            whole = SparseData(matrix, y=labels)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.path}: {error}") from error
        rows = split_rows(len(whole), valid=self.valid, test=self.test, seed=self.seed)
        splits = cut(
            rows,
            lambda name, chosen: whole.taking(
                chosen, description=f"{self._file.name}: {name}{named}"
            ),
        )
        return within_budget(self, splits)

    @property
    def _file(self) -> Path:
        if not self.path:
            raise ValueError("SparseCounts needs the path of a file: SparseCounts('words.npz')")
        return Path(self.path).expanduser()

    def _read(self) -> Sparse:
        """Return the matrix, read again where the file has changed."""
        file = self._file
        state = file.stat() if file.is_file() else None
        key = None if state is None else (state.st_mtime_ns, state.st_size)
        if self._held is None or self._held[0] != key:
            found = read_sparse(file)
            _check_counts(self.path, found)
            self._held = key, found
        return self._held[1]


def _check_counts(path: str, found: Sparse) -> None:
    """Raise ValueError where a number is no count."""
    matrix = found.matrix
    values = matrix.data
    if values.dtype.kind in "bu":
        return
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0) & (values == np.floor(values)) & (values < np.inf))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        place = place_of(at, torch.from_numpy(matrix.indices), torch.from_numpy(matrix.indptr))
        raise ValueError(
            f"{path}: expected counts, whole numbers from 0 on; got {place} = {values[at]:g}, and "
            f"such in {int(wrong.sum())} of {len(values)} entries: other numbers are read from a "
            f"dense .npy file"
        )

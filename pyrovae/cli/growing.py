"""Growing: arrays on the disk that rows are added to, so that they need not fit into memory."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

Array = np.ndarray[Any, Any]


class GrowingArray:
    """A `.npy` file that rows are added to; its header is right once it is closed.

    Arguments:
        file: the file, begun anew.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with GrowingArray(Path(folder) / "x.npy") as array:
        ...         for count in (2, 3):
        ...             array.add(np.ones((count, 4)))
        ...     np.load(Path(folder) / "x.npy").shape
        (5, 4)
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows = 0
        self._opened: BinaryIO = file.open("wb")
        self._kind: tuple[np.dtype[Any], tuple[int, ...]] | None = None

    def __enter__(self) -> "GrowingArray":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        with self._opened:
            if kind is None and self._kind is not None:
                self._opened.seek(0)
                self._write_header(*self._kind)

    def add(self, rows: Array) -> None:
        """Add rows `[n, ...]`, each of the shape and the kind of the first ones.

        Raises:
            ValueError: they are of another shape or kind.
            OSError: they cannot be written.
        """
        rows = np.ascontiguousarray(rows)
        kind = rows.dtype, rows.shape[1:]
        if self._kind is None:
            self._kind = kind
            self._write_header(*kind)
        elif kind != self._kind:
            raise ValueError(
                f"{self.file.stem}: expected rows of shape {list(self._kind[1])} and kind "
                f"{self._kind[0]}; got {list(kind[1])} and {kind[0]}"
            )
        self._opened.write(rows.tobytes())
        self.rows += len(rows)

    def _write_header(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Write the header; NumPy leaves room in it for the number of rows to grow."""
        described = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": (self.rows, *shape),
        }
        np.lib.format.write_array_header_1_0(self._opened, described)


class GrowingArrays:
    """Named arrays that grow together.

    Arguments:
        folder: a folder for one file each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrays: dict[str, GrowingArray] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "GrowingArrays":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, rows: Mapping[str, Array]) -> None:
        """Add rows to each array."""
        for name, values in rows.items():
            if name not in self._arrays:
                made = GrowingArray(self._folder / f"{name}.npy")
                self._arrays[name] = self._stack.enter_context(made)
            self._arrays[name].add(values)

    @property
    def files(self) -> dict[str, Path]:
        """The file of each array, whole once this is closed."""
        return {name: array.file for name, array in self._arrays.items()}


@contextmanager
def arrays_to(file: Path) -> Iterator[GrowingArrays]:
    """Give arrays to add to; at the end they are in the file, a `.npz`, or a `.npy` for one array.

    Arguments:
        file: the file, in a folder of its own, where the arrays grow.
    """
    with GrowingArrays(file.parent) as arrays:
        yield arrays
    if file.suffix.lower() == ".npy":
        (array,) = arrays.files.values()
        array.replace(file)
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.files.items():
            archive.write(array, f"{name}.npy")
            array.unlink()

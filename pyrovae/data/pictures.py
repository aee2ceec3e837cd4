"""Pictures: sets of images that are opened one at a time, read into memory or from the disk."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from math import prod

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pyrovae.data.base import UNLABELLED, Data
from pyrovae.data.binarization import BINARIZE_SEED, Binarization
from pyrovae.data.datasets import DatasetData, plain_errors
from pyrovae.data.items import collated
from pyrovae.data.pixels import (
    Standard,
    check_colour,
    is_coloured,
    other_size,
    quiet,
    reading,
    size_of,
    to_pixels,
)
from pyrovae.data.tensors import TensorData
from pyrovae.data.transforms import Binarize, binarized

MEMORY = 2 * 2**30  # bytes of pixels up to which a data set is held in memory: 2 GiB
LEVELS = 255

_LOOKED = 100  # pictures looked at to tell grey from coloured, or black and white from grey
_CHUNK = 64


class Album(ABC):
    """Pictures by number, with their labels; a picture is opened when it is asked for.

    Every album says in `labelled` whether its pictures have labels, and in `classes` what those
    are called, where they are called anything.
    """

    labelled: bool = False
    classes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of pictures."""

    @abstractmethod
    def name(self, at: int) -> str:
        """Return what a picture is called in errors."""

    @abstractmethod
    def item(self, at: int) -> tuple[Image.Image, int | None]:
        """Open a picture and return it with its label."""

    def label(self, at: int) -> int | None:
        """Return the label of a picture; by default it is opened for that."""
        image, label = self.item(at)
        image.close()
        return label

    def cheap(self) -> Iterable[int]:
        """Return the pictures whose size can be seen without much work, by default all."""
        return range(len(self))


def check_heads(album: Album, standard: Standard) -> None:
    """Raise ValueError where a picture differs from the standard and is not to be changed.

    Only heads are read, so that what would end an epoch half-way is said before the first; pixels
    are read where a size seems to differ.
    """
    if standard.resized and (standard.converted or standard.shape[0] == 3):
        return
    expected = standard.shape[1:]
    for at in album.cheap():
        name = album.name(at)
        with quiet(), _opened(album, at) as image:
            check_colour(image, standard, name=name)
            if not standard.resized and size_of(image, header=True) != expected:
                found = size_of(image)
                if found != expected:
                    raise ValueError(other_size(standard, name, found))


def standard_of(
    album: Album, *, size: int | tuple[int, int] | None, channels: int | None
) -> Standard:
    """Return what the pictures of an album are brought to.

    The first one sets the size where none is given. Without a number of channels they are
    coloured where any of a hundred, spread over the album, is stored in colour.

    Raises:
        OSError: a picture cannot be read.
    """
    coloured = channels == 3
    if channels is None:
        for at in spread(len(album)):
            with quiet(), _opened(album, at) as image:
                coloured = is_coloured(image)
            if coloured:
                break
    if size is None:
        with quiet(), _opened(album, 0) as image:
            height, width = size_of(image)
    else:
        height, width = (size, size) if isinstance(size, int) else size
    shape = (3 if coloured else 1, height, width)
    return Standard(
        shape, resized=size is not None, converted=channels is not None, like=album.name(0)
    )


def spread(count: int) -> list[int]:
    """Return up to a hundred of the numbers below `count`, evenly spread.

    Example:
        >>> spread(3), spread(1000)[:3]
        ([0, 1, 2], [0, 10, 20])
    """
    looked = min(count, _LOOKED)
    return [at * count // looked for at in range(looked)]


def black_and_white(album: Album, standard: Standard) -> int:
    """Return how many pictures of a sample were looked at, 0 once one has a level between."""
    looked = spread(len(album))
    for at in looked:
        x = Pictures(album, [at], standard)[0]["x"]
        if bool(((x != 0) & (x != LEVELS)).any()):
            return 0
    return len(looked)


class Pictures(Dataset[dict[str, Tensor]]):
    """Some pictures of an album as a torch data set of bytes, with labels where it has them.

    Arguments:
        album: the pictures.
        rows: which of them, by number.
        standard: what they are brought to.
        binarize: whether each level g becomes a draw of 0 or 1, with probability g / 255 of 1.
        first: the number of the album's first picture among those of all splits, which seeds the
            fixed draws, so that a picture looks the same in whatever split it is.
    """

    def __init__(
        self,
        album: Album,
        rows: list[int],
        standard: Standard,
        *,
        binarize: Binarization = "none",
        first: int = 0,
    ) -> None:
        self.album = album
        self.rows = rows
        self.standard = standard
        self.binarize: Binarization = binarize
        self.first = first

    def __len__(self) -> int:
        return len(self.rows)

    def labels(self) -> Tensor | None:
        """Return the labels of all, None where the album has none."""
        if not self.album.labelled:
            return None
        found = []
        for row in self.rows:
            with reading(self.album.name(row)):
                found.append(self.album.label(row))
        return torch.tensor([UNLABELLED if label is None else label for label in found])

    def __getitem__(self, at: int) -> dict[str, Tensor]:
        return self.__getitems__([at])[0]

    def __getitems__(self, numbers: list[int]) -> list[dict[str, Tensor]]:
        """Return the items of a batch, for which a `DataLoader` asks in this way."""
        with quiet():
            return [self._item(self.rows[at]) for at in numbers]

    def _item(self, row: int) -> dict[str, Tensor]:
        name = self.album.name(row)
        with reading(name):
            image, label = self.album.item(row)
        with image:
            x = to_pixels(image, self.standard, name=name)
        if self.binarize != "none":
            own = None
            if self.binarize == "fixed":
                own = torch.Generator().manual_seed(BINARIZE_SEED + self.first + row)
            x = binarized(x.contiguous(), generator=own).to(torch.uint8)
        if not self.album.labelled:
            return {"x": x}
        return {"x": x, "y": torch.tensor(UNLABELLED if label is None else label)}


def data_of(pictures: Pictures, *, workers: int, streams: bool, description: str) -> Data:
    """Return pictures as data, read now and held in memory or read from the disk batch by batch.

    Arguments:
        pictures: the pictures.
        workers: how many processes read them; 0 reads them in this one.
        streams: whether they are read batch by batch.
        description: what they are, in words.

    Raises:
        OSError: a picture cannot be read.
        ValueError: a picture differs from the others.
    """
    if streams:
        said = f"{description}, read from the disk"
        return DatasetData(pictures, workers=workers, description=said)
    again = pictures.binarize == "dynamic"
    if again:  # the levels are held, and drawn from anew at each access
        pictures = Pictures(pictures.album, pictures.rows, pictures.standard)
    held = _held(pictures, workers)
    return TensorData(held, transform=Binarize() if again else None, description=description)


def fits(count: int, standard: Standard) -> bool:
    """Return whether so many pictures are held in memory."""
    return count * prod(standard.shape) <= MEMORY


def _opened(album: Album, at: int) -> Image.Image:
    with reading(album.name(at)):
        return album.item(at)[0]


def _held(pictures: Pictures, workers: int) -> dict[str, Tensor]:
    count = len(pictures)
    held = {"x": torch.empty((count, *pictures.standard.shape), dtype=torch.uint8)}
    if pictures.album.labelled:
        held["y"] = torch.empty(count, dtype=torch.int64)
    own = torch.Generator().manual_seed(0)  # without one, a seed is drawn from the caller's state
    loader = DataLoader(
        pictures, batch_size=_CHUNK, num_workers=workers, collate_fn=collated, generator=own
    )
    first = 0
    with plain_errors():
        for batch in loader:
            rows = slice(first, first + len(batch["x"]))
            first = rows.stop
            for key, value in held.items():
                value[rows] = batch[key]
    return held

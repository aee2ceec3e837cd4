"""Images in a folder, one to a file."""

import os
import re
from pathlib import Path
from typing import final, get_args

from PIL import Image

from pyrovae.data.binarization import Binarization
from pyrovae.data.folders import Listing, listings
from pyrovae.data.image_source import ImageSource
from pyrovae.data.pictures import Album
from pyrovae.data.pixels import open_file
from pyrovae.data.source import Role


class _FileAlbum(Album):
    """The pictures of one split, each in a file of its own."""

    def __init__(self, listing: Listing) -> None:
        self.folder = str(listing.folder)
        self.files = listing.files
        self.labels = listing.labels
        self.labelled = listing.labels is not None
        self.classes = listing.classes

    def __len__(self) -> int:
        return len(self.files)

    def name(self, at: int) -> str:
        return os.path.join(self.folder, self.files[at])

    def item(self, at: int) -> tuple[Image.Image, int | None]:
        return open_file(self.name(at)), self.label(at)

    def label(self, at: int) -> int | None:
        return None if self.labels is None else self.labels[at]


@final
class ImageFolder(ImageSource):
    """Images in a folder, one to a file, as bytes `[channels, height, width]` of levels 0..255.

    Where every image lies in a sub-folder, the sub-folders are classes: labels y count their sorted
    names. Sub-folders `train` and `test` (and `valid` or `val`) are the splits themselves, and may
    hold classes in turn. Hidden files and files that are no images are passed over.

    Images are turned upright as their EXIF data say; transparent parts are laid over white, 16-bit
    levels reduced to their high byte, and of an animation the first frame is taken. Up to 2 GiB of
    pixels are held in memory; larger sets are read from the disk, batch by batch.

    Arguments:
        path: the folder.
        size: what images are resized and centre-cropped to, a number for squares or
            `[height, width]`; None requires that all have one size.
        channels: 1 for grey, 3 for coloured; None takes 3 where any of a hundred images, spread
            over the folder, is stored in colour.
        binarize: "none" keeps the levels; "fixed" draws each pixel once, 1 with
            probability level / 255, which leaves black and white images as they are; "dynamic"
            draws training images anew at each access, the others once.
        valid: what to validate on, a count of images or a float as a share of those to train on;
            0 for none. A folder `valid` is used whole instead.
        test: what to test on, in the same way.
        seed: seeds the permutation that splits the images.
        workers: how many processes read images; 0 reads them in this one.
        labels: how many labels of the training data to keep, equally many of each class; the
            others, and those of the validation data, become unknown. None keeps all.
        labels_seed: chooses them.
        labelled_share: repeats labelled rows a whole number of times, to be about this share of
            the training rows, and so of a batch; None reads each once.

    Raises:
        ValueError: a number or a word is none of what is listed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     for shade in range(10):
        ...         Image.new("L", (20, 20), shade).save(f"{folder}/{shade}.png")
        ...     source = ImageFolder(folder, size=8)
        ...     source.event_shape, [len(part) for part in source.load()]
        ((1, 8, 8), [8, 1, 1])
    """

    _lasting = False

    def __init__(
        self,
        path: str = "",
        *,
        size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        binarize: Binarization = "none",
        valid: int | float = 0.1,
        test: int | float = 0.1,
        seed: int = 0,
        workers: int = 0,
        labels: int | None = None,
        labels_seed: int = 0,
        labelled_share: float | None = None,
    ) -> None:
        self.path = str(path)
        super().__init__(
            size=size,
            channels=channels,
            binarize=binarize,
            valid=valid,
            test=test,
            seed=seed,
            workers=workers,
            labels=labels,
            labels_seed=labels_seed,
            labelled_share=labelled_share,
        )

    @property
    def short_name(self) -> str:
        name = Path(self.path).expanduser().resolve().name
        return re.sub(r"[^\w-]+", "-", name).strip("-").lower() or "images"

    @property
    def _title(self) -> str:
        classes = self._album().classes
        return f"{self.path} ({len(classes)} classes)" if classes else self.path

    def _open(self, role: Role) -> Album | None:
        if not self.path:
            raise ValueError("ImageFolder needs the path of a folder: ImageFolder('images/')")
        found = listings(Path(self.path).expanduser())
        for part in get_args(Role):
            self._opened[part] = _FileAlbum(found[part]) if part in found else None
        return self._opened[role]

"""Images of torchvision's data sets."""

from collections.abc import Iterable
from operator import index
from typing import Any, final

from PIL import Image

from pyrovae.data.binarization import Binarization
from pyrovae.data.image_source import ImageSource
from pyrovae.data.pictures import Album, spread
from pyrovae.data.pixels import reading
from pyrovae.data.source import Role
from pyrovae.data.torchvision_sets import open_set


class _SetAlbum(Album):
    """The pictures of one split of a data set of torchvision."""

    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset = dataset
        self._name = name
        if not len(dataset):
            raise ValueError(f"{name} of torchvision has no images here")
        with reading(self.name(0)):
            first = dataset[0]
        image, target = _split(first)
        if image is None:
            raise ValueError(
                f"{name} of torchvision is not read here: an item of it is no image with a "
                f"target, but {_shown(first)}"
            )
        with image:  # which may be a file that was opened and not yet read
            self.targets = target is not None
        self.labelled = _label(target) is not None
        named = getattr(dataset, "classes", ())
        if self.labelled and isinstance(named, list | tuple):
            self.classes = tuple(str(_first(words)) for words in named)

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, at: int) -> str:
        return f"image {at} of {self._name}"

    def item(self, at: int) -> tuple[Image.Image, int | None]:
        image, target = _split(self.dataset[at])
        return image, _label(target)

    def cheap(self) -> Iterable[int]:
        """Return a sample: where images are drawn or unpacked, to open one is to read it."""
        return spread(len(self))


@final
class TorchvisionImages(ImageSource):
    """A data set of torchvision by the name of its class, as levels 0..255.

    Integer targets are labels y; other targets are left out, which the description says. Splits
    for validation and test are those of the data set, and cut from the training images where it
    has none. Files are read from the root, and downloaded into it where they are missing. Up to
    2 GiB of pixels are held in memory; larger sets are read from the disk, batch by batch. Data
    sets of videos, of pairs of images or for detection are refused.

    Arguments:
        name: the class of `torchvision.datasets`, such as "CIFAR10" or "SVHN".
        root: the folder that holds, or shall hold, its files; None takes the environment variable
            PYROVAE_DATA, else `pyrovae` in the user's cache folder.
        size: what images are resized and centre-cropped to, a number for squares or
            `[height, width]`; None requires that all have one size.
        channels: 1 for grey, 3 for coloured; None takes 3 where any of a hundred images, spread
            over the set, is coloured.
        binarize: "none", "fixed" or "dynamic", as in `ImageFolder`.
        valid: what to validate on, a count of images or a float as a share of those to train on;
            0 for none. A split of the data set is used whole instead.
        test: what to test on, in the same way.
        seed: seeds the permutation that cuts splits.
        workers: how many processes read images; 0 reads them in this one.
        options: further arguments of the class, such as `{"split": "letters"}` for EMNIST. A
            split that is chosen here is all there is: the others are cut from it.
        labels: how many labels of the training data to keep, equally many of each class; the
            others, and those of the validation data, become unknown. None keeps all.
        labels_seed: chooses them.
        labelled_share: repeats labelled rows a whole number of times, to be about this share of
            the training rows, and so of a batch; None reads each once.

    Raises:
        ValueError: a number or a word is none of what is listed.

    Example:
        >>> shapes = {"size": 20, "image_size": (3, 6, 6)}
        >>> source = TorchvisionImages("FakeData", options=shapes, valid=4, test=0)
        >>> source.event_shape, len(source.load().train)
        ((3, 6, 6), 16)
    """

    _lasting = True  # and takes seconds to open, in some cases

    def __init__(
        self,
        name: str = "",
        *,
        root: str | None = None,
        size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        binarize: Binarization = "none",
        valid: int | float = 0.1,
        test: int | float = 0.1,
        seed: int = 0,
        workers: int = 0,
        options: dict[str, Any] | None = None,
        labels: int | None = None,
        labels_seed: int = 0,
        labelled_share: float | None = None,
    ) -> None:
        self.name = name
        self.root = root
        self.options = options
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
        return self.name.lower()

    @property
    def event_shape(self) -> tuple[int, ...]:
        if self.size is not None and self.channels is not None:  # known without the files
            sides = (self.size, self.size) if isinstance(self.size, int) else self.size
            return (self.channels, *sides)
        return super().event_shape

    @property
    def _title(self) -> str:
        album = self._album()
        left = isinstance(album, _SetAlbum) and album.targets and not album.labelled
        return f"{self.name}, its targets left out, which are no classes" if left else self.name

    def _open(self, role: Role) -> Album | None:
        if not self.name:
            raise ValueError("TorchvisionImages needs a name: TorchvisionImages('CIFAR10')")
        found = open_set(self.name, role, self.root, self.options or {})
        return None if found is None else _SetAlbum(found, self.name)


def _split(item: Any) -> tuple[Any, Any]:
    """Return the image and the target of an item, None for what it has not."""
    pair = item if isinstance(item, tuple | list) and len(item) == 2 else (item, None)
    return (pair[0], pair[1]) if isinstance(pair[0], Image.Image) else (None, None)


def _first(words: Any) -> Any:
    """Return the name of a class that has several, such as those of ImageNet."""
    return words[0] if isinstance(words, tuple | list) and words else words


def _label(target: Any) -> int | None:
    """Return a target as a label, None where it is no integer."""
    try:
        return index(target)
    except TypeError:
        return None


def _shown(item: Any) -> str:
    """Return in words what an item is."""
    parts = item if isinstance(item, tuple | list) else [item]
    return ", ".join(type(part).__name__ for part in parts) or "nothing"

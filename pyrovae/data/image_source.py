"""What sources of images have in common: one shape, levels 0..255, splits, memory or disk."""

from abc import abstractmethod
from typing import ClassVar

from pyrovae.data.base import Data, check_count
from pyrovae.data.binarization import BINARIZE_SEED, Binarization, check_binarize
from pyrovae.data.labelling import check_budget, within_budget
from pyrovae.data.levels import LEVELS_REASON, byte_levels
from pyrovae.data.pictures import (
    LEVELS,
    Album,
    Pictures,
    black_and_white,
    check_heads,
    data_of,
    fits,
    standard_of,
)
from pyrovae.data.pixels import Standard
from pyrovae.data.source import (
    LabelForm,
    Role,
    Source,
    Splits,
    Suggestion,
    check_part,
    check_seed,
    split_rows,
)
from pyrovae.numeric import is_count

_SIDE = 2**14  # pixels; a picture of more would fill the memory by itself
_NAMES: dict[Role, str] = {"train": "training", "valid": "validation", "test": "test"}
_FIRST: dict[Role, int] = {"train": 0, "valid": 2**40, "test": 2**41}  # numbers of all pictures


class ImageSource(Source):
    """A source of images; a subclass opens the album of each split that its files define."""

    _lasting: ClassVar[bool]  # whether the files stay as they are from one question to the next

    def __init__(
        self,
        *,
        size: int | tuple[int, int] | None,
        channels: int | None,
        binarize: Binarization,
        valid: int | float,
        test: int | float,
        seed: int,
        workers: int,
        labels: int | None,
        labels_seed: int,
        labelled_share: float | None,
    ) -> None:
        self.size = size
        self.channels = channels
        self.binarize: Binarization = binarize
        self.valid = valid
        self.test = test
        self.seed = seed
        self.workers = workers
        self.labels = labels
        self.labels_seed = labels_seed
        self.labelled_share = labelled_share
        # what was found, until `load` is done with it, or the next question where files may change
        self._opened: dict[Role, Album | None] = {}
        sides = size if isinstance(size, tuple | list) else (size, size)
        if size is not None and not (len(sides) == 2 and all(map(_fits, sides))):
            raise ValueError(
                f"{type(self).__name__} expects size to be a positive integer, at most {_SIDE}, "
                f"for squares, or [height, width]; got {size!r}"
            )
        if channels not in (None, 1, 3) or isinstance(channels, bool):
            raise ValueError(
                f"{type(self).__name__} expects channels to be 1 for grey or 3 for coloured "
                f"images; got {channels!r}"
            )
        check_binarize(self, binarize)
        check_part(self, "valid", valid, shares=True)
        check_part(self, "test", test, shares=True)
        check_seed(self, seed)
        check_count("workers", workers, least=0)
        check_budget(self)

    @property
    def event_shape(self) -> tuple[int, ...]:
        self._begin()
        return self._standard().shape

    @property
    def total_count(self) -> int | None:
        return LEVELS if self.binarize == "none" else None

    @property
    def suggestion(self) -> Suggestion:
        if self.binarize != "none":
            return Suggestion(likelihood="Bernoulli", reason="the pixels are binarised")
        self._begin()
        reason = LEVELS_REASON
        looked = black_and_white(self._album(), self._standard())
        if looked:
            reason += (
                f"; but the {looked} images looked at are black and white, for which "
                f"binarize='fixed' and Bernoulli suit better"
            )
        return byte_levels(reason)

    @property
    def classes(self) -> tuple[str, ...]:
        self._begin()
        return self._album().classes

    @property
    def label_form(self) -> LabelForm | None:
        self._begin()
        album = self._album()
        if not album.labelled:
            return None
        if album.classes:
            return LabelForm(levels=len(album.classes))
        albums = filter(None, map(self._album_of, _NAMES))
        highest = -1
        for one in albums:  # without names, the largest label says how many there are
            labels = Pictures(one, list(range(len(one))), self._standard()).labels()
            highest = max(highest, -1 if labels is None else int(labels.max()))
        return LabelForm(levels=highest + 1) if highest >= 0 else None

    def load(self) -> Splits:
        self._begin()
        try:
            return self._load()
        finally:
            self._opened.clear()

    @property
    @abstractmethod
    def _title(self) -> str:
        """What the data are called in descriptions."""

    @abstractmethod
    def _open(self, role: Role) -> Album | None:
        """Open the album of a split; None where the files define no such split."""

    def _begin(self) -> None:
        """Forget what was found for an earlier question, where it may have changed."""
        if not self._lasting:
            self._opened.clear()

    def _album_of(self, role: Role) -> Album | None:
        if role not in self._opened:
            self._opened[role] = self._open(role)
        return self._opened[role]

    def _album(self) -> Album:
        """Return the album to train on, of which other splits are cut where they have no own."""
        album = self._album_of("train")
        if album is None or not len(album):
            raise ValueError(f"{self!r} has no images to train on")
        return album

    def _standard(self) -> Standard:
        return standard_of(self._album(), size=self.size, channels=self.channels)

    def _load(self) -> Splits:
        train, standard = self._album(), self._standard()
        valid = self._album_of("valid") if self.valid else None
        test = self._album_of("test") if self.test else None
        rows = split_rows(
            len(train),
            valid=self.valid if valid is None else 0,
            test=self.test if test is None else 0,
            seed=self.seed,
        )
        pictures: dict[Role, Pictures] = {}
        for role, cut in zip(_NAMES, rows, strict=True):
            how = self._binarized(role)
            album = {"valid": valid, "test": test}.get(role)
            if album is not None:
                numbers, first = list(range(len(album))), _FIRST[role]
                pictures[role] = Pictures(album, numbers, standard, binarize=how, first=first)
            elif len(cut):
                pictures[role] = Pictures(train, cut.tolist(), standard, binarize=how)
        streams = not fits(sum(map(len, pictures.values())), standard)
        if streams:
            for album in (train, valid, test):
                if album is not None:
                    check_heads(album, standard)
        made = {
            role: self._data(role, chosen, streams=streams) for role, chosen in pictures.items()
        }
        splits = Splits(made["train"], made.get("valid"), made.get("test"))
        # pictures on the disk are not opened for their labels where the files say them
        return within_budget(self, splits, y=pictures["train"].labels() if streams else None)

    def _binarized(self, role: Role) -> Binarization:
        """Return how a split is binarised: drawn anew for training alone, as for MNIST."""
        if self.binarize == "dynamic" and role != "train":
            return "fixed"
        return self.binarize

    def _data(self, role: Role, pictures: Pictures, *, streams: bool) -> Data:
        how = {
            "none": f"levels 0..{LEVELS}",
            "fixed": f"binarised once with seed {BINARIZE_SEED}",
            "dynamic": "binarised anew at each access",
        }[pictures.binarize]
        said = f"{self._title}, {how}: {_NAMES[role]}"
        return data_of(pictures, workers=self.workers, streams=streams, description=said)


def _fits(side: object) -> bool:
    return isinstance(side, int) and is_count(side) and side <= _SIDE

"""The handwritten digits that come with scikit-learn: real data that need no download."""

from typing import final

import torch

from pyrovae.data.base import Data
from pyrovae.data.labelling import check_budget, within_budget
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
from pyrovae.data.tensors import TensorData

_LEVELS = 16
_CLASSES = 10


@final
class Digits(Source):
    """1797 handwritten digits of 8x8 pixels with grey levels 0..16, and labels.

    Alpaydin and Kaynak (1998), "Optical recognition of handwritten digits", UCI repository: each
    pixel counts the black ones among the 4x4 pixels of the scanned image that it covers, whence
    the binomial likelihood.

    Arguments:
        valid: how many images to validate on; 0 for none.
        test: how many images to test on; 0 for none.
        seed: seeds the permutation that splits the images.
        labels: how many labels of the training data to keep, equally many of each class; the
            others, and those of the validation data, become unknown. None keeps all.
        labels_seed: chooses them.
        labelled_share: repeats labelled rows a whole number of times, to be about this share of
            the training rows, and so of a batch; None reads each once.

    Raises:
        ValueError: a size is negative, or none would be left to train on, or a number of labels is
            out of range.

    Example:
        >>> source = Digits(test=397)
        >>> source
        Digits(test=397)
        >>> source.event_shape, source.total_count, source.suggestion.likelihood
        ((1, 8, 8), 16, 'Binomial')
        >>> train, valid, test = source.load()
        >>> len(train), len(valid), len(test)
        (1200, 200, 397)
    """

    def __init__(
        self,
        *,
        valid: int = 200,
        test: int = 400,
        seed: int = 0,
        labels: int | None = None,
        labels_seed: int = 0,
        labelled_share: float | None = None,
    ) -> None:
        self.valid = valid
        self.test = test
        self.seed = seed
        self.labels = labels
        self.labels_seed = labels_seed
        self.labelled_share = labelled_share
        check_part(self, "valid", valid)
        check_part(self, "test", test)
        check_seed(self, seed)
        check_budget(self)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (1, 8, 8)

    @property
    def total_count(self) -> int | None:
        return _LEVELS

    @property
    def label_form(self) -> LabelForm:
        return LabelForm(levels=_CLASSES)

    @property
    def suggestion(self) -> Suggestion:
        return Suggestion(
            likelihood="Binomial",
            arguments={"total_count": _LEVELS},
            reason="a grey level counts the black ones among 16 scanned pixels",
        )

    def load(self) -> Splits:
        from sklearn.datasets import load_digits

        read = load_digits()
        x = torch.from_numpy(read.images).to(torch.uint8)[:, None]
        y = torch.from_numpy(read.target).to(torch.int64)
        rows = split_rows(len(x), valid=self.valid, test=self.test, seed=self.seed)

        def part(name: str, chosen: torch.Tensor) -> Data:
            said = f"handwritten digits of scikit-learn, grey levels 0..{_LEVELS}: {name}"
            return TensorData({"x": x[chosen], "y": y[chosen]}, description=said)

        return within_budget(self, cut(rows, part))

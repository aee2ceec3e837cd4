"""MNIST and Fashion-MNIST: 70 000 images of 28x28 pixels in ten classes."""

from typing import ClassVar, final

import torch
from torch import Tensor

from pyrovae.data.binarization import BINARIZE_SEED, Binarization, check_binarize
from pyrovae.data.image_files import Images, read_images
from pyrovae.data.labelling import check_budget, within_budget
from pyrovae.data.levels import byte_levels
from pyrovae.data.shift import Shift
from pyrovae.data.source import (
    LabelForm,
    Source,
    Splits,
    Suggestion,
    check_part,
    check_seed,
    split_rows,
)
from pyrovae.data.tensors import TensorData
from pyrovae.data.transforms import Binarize, Compose, Transform, binarized
from pyrovae.numeric import is_count

_LEVELS = 255
_CLASSES = 10
_SIDE = 28


class _MNISTFormat(Source):
    """A data set in the format of MNIST, by the `name` that torchvision gives it."""

    name: ClassVar[str]

    def __init__(
        self,
        *,
        root: str | None = None,
        binarize: Binarization = "dynamic",
        valid: int = 10_000,
        seed: int = 0,
        labels: int | None = None,
        labels_seed: int = 0,
        labelled_share: float | None = None,
        shift: int = 0,
    ) -> None:
        self.root = root
        self.binarize: Binarization = binarize
        self.valid = valid
        self.seed = seed
        self.labels = labels
        self.labels_seed = labels_seed
        self.labelled_share = labelled_share
        self.shift = shift
        check_binarize(self, binarize)
        check_part(self, "valid", valid)
        check_seed(self, seed)
        check_budget(self)
        if not is_count(shift, least=0) or shift >= _SIDE:
            raise ValueError(
                f"{type(self).__name__} expects shift to be a number of pixels from 0 to "
                f"{_SIDE - 1}; got {shift!r}"
            )

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (1, _SIDE, _SIDE)

    @property
    def total_count(self) -> int | None:
        return _LEVELS if self.binarize == "none" else None

    @property
    def label_form(self) -> LabelForm:
        return LabelForm(levels=_CLASSES)

    @property
    def suggestion(self) -> Suggestion:
        if self.binarize == "none":
            return byte_levels()
        return Suggestion(likelihood="Bernoulli", reason="the pixels are binarised")

    def load(self) -> Splits:
        images = read_images(self.name, self.root)
        splits = _splits(self.name, images, self.binarize, self.valid, self.seed, self.shift)
        return within_budget(self, splits)


@final
class MNIST(_MNISTFormat):
    """Handwritten digits, 60 000 to train on and 10 000 to test on.

    LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to document
    recognition". Binarisation draws each pixel from a Bernoulli with its grey level (Salakhutdinov
    and Murray, 2008). The fixed one is our own draw, the same for everybody, and not the file of
    Larochelle and Murray (2011): results on the two agree only up to that draw.

    Arguments:
        root: the folder that holds, or shall hold, `MNIST/raw`; None takes the environment
            variable PYROVAE_DATA, else `pyrovae` in the user's cache folder.
        binarize: "dynamic" draws the training images anew at each access, validation and test
            images once with a fixed seed; "fixed" draws all of them once; "none" keeps the grey
            levels 0..255.
        valid: how many training images to validate on instead; 0 for none.
        seed: seeds the permutation that chooses them.
        labels: how many labels of the training data to keep, equally many of each class; the
            others, and those of the validation data, become unknown. None keeps all.
        labels_seed: chooses them.
        labelled_share: repeats labelled rows a whole number of times, to be about this share of
            the training rows, and so of a batch; None reads each once.
        shift: by up to how many pixels each training image is moved, at random and anew at each
            access, before it is binarised; 0 for none.

    Raises:
        ValueError: an argument is none of what is listed.

    Example:
        >>> grey = MNIST(binarize="none")
        >>> grey.event_shape, grey.suggestion.likelihood, grey.suggestion.arguments
        ((1, 28, 28), 'DiscretizedLogisticMixture', {'total_count': 255})
    """

    name = "MNIST"


@final
class FashionMNIST(_MNISTFormat):
    """Pictures of clothing in the format of MNIST, 60 000 to train on and 10 000 to test on.

    Xiao, Rasul and Vollgraf (2017), arXiv:1708.07747.

    Arguments:
        root: the folder that holds, or shall hold, `FashionMNIST/raw`; None takes the environment
            variable PYROVAE_DATA, else `pyrovae` in the user's cache folder.
        binarize: "dynamic", "fixed" or "none", as in `MNIST`.
        valid: how many training images to validate on instead; 0 for none.
        seed: seeds the permutation that chooses them.
        labels: how many labels of the training data to keep, equally many of each class; the
            others, and those of the validation data, become unknown. None keeps all.
        labels_seed: chooses them.
        labelled_share: repeats labelled rows a whole number of times, to be about this share of
            the training rows, and so of a batch; None reads each once.
        shift: by up to how many pixels each training image is moved, at random and anew at each
            access, before it is binarised; 0 for none.

    Raises:
        ValueError: an argument is none of what is listed.

    Example:
        >>> FashionMNIST().suggestion.likelihood
        'Bernoulli'
    """

    name = "FashionMNIST"


def _splits(
    name: str, images: Images, binarize: Binarization, valid: int, seed: int, shift: int
) -> Splits:
    """Cut validation images from the training ones, and binarise as asked."""
    rows = split_rows(len(images.train_x), valid=valid, test=0, seed=seed)

    def once(x: Tensor, stream: int) -> Tensor:
        """Binarise a whole file, so that an image looks the same in whatever split it is."""
        if binarize == "none":
            return x
        own = torch.Generator().manual_seed(BINARIZE_SEED + stream)
        return binarized(x, generator=own).to(torch.uint8)

    how = {
        "none": f"grey levels 0..{_LEVELS}",
        "fixed": f"binarised once with seed {BINARIZE_SEED}",
        "dynamic": f"binarised once with seed {BINARIZE_SEED}",
    }[binarize]
    dynamic = binarize == "dynamic"
    # drawing all training images once is idle work where only dynamic ones are asked for
    still = images.train_x if dynamic and not valid else once(images.train_x, 0)
    held = None
    if valid:
        held = TensorData(
            {"x": still[rows.valid], "y": images.train_y[rows.valid]},
            description=f"{name}, {how}: validation, {valid} of its training images",
        )
    steps: list[Transform] = [Shift(pixels=shift)] if shift else []
    steps += [Binarize(levels=_LEVELS)] if dynamic else []
    said = "binarised anew at each access" if dynamic else how
    said += f", moved by up to {shift} pixels" if shift else ""
    train = TensorData(
        {
            "x": (images.train_x if dynamic else still)[rows.train],
            "y": images.train_y[rows.train],
        },
        transform=Compose(transforms=tuple(steps)) if len(steps) > 1 else next(iter(steps), None),
        description=f"{name}, {said}: training",
    )
    test = TensorData(
        {"x": once(images.test_x, 1), "y": images.test_y},
        description=f"{name}, {how}: test",
    )
    return Splits(train, held, test)

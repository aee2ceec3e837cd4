"""Quadrants: images of which a part is seen, to draw the rest given it."""

from collections.abc import Iterator
from typing import Literal, final, get_args

import torch
from torch import Tensor

from pyrovae.data.base import Data, Epoch
from pyrovae.data.mnist import MNIST
from pyrovae.data.source import LabelForm, Source, Splits, Suggestion
from pyrovae.numeric import is_finite

Visible = Literal[1, 2, 3]


@final
class Quadrants(Source):
    """The images of another source, given some of their quadrants.

    x is the image, of which the hidden quadrants alone are scored: they are what `observed` says.
    y is the image as it is seen, floating and of the same shape, with one value for all that is
    hidden. In the order of Pyro's tutorial on conditional models 1 shows the bottom left quadrant,
    2 the left half, 3 all but the bottom right quadrant. Of an odd height or width the middle row
    is in the lower half, the middle column in the right one. Counts are shown from 0 to 1.

    References:
        Sohn, Lee and Yan, 2015, Learning structured output representation using deep conditional
        generative models, on this task.

    Arguments:
        source: the source of images, `MNIST()` where none is given.
        visible: how many quadrants are seen, 1, 2 or 3.
        fill: what y is where it is hidden; outside of the data, so that hidden is not black.

    Raises:
        TypeError: `source` is no source.
        ValueError: it is not one of images, or a number is none of what is listed.

    Example:
        >>> from pyrovae.data import Digits
        >>> batch = next(Quadrants(Digits(), visible=1).load().test.batches(batch_size=5))
        >>> batch["observed"][0, 0, ::4, ::4].tolist()
        [[True, True], [False, True]]
        >>> bool((batch["y"][batch["observed"]] == -1.0).all())
        True
    """

    def __init__(
        self, source: Source | None = None, *, visible: Visible = 1, fill: float = -1.0
    ) -> None:
        self.source = MNIST() if source is None else source
        self.visible: Visible = visible
        self.fill = fill
        if not isinstance(self.source, Source):
            raise TypeError(
                f"Quadrants expects source to be a source such as MNIST(); got {source!r}"
            )
        if isinstance(visible, bool) or visible not in get_args(Visible):
            raise ValueError(f"Quadrants expects visible to be 1, 2 or 3; got {visible!r}")
        if not is_finite(fill):
            raise ValueError(f"Quadrants expects fill to be a finite number; got {fill!r}")

    @property
    def event_shape(self) -> tuple[int, ...]:
        shape = self.source.event_shape
        if len(shape) != 3 or min(shape[1:]) < 2:
            raise ValueError(
                f"Quadrants expects images, x of shape (channels, height, width) with two rows and "
                f"columns at least; {self.source!r} has x of shape {shape}"
            )
        return shape

    @property
    def total_count(self) -> int | None:
        return self.source.total_count

    @property
    def suggestion(self) -> Suggestion:
        return self.source.suggestion

    @property
    def short_name(self) -> str:
        return f"{self.source.short_name}-quadrants"

    @property
    def label_form(self) -> LabelForm:
        return LabelForm(shape=self.event_shape)

    @property
    def origin(self) -> Source:
        return self.source.origin

    def described(self) -> list[str]:
        return self.source.described()

    def settled(self) -> Source:
        return self._of(self.source.settled())

    def like(self, other: Source) -> Source:
        return self._of(self.source.like(other))

    def load(self) -> Splits:
        shape, levels = self.event_shape, self.total_count

        def seen(split: Data | None) -> Data | None:
            if split is None:
                return None
            return QuadrantsData(split, visible=self.visible, fill=self.fill, levels=levels)

        train, valid, test = self.source.load()
        for split in (train, valid, test):
            if split is not None and split.event_shape != shape:
                raise ValueError(
                    f"{self.source!r} states x of shape {shape} and has x of shape "
                    f"{split.event_shape}"
                )
        whole = QuadrantsData(train, visible=self.visible, fill=self.fill, levels=levels)
        return Splits(train=whole, valid=seen(valid), test=seen(test))

    def _of(self, source: Source) -> "Quadrants":
        """Return another source seen as here."""
        if source is self.source:
            return self
        return Quadrants(source, visible=self.visible, fill=self.fill)


class QuadrantsData(Data):
    """One split of images, given some of their quadrants.

    Arguments:
        data: the split, of images.
        visible: how many quadrants are seen, 1, 2 or 3.
        fill: what y is where it is hidden.
        levels: what a count of 1 in y is of x; None where x are no counts.
    """

    def __init__(
        self, data: Data, *, visible: Visible, fill: float = -1.0, levels: int | None = None
    ) -> None:
        self.data = data
        self.visible: Visible = visible
        self.fill = fill
        self.levels = levels
        seen = {1: "one quadrant", 2: "two quadrants", 3: "three quadrants"}[visible]
        self.description = f"{data.description}, given {seen}"

    def __repr__(self) -> str:
        return f"QuadrantsData({self.data!r}, visible={self.visible}, fill={self.fill})"

    def __len__(self) -> int:
        return len(self.data)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.data.event_shape

    @property
    def keys(self) -> tuple[str, ...]:
        return ("x", "y", "observed", "index")

    @property
    def sized(self) -> bool:
        return self.data.sized

    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        for batch in self.data._read(epoch):
            x = batch["x"]
            shown = seen(x, self.visible)
            known = batch.get("observed")
            scored = ~shown if known is None else known & ~shown
            told = shown if known is None else known & shown
            y = torch.where(told, x if self.levels is None else x / self.levels, self.fill)
            yield {"x": x, "y": y, "observed": scored, "index": batch["index"]}


def seen(x: Tensor, visible: Visible) -> Tensor:
    """Return which pixels of images are seen, boolean, of the shape of x.

    Arguments:
        x: images, of shape `[*batch, height, width]`.
        visible: how many quadrants are seen, 1, 2 or 3.

    Example:
        >>> seen(torch.zeros(2, 3), 1).tolist()
        [[False, False, False], [True, False, False]]
    """
    height, width = x.shape[-2:]
    below = torch.arange(height, device=x.device).unsqueeze(-1) >= height // 2
    left = torch.arange(width, device=x.device) < width // 2
    shown = {1: below & left, 2: left.expand(height, width), 3: left | ~below}[visible]
    return shown.expand(x.shape).contiguous()

"""Hidden entries: data of which a share is declared missing, to see what a model makes of them."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from pyrovae.data.base import Data, Epoch
from pyrovae.data.digits import Digits
from pyrovae.data.source import LabelForm, Source, Splits, Suggestion, check_seed
from pyrovae.data.table_texts import TableForm
from pyrovae.numeric import is_finite

# of the mixing function of Steele, Lea and Flood's SplitMix64 (2014), as signed numbers
_STEP = -0x61C8864680B583EB
_MIX = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15))
_LAST = 31
_BITS = 53  # that a double holds


@final
class Hidden(Source):
    """Another source of which a share of the entries is hidden, each by itself at random.

    Hidden entries are declared missing and are zero in every batch, in all splits. Which ones are
    hidden depends on the seed, the split, the index of the datum and the place in it alone, so it
    is the same in every epoch. What they were is in the splits of the source itself.

    Arguments:
        source: the source, `Digits()` where none is given.
        share: the share of the entries that is hidden, in [0, 1).
        seed: chooses them.

    Raises:
        TypeError: `source` is no source.
        ValueError: the share is no number in [0, 1), or the seed none that torch takes.

    Example:
        >>> source = Hidden(Digits(), share=0.25)
        >>> batch = next(source.load().test.batches(batch_size=400))
        >>> abs(batch["observed"].double().mean().item() - 0.75) < 0.02
        True
        >>> bool((batch["x"][~batch["observed"]] == 0).all())
        True
    """

    def __init__(self, source: Source | None = None, *, share: float = 0.5, seed: int = 0) -> None:
        self.source = Digits() if source is None else source
        self.share = share
        self.seed = seed
        if not isinstance(self.source, Source):
            raise TypeError(
                f"Hidden expects source to be a source such as Digits(); got {source!r}"
            )
        if not is_finite(share) or not 0.0 <= share < 1.0:
            raise ValueError(
                f"Hidden expects share to be a number in [0, 1), the share of the entries that is "
                f"hidden; got {share!r}"
            )
        check_seed(self, seed)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.source.event_shape

    @property
    def total_count(self) -> int | None:
        return self.source.total_count

    @property
    def suggestion(self) -> Suggestion:
        return self.source.suggestion

    @property
    def short_name(self) -> str:
        return f"{self.source.short_name}-hidden"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.source.classes

    @property
    def label_form(self) -> LabelForm | None:
        return self.source.label_form

    @property
    def origin(self) -> Source:
        return self.source.origin

    @property
    def form(self) -> TableForm | None:
        return self.source.form

    def described(self) -> list[str]:
        return self.source.described()

    def settled(self) -> Source:
        return self._of(self.source.settled())

    def like(self, other: Source) -> Source:
        return self._of(self.source.like(other))

    def load(self) -> Splits:
        def hidden(split: Data, stream: int) -> Data:
            return HiddenData(split, share=self.share, seed=self.seed, stream=stream)

        train, valid, test = self.source.load()
        return Splits(
            train=hidden(train, 0),
            valid=None if valid is None else hidden(valid, 1),
            test=None if test is None else hidden(test, 2),
        )

    def _of(self, source: Source) -> "Hidden":
        """Return another source with a share of its entries hidden as here."""
        return self if source is self.source else Hidden(source, share=self.share, seed=self.seed)


class HiddenData(Data):
    """One split of which a share of the entries is hidden.

    Arguments:
        data: the split, with all that is known.
        share: the share of the entries that is hidden.
        seed: chooses them.
        stream: which of several splits this is, which hide other entries.
    """

    def __init__(self, data: Data, *, share: float, seed: int, stream: int = 0) -> None:
        self.data = data
        self.share = share
        self.seed = seed
        self.stream = stream
        self.description = f"{data.description}, {share:.0%} of the entries hidden"

    def __repr__(self) -> str:
        return f"HiddenData({self.data!r}, share={self.share}, seed={self.seed})"

    def __len__(self) -> int:
        return len(self.data)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.data.event_shape

    @property
    def keys(self) -> tuple[str, ...]:
        others = (key for key in self.data.keys if key not in ("observed", "index"))
        return (*others, "observed", "index")

    @property
    def sized(self) -> bool:
        return self.data.sized

    def labels(self) -> Tensor | None:
        return self.data.labels()

    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        for batch in self.data._read(epoch):
            x = batch["x"]
            size = x[0].numel()
            numbers = uniform(batch["index"], size, seed=self.seed, stream=self.stream)
            observed = (numbers >= self.share).reshape(x.shape)
            if "observed" in batch:
                observed &= batch["observed"]
            index = batch.pop("index")
            hidden = torch.where(observed, x, torch.zeros((), dtype=x.dtype, device=x.device))
            yield {**batch, "x": hidden, "observed": observed, "index": index}


def uniform(index: Tensor, size: int, *, seed: int, stream: int = 0) -> Tensor:
    """Return numbers in [0, 1) for each entry of each datum, that depend on nothing else.

    Arguments:
        index: which datum each row is, of shape `[batch]`.
        size: how many entries a datum has.
        seed: chooses the numbers.
        stream: chooses others, of the same seed.

    Returns:
        Doubles of shape `[batch, size]`.

    Example:
        >>> numbers = uniform(torch.arange(1000), 100, seed=3)
        >>> torch.equal(uniform(torch.tensor([7]), 100, seed=3)[0], numbers[7])
        True
    """
    place = torch.arange(size, device=index.device)
    start = torch.tensor([seed, stream], dtype=torch.int64, device=index.device)
    key = _mixed(_mixed(start[:1]) + start[1:])  # one after the other, so that nothing adds up
    rows = _mixed(key + index.to(torch.int64))
    bits = _mixed(rows.unsqueeze(-1) + place)
    return _shifted(bits, 64 - _BITS).double() * 2.0**-_BITS


def _mixed(value: Tensor) -> Tensor:
    """Return numbers of 64 bits that look random, other ones for each value."""
    value = (value + 1) * _STEP
    for shift, factor in _MIX:
        value = (value ^ _shifted(value, shift)) * factor
    return value ^ _shifted(value, _LAST)


def _shifted(value: Tensor, shift: int) -> Tensor:
    """Shift to the right and fill with zeros, as of numbers without a sign."""
    return (value >> shift) & ((1 << (64 - shift)) - 1)

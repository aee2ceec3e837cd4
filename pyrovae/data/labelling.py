"""Labelling: how many labels of the training data are kept, and how often their rows are read.

Labels beyond the budget become unknown for training and for validation, so that no choice rests on
them. Those of the test data stay.
"""

from typing import Protocol

import torch
from torch import Tensor

from pyrovae.data.labelled import LabelledData, is_known, keeping
from pyrovae.data.source import LabelForm, Splits
from pyrovae.numeric import is_count, is_finite, is_seed

_STREAM = 0x4C4142454C  # so that a seed of labels draws other numbers than one of splits


class Budget(Protocol):
    """A source with a budget of labels.

    Arguments:
        labels: how many of the training data keep theirs, None for all.
        labels_seed: seeds which ones.
        labelled_share: the share of the rows that labelled ones shall be, None to read each once.
    """

    labels: int | None
    labels_seed: int
    labelled_share: float | None


def check_budget(source: Budget) -> None:
    """Raise ValueError where the arguments of a budget are out of range."""
    name = type(source).__name__
    if source.labels is not None and not is_count(source.labels, least=0):
        raise ValueError(
            f"{name} expects labels to be how many labels of the training data are kept, 0 for "
            f"none and None for all; got {source.labels!r}"
        )
    if not is_seed(source.labels_seed):
        raise ValueError(
            f"{name} expects labels_seed to be an integer from 0 to 2**63 - 1; "
            f"got {source.labels_seed!r}"
        )
    share = source.labelled_share
    if share is not None and not (is_finite(share) and 0.0 < share < 1.0):
        raise ValueError(
            f"{name} expects labelled_share to be a number between 0 and 1, the share of the rows "
            f"of a batch that carry a label, or None; got {share!r}"
        )


def within_budget(source: Budget, splits: Splits, *, y: Tensor | None = None) -> Splits:
    """Return splits with the labels that a source keeps, and labelled rows as often as it says.

    A row that is repeated keeps its `index`, which says which datum it is: what is hidden of a
    datum, or learned for it, is so in all its rows.

    Arguments:
        source: the source, with its budget.
        splits: its data with all labels.
        y: the labels of the training data, where they are at hand; None asks the data.

    Raises:
        ValueError: there are no labels, fewer than asked for, or too few of a class.

    Example:
        >>> from pyrovae.data import Digits
        >>> train, valid, test = Digits(labels=100, labelled_share=0.25).load()
        >>> len(train.data), len(train), int((train.labels() >= 0).sum())
        (1197, 1497, 400)
        >>> print(train.description.partition("16: ")[2])
        training, 100 of 1 197 labelled, each read 4 times an epoch (26.7 % of the rows)
    """
    if source.labels is None and source.labelled_share is None:
        return splits
    train, valid, test = splits
    y = train.labels() if y is None else y
    name = type(source).__name__
    if y is None:
        given = {"labels": source.labels, "labelled_share": source.labelled_share}
        said = ", ".join(f"{key}={value}" for key, value in given.items() if value is not None)
        raise ValueError(f"{name}: {said}, and the training data have no labels")
    kept = is_known(y)
    if source.labels is not None:
        try:
            kept = choose_labels(y, source.labels, seed=source.labels_seed)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        train = keeping(train, kept)
        if valid is not None and "y" in valid.keys:
            valid = keeping(valid, torch.zeros(len(valid), dtype=torch.bool))
            valid.description += ", its labels put aside"
    count = int(kept.sum())
    said = f"{train.description}, {_spaced(count)} of {_spaced(len(y))} labelled"
    if source.labelled_share is not None:
        if not count:
            raise ValueError(
                f"{name}: labelled_share={source.labelled_share}, and none of the training data "
                f"is labelled: leave it out, or keep labels"
            )
        times = repeats(count, len(y) - count, source.labelled_share)
        own = torch.nonzero(kept).flatten()
        rows = torch.cat([torch.arange(len(y)), own.repeat(times - 1)])
        train = LabelledData(train, rows=rows)
        often = "once" if times == 1 else f"{_spaced(times)} times"
        share = 100.0 * times * count / len(rows)
        said += f", each read {often} an epoch ({share:.1f} % of the rows)"
    train.description = said
    return Splits(train, valid, test)


def choose_labels(y: Tensor, count: int, *, seed: int) -> Tensor:
    """Choose some of the known labels, equally many of each class.

    What is left over by the number of classes goes to classes that the seed chooses, one each. Of
    one seed the fewer labels are among the more. Real numbers are chosen from all alike.

    Arguments:
        y: the labels, as in data.
        count: how many to choose.
        seed: chooses them, by random numbers of its own.

    Returns:
        Which are chosen, boolean, of shape `[N]`.

    Raises:
        ValueError: there are fewer known labels, or of a class fewer than its share.

    Example:
        >>> y = torch.tensor([0, 0, 0, 1, 1, -1])
        >>> y[choose_labels(y, 4, seed=0)].tolist()
        [0, 0, 1, 1]
    """
    known = is_known(y)
    total = int(known.sum())
    if count > total:
        raise ValueError(
            f"expected labels to be at most {total}, which is how many of {len(y)} training data "
            f"have a label; got {count}"
        )
    own = torch.Generator().manual_seed(seed ^ _STREAM)
    order = torch.randperm(len(y), generator=own)
    order = order[known[order]]
    chosen = torch.zeros(len(y), dtype=torch.bool)
    if y.is_floating_point():
        chosen[order[:count]] = True
        return chosen
    codes, sizes = y[known].unique(return_counts=True)
    each, rest = divmod(count, max(1, len(codes)))
    ranks = torch.randperm(len(codes), generator=own)
    more = ranks[sizes[ranks] > each][:rest]
    if bool((sizes < each).any()) or len(more) < rest:
        at = int(sizes.argmin())
        least = int(sizes[at])
        most = least * len(codes) + int((sizes > least).sum())
        raise ValueError(
            f"{count} labels cannot be balanced over {len(codes)} classes, since class "
            f"{int(codes[at])} has {least} labelled training data: expected labels to be at most "
            f"{most}, or None to keep all {total}"
        )
    sizes.fill_(each)
    sizes[more] += 1
    labels = y[order]
    for code, size in zip(codes.tolist(), sizes.tolist(), strict=True):
        chosen[order[labels == code][:size]] = True
    return chosen


def repeats(labelled: int, unlabelled: int, share: float) -> int:
    """Return how often labelled rows are read, a whole number, to be about a share of all.

    They are `r n / (r n + m)` of all rows, so `r = m s / (n (1 - s))`, rounded, and at least one.

    Arguments:
        labelled: n, how many rows carry a label.
        unlabelled: m, how many carry none.
        share: s, in (0, 1).

    Example:
        >>> repeats(100, 49_900, 0.1)
        55
    """
    return max(1, round(unlabelled * share / (labelled * (1.0 - share))))


def form_of(y: Tensor | None) -> LabelForm | None:
    """Return what labels are: as many classes as the largest code says, or numbers of a shape.

    Example:
        >>> form_of(torch.tensor([0, 2, -1])), form_of(torch.zeros(3, 2))
        (LabelForm(shape=(), levels=3), LabelForm(shape=(2,), levels=None))
    """
    if y is None:
        return None
    if y.is_floating_point():
        return LabelForm(shape=tuple(y.shape[1:]))
    levels = int(y.max()) + 1
    return LabelForm(levels=levels) if levels > 0 else None  # without one known: who could say


def _spaced(count: int) -> str:
    """Return a count with its thousands apart."""
    return f"{count:,}".replace(",", " ")

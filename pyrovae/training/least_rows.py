"""The least rows of a batch: statistics need some, and gathering some in each process."""

from pyrovae.data import Data
from pyrovae.training.losses import Loss


def check_least_rows(
    loss: Loss, train: Data, valid: Data | None, batch_size: int, *, parts: int = 1
) -> None:
    """Raise ValueError where a batch to come has too few rows for the objective.

    So it is said before the first step, and not at the end of an epoch.

    Arguments:
        loss: the objective and the programs.
        train: what is trained on.
        valid: what is validated on.
        batch_size: rows in a batch.
        parts: how many processes share a batch.
    """
    if loss.own is None:
        return
    objective = loss.own.objective
    least, gather = loss.least_rows, bool(getattr(objective, "gather", False)) and parts > 1
    if least == 1 and not gather:
        return
    splits = {"training": train} if valid is None else {"training": train, "validation": valid}
    counts = {name: len(split) for name, split in splits.items() if split.sized}
    if gather and len(counts) < len(splits):
        raise ValueError(
            f"{objective!r} gathers the rows of {parts} processes, each of which needs some of "
            f"every batch; a stream does not say how many it has: give gather=False, or data of a "
            f"known length"
        )

    def fits(size: int) -> bool:
        return all(
            enough(rows, least, parts, gather=gather)
            for count in counts.values()
            for rows in ({size, count % size} if count >= size else {count})
        )

    if fits(batch_size):
        return
    top = max(counts.values())
    sizes = [*range(batch_size - 1, 0, -1), *range(batch_size + 1, top + 1)]
    fitting = next(filter(fits, sizes), None)
    remedy = "give more data" if fitting is None else f"choose another, such as {fitting}"
    said = " and ".join(f"{count} {name} data" for name, count in counts.items())
    each = f" in each of {parts} processes" if parts > 1 else ""
    raise ValueError(
        f"{objective!r} needs at least {1 if gather else least} rows of every batch{each}, and "
        f"batch_size={batch_size} leaves fewer of {said}; {remedy}"
    )


def enough(rows: int, least: int, parts: int, *, gather: bool) -> bool:
    """Return whether a batch of so many rows can be shared; no rows at all are no batch.

    Without gathering, a process that has no rows of a batch takes no part in it.

    Example:
        >>> enough(3, 2, 2, gather=False), enough(3, 2, 2, gather=True)
        (False, True)
    """
    if rows == 0:
        return True
    if gather:
        return rows >= max(least, parts)
    shares = {rows // parts, -(-rows // parts)}
    return all(share == 0 or share >= least for share in shares)

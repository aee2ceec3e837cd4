"""Timing for the benchmarks: blocks of each way in turns, so that a busy machine slows all alike.

A round runs one block of every way, in an order that is turned round from one round to the next.
What is compared are the two blocks of one round, so the ratio of two ways is the median of the
ratios of the rounds, and its spread the lower and upper quartile of them.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from statistics import median, quantiles

Blocks = Mapping[str, Callable[[], object]]
Times = dict[str, list[float]]


def alternate(blocks: Blocks, *, rounds: int, per_block: int = 1) -> Times:
    """Return for each way its seconds per operation, one number a round.

    Arguments:
        blocks: for each way a function that runs one block of it; the first call is not counted.
        rounds: how many counted blocks each way gets.
        per_block: how many operations a block runs.
    """
    for block in blocks.values():
        block()
    times: Times = {name: [] for name in blocks}
    for number in range(rounds):
        for name in list(blocks) if number % 2 == 0 else reversed(list(blocks)):
            began = time.perf_counter()
            blocks[name]()
            times[name].append((time.perf_counter() - began) / per_block)
    return times


def ratio(times: Times, one: str, other: str) -> tuple[float, float, float]:
    """Return the ratio of two ways and its lower and upper quartile over the rounds."""
    ratios = [a / b for a, b in zip(times[one], times[other], strict=True)]
    if len(ratios) == 1:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return middle, low, high


def ratios(times: Times, pairs: Iterable[tuple[str, str]]) -> str:
    """Return a line for each pair of ways that were both timed: the first's time by the other's."""
    lines = []
    for one, other in pairs:
        if one in times and other in times:
            middle, low, high = ratio(times, one, other)
            lines.append(f"  {one} / {other}: {middle:.3f} ({low:.3f} - {high:.3f})")
    return "\n".join(lines)


def table(title: str, times: Times, *, ours: str | None = None, unit: str = "ms") -> str:
    """Return a table of medians and minima, and of the ratio of our way to each of the others.

    Arguments:
        title: what one operation is.
        times: what `alternate` returned.
        ours: the way that the others are compared with, None for none.
        unit: "ms" or "s".
    """
    factor = {"ms": 1e3, "s": 1.0}[unit]
    width = max(map(len, times))
    header = f"  {'':{width}}  {'median':>8}  {'minimum':>8}"
    header += "" if ours is None else "   ours / this (quartiles)"
    rounds = len(next(iter(times.values())))
    lines = [f"{title}: {unit}, {rounds} round{'s' if rounds > 1 else ''}", header]
    for name, values in times.items():
        numbers = f"{factor * median(values):8.3f}  {factor * min(values):8.3f}"
        compared = ""
        if ours is not None and name != ours:
            middle, low, high = ratio(times, ours, name)
            compared = f"   {middle:.3f} ({low:.3f} - {high:.3f})"
        lines.append(f"  {name:{width}}  {numbers}{compared}")
    return "\n".join(lines)

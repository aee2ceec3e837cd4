"""How the time of a distance between two samples grows with their size.

Each row is a distance, value and gradient by one sample, in samples of n vectors of which each size
is twice the one before; first of several numbers, then of one number. Behind the times stands the
power of n that explains the step from each size to the next: 1 is linear, 2 is a matrix of all
pairs, and n log n comes out a little above 1. All sizes of all distances run in turns.

    python benchmarks/distances.py [--repeats ROUNDS] [--quick]
"""

import argparse
import math
from collections.abc import Callable
from statistics import median

import torch
from _timing import alternate

from pyrovae.distances import MMD, Distance, Energy, Sinkhorn, SlicedWasserstein

SIZES = (512, 1024, 2048, 4096)
LARGE = (2**14, 2**15, 2**16, 2**17)  # of what needs no matrix of all pairs
DIM = 16
PAIRED = (MMD(), Energy(), Sinkhorn())
SORTED = (SlicedWasserstein(projections=20), Energy(projections=20))
LINE = (SlicedWasserstein(), Energy())


def block(distance: Distance, n: int, dim: int) -> Callable[[], object]:
    """Return what takes one value and its gradient."""
    x, y = torch.randn(n, dim, requires_grad=True), torch.randn(n, dim)

    def run() -> object:
        return torch.autograd.grad(distance(x, y), x)

    return run


def powers(times: list[float], sizes: list[int]) -> list[float]:
    """Return the power of n that explains the step from each size to the next.

    Example:
        >>> powers([1.0, 4.0], [10, 20])
        [2.0]
    """
    steps = zip(times, times[1:], sizes, sizes[1:], strict=False)
    return [math.log(after / before) / math.log(n / m) for before, after, m, n in steps]


def table(distances: tuple[Distance, ...], sizes: list[int], dim: int, *, rounds: int) -> str:
    """Return the table of some distances."""
    torch.manual_seed(0)
    blocks = {f"{d!r} {n}": block(d, n, dim) for d in distances for n in sizes}
    times = alternate(blocks, rounds=rounds)
    numbers = f"{dim} number{'s' if dim > 1 else ''}"
    heads = "".join(f"{f'n = {n}':>12}" for n in sizes)
    lines = [f"Samples of {numbers}: ms, {rounds} rounds", f"{'':34}{heads}   power of n"]
    for distance in distances:
        found = [median(times[f"{distance!r} {n}"]) for n in sizes]
        cells = "".join(f"{1e3 * value:12.2f}" for value in found)
        grown = " ".join(f"{power:.2f}" for power in powers(found, sizes))
        lines.append(f"{distance!r:34}{cells}   {grown}   ({distance.cost})")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=9, help="counted blocks of each way")
    parser.add_argument("--quick", action="store_true", help="only sees that everything runs")
    given = parser.parse_args(words)
    rounds = 1 if given.quick else given.repeats
    small, large = ([8, 16], [16, 32]) if given.quick else ([*SIZES], [*LARGE])
    dim = 4 if given.quick else DIM
    print(table((*PAIRED, *SORTED), small, dim, rounds=rounds) + "\n")
    print(table(SORTED, large, dim, rounds=rounds) + "\n")
    print(table(LINE, large, 1, rounds=rounds))


if __name__ == "__main__":
    main()

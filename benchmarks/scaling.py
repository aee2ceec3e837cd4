"""Whether the cost of an example stays what it is when there are more of them.

In memory: the time of an epoch of `fit` for each example, for 2^13 to 2^20 examples. All sizes run
in turns in one process; small ones take as many epochs as make up 2^16 examples.

Stream: the largest resident size of a process that trains on an `IterableDataset` of 10^7 examples,
whose numbers are made on the way, at 10^5, 10^6 and 10^7 examples.

The network is tiny (20-16-4, batch 256), so that what data cost shows as much as it can.

    python benchmarks/scaling.py [--repeats ROUNDS] [--quick]
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import torch
from _timing import Times, ratio
from torch import Tensor
from torch.utils.data import IterableDataset

import pyrovae
from pyrovae.data import DatasetData, TensorData
from pyrovae.likelihoods import Normal
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state
from pyrovae.training.callbacks import Callback
from pyrovae.training.run import Run

COLUMNS = 20
BATCH = 256
SIZES = tuple(2**power for power in range(13, 21))
LEAST = 2**16  # examples of one measurement
MARKS = (10**5, 10**6, 10**7)
SEED = 0
_BLOCK = 4096  # examples of a stream that are made at once
_MIB = 2**20


def tiny() -> pyrovae.VAE:
    return pyrovae.VAE(
        prior=StandardNormal(4),
        likelihood=Normal((COLUMNS,), scale="shared"),
        posterior=MeanFieldNormal(),
        encoder=MLP((16,)),
        decoder=MLP((16,)),
    )


# ------------------------------------------------------------------------------------- in memory


def seconds_per_example(x: Tensor, *, least: int) -> float:
    """Return the seconds that the epochs of one call of `fit` take for each example."""
    epochs = max(1, least // len(x))
    history = pyrovae.fit(
        tiny(),
        TensorData({"x": x}),
        epochs=epochs,
        batch_size=BATCH,
        seed=SEED,
        compile=False,  # left to itself a long run would take other steps than a short one
        progress=False,
    )
    return sum(history["seconds"]) / (epochs * len(x))


def in_memory(*, sizes: Sequence[int] = SIZES, rounds: int = 5, least: int = LEAST) -> str:
    """Time an example at each size and return the table.

    Arguments:
        sizes: the numbers of examples, the smallest first, multiples of the batch.
        rounds: how many times each is measured.
        least: examples of one measurement; smaller sizes take several epochs.
    """
    times: Times = {str(size): [] for size in sizes}
    with random_state(SEED):
        x = torch.randn(max(sizes), COLUMNS)
        seconds_per_example(x[: sizes[0]], least=least)  # the first one is not counted
        for number in range(rounds):
            for size in sizes if number % 2 == 0 else reversed(sizes):
                times[str(size)].append(seconds_per_example(x[:size], least=least))
    title = f"An epoch of fit in memory, 20-16-4, batch {BATCH}: {rounds} round"
    lines = [f"{title}s" if rounds > 1 else title]
    lines.append(f"  {'examples':>9}  {'us / example':>12}   this / {sizes[0]} (quartiles)")
    for size in sizes:
        middle, low, high = ratio(times, str(size), str(sizes[0]))
        per = 1e6 * median(times[str(size)])
        lines.append(f"  {size:9}  {per:12.3f}   {middle:.3f} ({low:.3f} - {high:.3f})")
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------- stream


class Numbers(IterableDataset[Tensor]):
    """A stream of normal numbers, the same ones each time it is read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Tensor]:
        own = torch.Generator().manual_seed(SEED)
        for first in range(0, self.count, _BLOCK):
            yield from torch.randn(min(_BLOCK, self.count - first), COLUMNS, generator=own).unbind()


class Peaks(Callback):
    """Notes the largest resident size when so many examples have been read."""

    def __init__(self, marks: Sequence[int]) -> None:
        self.marks = list(marks)
        self.found: list[tuple[int, float, float]] = []  # examples, MiB, seconds
        self.began = time.perf_counter()

    def on_step(self, run: Run) -> None:
        if self.marks and run.step * BATCH >= self.marks[0]:
            spent = time.perf_counter() - self.began
            self.found.append((self.marks.pop(0), peak_bytes() / _MIB, spent))


def peak_bytes() -> int:
    """Return the largest resident size of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held before it started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def stream_here(marks: Sequence[int]) -> list[tuple[int, float, float]]:
    """Train on a stream in this process: at each mark its examples, the MiB and the seconds."""
    peaks = Peaks(marks)
    pyrovae.fit(
        tiny(),
        DatasetData(Numbers(max(marks))),
        epochs=1,
        batch_size=BATCH,
        seed=SEED,
        callbacks=[peaks],
        compile=False,
        progress=False,
    )
    return peaks.found


def stream_in_child(marks: Sequence[int]) -> list[tuple[int, float, float]]:
    """Return what `stream_here` returns in a process of its own."""
    words = [sys.executable, __file__, "--stream", *map(str, marks)]
    printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [(int(mark), peak, spent) for mark, peak, spent in json.loads(printed)]


def stream_table(found: Sequence[tuple[int, float, float]]) -> str:
    """Return the table of what a stream took."""
    title = f"A stream made on the way, 20-16-4, batch {BATCH}: the largest resident size"
    lines = [title, f"  {'examples':>9}  {'MiB':>8}  {'above the first':>15}  {'us / example':>12}"]
    for mark, peak, spent in found:
        above = peak - found[0][1]
        lines.append(f"  {mark:9}  {peak:8.1f}  {above:15.1f}  {1e6 * spent / mark:12.3f}")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each size")
    parser.add_argument("--quick", action="store_true", help="only sees that everything runs")
    parser.add_argument("--stream", type=int, nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.repeats < 1:
        parser.error(f"--repeats expects a positive integer; got {given.repeats}")
    if given.stream:
        print(json.dumps(stream_here(given.stream)))
        return
    if given.quick:
        print(in_memory(sizes=(BATCH, 2 * BATCH), rounds=1, least=BATCH) + "\n")
        print(stream_table(stream_here((BATCH, 4 * BATCH))))
        return
    print(in_memory(rounds=given.repeats) + "\n", flush=True)
    print(stream_table(stream_in_child(MARKS)))


if __name__ == "__main__":
    main()

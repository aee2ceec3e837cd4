"""One process with two threads against two processes with a thread each, at one global batch.

Each way trains the same variational autoencoder by `pyrovae.fit` on random bits, in processes that
are started anew in each round, in turns; what is compared are the median times of a step. Two
processes add up their gradients by one all-reduce, whose time alone is printed beside them.

    python benchmarks/processes.py [--repeats ROUNDS] [--quick] [--compile]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from _timing import table

import pyrovae
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.training import Callback
from pyrovae.training.devices import fabric_of, processes_of

USUAL = (784, 400, 50)
TINY = (6, 5, 2)
BATCHES = {2048: 30, 256: 200}  # steps that are counted
WARM = 5
ONE, TWO, ALONE = "one process, 2 threads", "two processes, 1 thread", "the all-reduce alone"


class Clock(Callback):
    """The time at which each step has ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step(self, run: Any) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def step_seconds(sizes: Sequence[int], batch: int, steps: int, **told: Any) -> float:
    """Return the median time of a step of `fit`."""
    pixels, hidden, latent = sizes
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(batch * 10, pixels, generator=generator) < 0.3).to(torch.uint8)
    vae = pyrovae.VAE(
        prior=StandardNormal(latent),
        likelihood=Bernoulli((pixels,)),
        posterior=MeanFieldNormal(),
        encoder=MLP((hidden,)),
        decoder=MLP((hidden,)),
    )
    clock = Clock()
    epochs = -(-(steps + WARM) // 10)
    pyrovae.fit(
        vae, x, epochs=epochs, batch_size=batch, seed=0, callbacks=[clock], progress=False,
        device="cpu", **told,
    )  # fmt: skip
    ends = clock.times[WARM:]
    return median(after - before for before, after in pairwise(ends))


def all_reduce_seconds(sizes: Sequence[int], repeats: int) -> float:
    """Return the median time of adding up as many numbers as the model has parameters."""
    pixels, hidden, latent = sizes
    count = 2 * pixels * hidden + 3 * latent * hidden + 2 * hidden + 2 * latent + pixels
    processes = processes_of(fabric_of("cpu"))
    flat = torch.zeros(count)
    times = []
    for _ in range(repeats):
        processes.wait()
        began = time.perf_counter()
        processes.add_up(flat)
        times.append(time.perf_counter() - began)
    return median(times)


def work(file: Path, *, quick: bool, told: dict[str, Any]) -> None:
    """Measure in this process, of one or of two, and leave the seconds in a file."""
    sizes = TINY if quick else USUAL
    steps = {batch: 6 if quick else count for batch, count in BATCHES.items()}
    seconds = {str(batch): step_seconds(sizes, batch, steps[batch], **told) for batch in BATCHES}
    seconds["alone"] = all_reduce_seconds(sizes, 3 if quick else 100)
    if processes_of(fabric_of("cpu")).first:
        file.write_text(json.dumps(seconds))


def measured(count: int, words: Sequence[str], file: Path) -> dict[str, float]:
    """Return what processes with together two threads measure."""
    start = ["-m", "torch.distributed.run", "--nproc-per-node", str(count)] if count > 1 else []
    subprocess.run(
        [sys.executable, *start, __file__, "--measure", str(file), *words],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(2 // count)},
    )
    return dict(json.loads(file.read_text()))


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="counted rounds of each way")
    parser.add_argument("--quick", action="store_true", help="only sees that everything runs")
    parser.add_argument("--compile", action="store_true", help="take the compiled step")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.measure is not None:
        told = {"compile": True} if given.compile else {}
        work(given.measure, quick=given.quick, told=told)
        return
    passed = [f"--{name}" for name in ("quick", "compile") if getattr(given, name)]
    found: dict[str, list[dict[str, float]]] = {ONE: [], TWO: []}
    with TemporaryDirectory() as folder:
        for number in range(1 if given.quick else given.repeats):
            ways = {ONE: 1, TWO: 2}
            for name in list(ways) if number % 2 == 0 else reversed(list(ways)):
                found[name].append(measured(ways[name], passed, Path(folder) / "seconds.json"))
    sizes = "-".join(map(str, TINY if given.quick else USUAL))
    for batch in BATCHES:
        times = {name: [seconds[str(batch)] for seconds in found[name]] for name in (TWO, ONE)}
        times[ALONE] = [seconds["alone"] for seconds in found[TWO]]
        print(table(f"step, {sizes}, batch {batch}", times, ours=TWO) + "\n")


if __name__ == "__main__":
    main()

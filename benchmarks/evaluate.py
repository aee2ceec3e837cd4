"""How much of the machine's matmul rate an evaluation reaches, and how much memory it takes.

The model is a variational autoencoder 784-400-50 with Bernoulli pixels, in float32, with as many
threads as torch takes by itself or as `--threads` says.

Rate: `pyrovae.evaluate` with 1000 samples, a tenth of 10 000 images a round, in turns with the bare
matrix products that it needs: the two of the decoder for each image and draw, in blocks, and the
two of the encoder for each image. Both do the same floating point operations, so the ratio of their
times is the share of the machine's matmul rate that the evaluation reaches.

Memory: the peak of a fresh process that evaluates with 5000 samples, above what it held with the
libraries, the model and the data. The number of images plays no part in it.

The images are those of MNIST's test split where PYROVAE_DATA or the cache folder holds them, else
random bits, which cost the same.

    python benchmarks/evaluate.py [--repeats ROUNDS] [--threads N] [--quick]
"""

import argparse
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from _timing import alternate, ratio, table
from _ways import SEED, has_mnist
from torch import Tensor

import pyrovae
from pyrovae.data import MNIST, binarized
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import MLP
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import random_state

OURS, BARE = "evaluate", "its matrix products"
BLOCK = 2048  # rows of a bare product, where its rate has levelled off
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of an evaluation."""

    pixels: int = 784
    hidden: int = 400
    latent: int = 50
    images: int = 1000
    samples: int = 1000

    def operations(self) -> int:
        """Return the floating point operations of the matrix products."""
        encoder = self.pixels * self.hidden + self.hidden * 2 * self.latent
        decoder = self.latent * self.hidden + self.hidden * self.pixels
        return 2 * self.images * (encoder + self.samples * decoder)

    def __str__(self) -> str:
        return (
            f"{self.pixels}-{self.hidden}-{self.latent}, {self.images} images, "
            f"{self.samples} samples"
        )


TINY = Sizes(pixels=20, hidden=16, latent=4, images=30, samples=50)


def vae_of(sizes: Sizes) -> pyrovae.VAE:
    with random_state(SEED):
        return pyrovae.VAE(
            prior=StandardNormal(sizes.latent),
            likelihood=Bernoulli((sizes.pixels,)),
            posterior=MeanFieldNormal(),
            encoder=MLP((sizes.hidden,)),
            decoder=MLP((sizes.hidden,)),
        )


def images_for(sizes: Sizes) -> Tensor:
    """Return binary images `[images, pixels]`, of MNIST where it is found and fits."""
    with random_state(SEED):
        if sizes.pixels == Sizes.pixels and has_mnist():
            grey = MNIST(valid=0).load().test.tensors["x"][: sizes.images]
            return binarized(grey).float().flatten(1)
        return (torch.rand(sizes.images, sizes.pixels) < 0.2).float()


def bare_products(sizes: Sizes) -> Callable[[], object]:
    """Return a function that runs the matrix products of the evaluation and nothing else."""
    rows = sizes.images * sizes.samples

    def chain(rows: int, *widths: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        pairs = pairwise(widths)
        block = min(rows, BLOCK)
        return [(torch.randn(block, a), torch.randn(a, b), torch.empty(block, b)) for a, b in pairs]

    encoder = chain(sizes.images, sizes.pixels, sizes.hidden, 2 * sizes.latent)
    decoder = chain(rows, sizes.latent, sizes.hidden, sizes.pixels)

    def run() -> None:
        for products, count in ((encoder, sizes.images), (decoder, rows)):
            for began in range(0, count, BLOCK):
                block = min(BLOCK, count - began)
                for left, right, out in products:
                    torch.mm(left[:block], right, out=out[:block])

    return run


def evaluation(sizes: Sizes) -> Callable[[], object]:
    vae, x = vae_of(sizes), images_for(sizes)

    def run() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an untrained model's weights are poor
            return pyrovae.evaluate(vae, x, samples=sizes.samples)

    return run


def rate_table(sizes: Sizes, *, rounds: int) -> str:
    """Return a table of the times, and below it the share of the rate that is reached."""
    blocks = {OURS: evaluation(sizes), BARE: bare_products(sizes)}
    times = alternate(blocks, rounds=rounds)
    operations = sizes.operations()
    share, low, high = ratio(times, BARE, OURS)
    lines = [
        table(f"Evaluation, {sizes}", times, ours=OURS, unit="s"),
        f"  {operations / 1e9:.4g} GFLOP of matrix products; the machine's rate is "
        f"{operations / median(times[BARE]) / 1e9:.4g} GFLOP/s",
        f"  share of that rate: {share:.3f} ({low:.3f} - {high:.3f})",
    ]
    return "\n".join(lines)


def kilobytes(field: str) -> int | None:
    """Return a field of this process's status in KiB, None where the system has none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(field + ":")]
    return int(found[0]) if found else None


def report_memory(sizes: Sizes) -> None:
    """Evaluate, and print the peak above the memory held before, in KiB."""
    run = evaluation(sizes)
    before = kilobytes("VmRSS")
    run()
    peak = kilobytes("VmHWM")
    print("unknown" if before is None or peak is None else peak - before)


def memory_line(sizes: Sizes) -> str:
    """Return what a fresh process says of its peak."""
    words = [f"--{name}={value}" for name, value in vars(sizes).items()]
    child = subprocess.run(
        [sys.executable, __file__, "--memory", *words, f"--threads={torch.get_num_threads()}"],
        check=True,
        capture_output=True,
        text=True,
    )
    said = child.stdout.split()[-1]
    if said == "unknown":
        return "Memory: this system does not say what a process took at most"
    peak = int(said) / 1024
    return f"Memory, {sizes}: peak {peak:.0f} MiB above libraries, model and data"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=10, help="rounds of a tenth of the images")
    parser.add_argument("--threads", type=int, help="of torch; what it takes by itself by default")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    for name, value in vars(Sizes()).items():
        parser.add_argument(f"--{name}", type=int, default=value, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats expects a number of at least 1; got {options.repeats}")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.memory:
        report_memory(Sizes(**{name: getattr(options, name) for name in vars(Sizes())}))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32")
    if options.quick:
        print("\n" + rate_table(TINY, rounds=min(options.repeats, 2)))
        print("\n" + memory_line(TINY))
        return
    print("\n" + rate_table(Sizes(), rounds=options.repeats))
    print("\n" + memory_line(Sizes(images=200, samples=5000)))


if __name__ == "__main__":
    main()

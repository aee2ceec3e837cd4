"""The cost of a training step, eager and compiled, against Pyro and against PyTorch by hand.

The model is a variational autoencoder of one hidden layer and Bernoulli pixels, with as many
threads as torch takes by itself. A step is one forward, backward and update on a batch that lies
ready in memory. All ways run in turns in one process.

- ours: a step as the loop of `fit` takes it, the guard and the logged quantities included; eager,
  compiled, and compiled with the networks in bfloat16.
- Trace_ELBO, our pair: Pyro's `Trace_ELBO()` on the same two programs, checks off, fused Adam.
- Trace_ELBO, Pyro by hand: the same on a model and a guide written as Pyro's VAE example has them.
- PyTorch by hand: no Pyro at all, the closed form of the KL, fused Adam; eager, under
  `torch.compile`, and that with autocast to bfloat16.
- SVI, Pyro by hand: `SVI` with `pyro.optim.Adam`, with the checks that Pyro has on by default.

Three tables: the network of usual size, a tiny one, and the importance-weighted bound of 50 draws.
Under the first stands the floor: the matrix products of a step at the measured rate of one.

The images are those of MNIST where PYROVAE_DATA or the cache folder holds them. Nothing is
downloaded: without them the steps are timed on random bits.

    python benchmarks/step.py [--repeats ROUNDS] [--quick]
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from itertools import cycle
from statistics import median

import pyro
import torch
from _timing import Times, alternate, ratios, table
from _ways import (
    DRAWS,
    TINY,
    Sizes,
    Step,
    has_mnist,
    left_as_found,
    matmul_block,
    mnist_bits,
    our_compiled_step,
    our_pair_step,
    our_step,
    pyro_by_hand_step,
    pytorch_iwae_step,
    pytorch_step,
    svi_step,
)
from torch import Tensor

from pyrovae.objectives import IWAE
from pyrovae.scopes import validation

Way = tuple[Callable[[Sizes], Step], bool]  # and whether Pyro checks

MATMUL = "one matrix product"
EAGER: dict[str, Way] = {
    "ours": (our_step, True),
    "Trace_ELBO, our pair": (our_pair_step, False),
    "Trace_ELBO, Pyro by hand": (pyro_by_hand_step, False),
    "PyTorch by hand": (pytorch_step, True),
    "SVI, Pyro by hand": (svi_step, True),
}
COMPILED: dict[str, Way] = {
    "ours, compiled": (our_compiled_step, True),
    "ours, compiled bf16": (partial(our_compiled_step, precision="bf16-mixed"), True),
    "PyTorch by hand, compiled": (partial(pytorch_step, compiled=True), True),
    "PyTorch by hand, compiled bf16": (partial(pytorch_step, compiled=True, bf16=True), True),
}
WEIGHTED: dict[str, Way] = {
    "ours": (partial(our_step, objective=IWAE(particles=DRAWS)), True),
    "ours, compiled": (partial(our_compiled_step, objective=IWAE(particles=DRAWS)), True),
    "PyTorch by hand": (pytorch_iwae_step, True),
    "PyTorch by hand, compiled": (partial(pytorch_iwae_step, compiled=True), True),
}
COMPARED = [
    ("ours", "PyTorch by hand"),
    ("ours", "Trace_ELBO, Pyro by hand"),
    ("ours, compiled", "SVI, Pyro by hand"),
    ("ours, compiled", "PyTorch by hand"),
    ("ours, compiled", "PyTorch by hand, compiled"),
    ("ours, compiled bf16", "SVI, Pyro by hand"),
    ("ours, compiled bf16", "PyTorch by hand, compiled bf16"),
]


def timed(
    ways: Mapping[str, Way], *, sizes: Sizes, images: Tensor | None, rounds: int, steps: int
) -> Times:
    """Time a step of each way.

    Arguments:
        ways: by name what makes a step, and whether Pyro checks its arguments meanwhile.
        sizes: those of the networks and the batch.
        images: binary images `[N, pixels]` to train on; None draws random bits.
        rounds: how many blocks of each way are timed.
        steps: how many steps a block has.
    """
    with left_as_found():
        if images is None:
            images = (torch.rand(steps * sizes.batch, sizes.pixels) < 0.5).float()
        whole = len(images) // sizes.batch * sizes.batch
        batches = images[:whole].split(sizes.batch)

        def block(step: Step, *, checks: bool) -> Callable[[], None]:
            given = cycle(batches)

            def run() -> None:
                with validation(enabled=checks):
                    for _ in range(steps):
                        step(next(given))

            return run

        blocks = {name: block(make(sizes), checks=checks) for name, (make, checks) in ways.items()}
        product = matmul_block(sizes.batch, sizes.pixels, sizes.hidden)
        blocks[MATMUL] = lambda: [product() for _ in range(steps)]
        return alternate(blocks, rounds=rounds, per_block=steps)


def step_table(title: str, times: Times, *, sizes: Sizes) -> str:
    """Return the table of a comparison, its ratios, and the floor."""
    products = times.pop(MATMUL)
    rate = 2 * sizes.batch * sizes.pixels * sizes.hidden / median(products)
    floor = sizes.flops / rate
    lines = [
        table(f"{title}, {sizes}", times),
        ratios(times, COMPARED),
        f"  floor: {1e3 * floor:.3f} ms, {sizes.flops / 1e9:.3f} GFLOP of matrix products at "
        f"{rate / 1e9:.0f} GFLOP/s in float32",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=20, help="rounds of steps")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats expects a number of at least 1; got {options.repeats}")
    rounds = min(options.repeats, 2) if options.quick else options.repeats
    steps = 2 if options.quick else 20
    found = has_mnist()
    print(f"torch {torch.__version__}, Pyro {pyro.__version__}, {torch.get_num_threads()} threads")
    if not found:
        print("MNIST was not found: steps on random bits. See benchmarks/README.md")
    images = mnist_bits(10_240) if found and not options.quick else None
    fast = {} if options.quick else COMPILED  # to compile takes minutes
    sizes = TINY if options.quick else Sizes()
    times = timed({**EAGER, **fast}, sizes=sizes, images=images, rounds=rounds, steps=steps)
    print("\n" + step_table("One step", times, sizes=sizes))
    times = timed({**EAGER, **fast}, sizes=TINY, images=None, rounds=rounds, steps=5 * steps)
    print("\n" + step_table("One step", times, sizes=TINY))
    weighted = {name: way for name, way in WEIGHTED.items() if "compiled" not in name or fast}
    few = max(1, steps // 10)
    times = timed(weighted, sizes=sizes, images=images, rounds=max(1, rounds // 2), steps=few)
    times.pop(MATMUL)
    print(f"\n{table(f'One step of IWAE, {DRAWS} draws, {sizes}', times)}")
    print(ratios(times, COMPARED))


if __name__ == "__main__":
    main()

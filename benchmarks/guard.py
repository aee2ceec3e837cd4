"""What it costs that nothing that is not finite reaches the parameters, and what a checkpoint does.

Step: a training step of the loop of `fit`, from the loss to the update, with the guard and with
the optimiser's own step in its place. The guard is read once in 256 steps.

Checkpoint: the whole state of a run, written aside, flushed to the disk and moved into place.

The model is a variational autoencoder of one hidden layer and Bernoulli pixels; once of usual size
and once tiny. Both ways run in turns in one process.

    python benchmarks/guard.py [--repeats ROUNDS] [--quick]
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from _timing import alternate, table
from torch import Tensor

import pyrovae
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import validation
from pyrovae.training.checkpoints import Checkpoints
from pyrovae.training.guard import Guard
from pyrovae.training.optimisation import default_optimizer, trainable

PER_BLOCK = 50
SIZES = {"784-400-50, batch 256": (784, 400, 50, 256), "20-16-4, batch 32": (20, 16, 4, 32)}


def steps(
    pixels: int, hidden: int, latent: int, rows: int, *, per_block: int
) -> dict[str, Callable[[], object]]:
    """Return a block of steps with the guard, and one without."""
    x = (torch.rand(rows, pixels) < 0.3).float()

    def way(*, guarded: bool, fused: bool) -> Callable[[], object]:
        vae = pyrovae.VAE(
            prior=StandardNormal(latent),
            likelihood=Bernoulli((pixels,)),
            posterior=MeanFieldNormal(),
            encoder=MLP((hidden,)),
            decoder=MLP((hidden,)),
        )
        loss = ELBO()(vae.model, vae.guide)
        parameters = trainable(loss)
        optimizer = default_optimizer(parameters) if fused else torch.optim.Adam(parameters)
        guard = Guard(parameters, vae.buffers(), optimizer, torch.device("cpu"))
        if not guarded:
            guard.release()

        def step(batch: Tensor) -> None:
            if guarded:
                guard.begin()
            with validation(enabled=False):
                value = loss(batch)
            optimizer.zero_grad(set_to_none=True)
            (value / len(batch)).backward()
            if guarded:
                guard.step(value)
            else:
                optimizer.step()

        def block() -> None:
            for _ in range(per_block):
                step(x)

        return block

    return {
        "guarded": way(guarded=True, fused=True),
        "unguarded": way(guarded=False, fused=True),
        "guarded, not fused": way(guarded=True, fused=False),
        "unguarded, not fused": way(guarded=False, fused=False),
    }


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=15, help="counted blocks of each way")
    parser.add_argument("--quick", action="store_true", help="only sees that everything runs")
    given = parser.parse_args(words)
    per_block = 1 if given.quick else PER_BLOCK
    rounds = 1 if given.quick else given.repeats
    for title, sizes in SIZES.items():
        times = alternate(steps(*sizes, per_block=per_block), rounds=rounds, per_block=per_block)
        print(table(f"step, {title}", times, ours="guarded") + "\n")
    state = {"weights": [torch.randn(1000, 1000) for _ in range(4)]}
    with TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        ways = {"16 MB": lambda: checkpoints.write(lambda: state)}
        print(table("checkpoint", alternate(ways, rounds=rounds), ours="16 MB"))


if __name__ == "__main__":
    main()

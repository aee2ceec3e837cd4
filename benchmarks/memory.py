"""How the memory of a training step grows with batch and particles, for every pair of parts.

The bytes of all tensors alive at one time are counted, at their greatest, in one forward and
backward pass of a small model (no time is taken, so the machine does not matter). Each row gives
what one more datum costs, and one more particle of each datum, at a few sizes: where a cost grows
with the size, the memory is not linear.

    python benchmarks/memory.py [--quick]
"""

import argparse
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import pyrovae
from pyrovae.config import of_room
from pyrovae.likelihoods import Bernoulli
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.parts import compatible, example
from pyrovae.scopes import random_state, validation

BATCHES = (64, 128, 256)
PARTICLES = (4, 8, 16)
FIRST = {"prior": "StandardNormal", "posterior": "MeanFieldNormal"}


class Alive(TorchDispatchMode):
    """Count the bytes of the tensors that operations make, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        address, size = storage.data_ptr(), storage.nbytes()
        if not size or address in self._known:
            return
        self._known.add(address)
        self.bytes += size
        self.most = max(self.most, self.bytes)
        weakref.finalize(storage, self._remove, address, size)

    def _remove(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.bytes -= size


def peak(run: Callable[[], object]) -> int:
    """Return the most bytes alive at a time while something runs."""
    with Alive() as alive:
        run()
    return alive.most


def model_of(prior: Any, posterior: Any) -> pyrovae.VAE:
    with random_state(0):
        p, q = example(prior), example(posterior)
        return pyrovae.VAE(
            prior=p,
            posterior=q,
            likelihood=Bernoulli((20,)),
            encoder=MLP((16,)) if q.head.sizes else None,
            decoder=MLP((16,)),
        )


def step(vae: pyrovae.VAE, *, batch: int, particles: int) -> int:
    """Return the most bytes alive in a step."""
    x = (torch.rand(batch, 20) < 0.5).float()
    index = torch.zeros(batch, dtype=torch.int64)
    try:
        loss = ELBO(particles=particles)(vae.model, vae.guide)
        with validation(enabled=False):
            return peak(lambda: loss(x=x, index=index).backward())
    except ValueError:  # a point has no such bound
        loss = ELBO(beta=0, particles=particles)(vae.model, vae.guide)
        with validation(enabled=False):
            return peak(lambda: loss(x=x, index=index).backward())


def growth(vae: pyrovae.VAE) -> tuple[list[float], list[float]]:
    """Return the bytes of one more datum, and of one more particle of a datum, between sizes."""
    step(vae, batch=4, particles=2)  # what is made once
    by_batch = [step(vae, batch=batch, particles=2) for batch in BATCHES]
    by_particles = [step(vae, batch=32, particles=particles) for particles in PARTICLES]
    data = [
        (more - few) / (large - small)
        for few, more, small, large in zip(
            by_batch, by_batch[1:], BATCHES, BATCHES[1:], strict=False
        )
    ]
    draws = [
        (more - few) / (large - small) / 32
        for few, more, small, large in zip(
            by_particles, by_particles[1:], PARTICLES, PARTICLES[1:], strict=False
        )
    ]
    return data, draws


def pairs() -> list[tuple[type, type]]:
    """Return each prior and each posterior with a partner that it goes with."""
    priors, posteriors = of_room("priors"), of_room("posteriors")
    found: dict[tuple[type, type], None] = {}
    for prior in priors.values():
        partners = [posteriors[FIRST["posterior"]], *posteriors.values()]
        found |= {(prior, q): None for q in partners[:1] if compatible(prior, q).legal} or {
            (prior, q): None for q in [q for q in partners if compatible(prior, q).legal][:1]
        }
    for posterior in posteriors.values():
        partners = [priors[FIRST["prior"]], *priors.values()]
        fitting = next((p for p in partners if compatible(p, posterior).legal), None)
        if fitting is not None:
            found[fitting, posterior] = None
    return list(found)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    print(f"{'prior':<24}{'posterior':<28}{'bytes a datum':>22}{'bytes a particle':>22}")
    for prior, posterior in pairs()[: 2 if options.quick else None]:
        data, draws = growth(model_of(prior, posterior))
        cells = [" ".join(f"{value:.0f}" for value in values) for values in (data, draws)]
        print(f"{prior.__name__:<24}{posterior.__name__:<28}{cells[0]:>22}{cells[1]:>22}")


if __name__ == "__main__":
    main()

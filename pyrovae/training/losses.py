"""Losses: an objective of ours or of Pyro's, bound to a pair, as the loop trains it."""

from collections.abc import Mapping
from typing import Any

import pyro.infer
import torch
from torch import Tensor, nn

from pyrovae.models import Pair
from pyrovae.objectives import LocalParameters, Objective, ObjectiveModule
from pyrovae.schedules import Schedule

_INSTEAD = {
    "RenyiELBO": "Renyi(alpha=..., particles=K), or IWAE(particles=K),",
    "TraceGraph_ELBO": "ELBO(estimator='score')",
    "ReweightedWakeSleep": "ReweightedWakeSleep(particles=K)",
}


class Loss(nn.Module):
    """An objective bound to a pair of programs: `forward(batch)` is the loss, summed.

    Arguments:
        objective: an objective of pyrovae, or one of Pyro's that has a differentiable loss.
        pair: the programs.

    Raises:
        TypeError: it is neither; the message names ours that takes its place.
        ValueError: the objective trains no model.
    """

    def __init__(self, objective: pyro.infer.ELBO, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self.objective: Any = objective  # Pyro's base declares no differentiable loss
        self.logged: Mapping[str, Tensor] = {}
        self.own: ObjectiveModule | None = None
        if isinstance(objective, Objective):
            objective.require_training()
            self.own = objective(pair.model, pair.guide)
        elif not isinstance(objective, pyro.infer.ELBO):
            raise TypeError(
                f"objective expects one of pyrovae.objectives such as ELBO() or IWAE(), or an "
                f"ELBO of Pyro; got {objective!r}"
            )
        elif not hasattr(objective, "differentiable_loss"):
            name = type(objective).__name__
            raise TypeError(
                f"Pyro's {name} has no differentiable loss, so fit cannot train it; use "
                f"{_INSTEAD.get(name, 'ELBO()')} of pyrovae.objectives, or pyro.infer.SVI"
            )

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of a batch, summed; `logged` then holds its means per datum."""
        args, kwargs = self.pair.arguments(batch)
        if self.own is not None:
            loss: Tensor = self.own(*args, **kwargs)
            self.logged = self.own.logged
            return loss
        with LocalParameters(self.pair):
            loss = self.objective.differentiable_loss(
                self.pair.model, self.pair.guide, *args, **kwargs
            )
        loss = torch.as_tensor(loss)
        self.logged = {"loss": loss.detach() / len(batch["x"])}
        return loss

    @torch.no_grad()
    def validate(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the means per datum of what the objective logs, at the end of its schedules."""
        if self.own is None:
            self.forward(batch)
            return self.logged
        args, kwargs = self.pair.arguments(batch)
        terms = self.own.trace(*args, **kwargs)
        return self.own.objective.measure(terms).logged

    @torch.no_grad()
    def method(self, batch: Mapping[str, Tensor]) -> Mapping[str, str]:
        """Return for each latent site whether its KL is "analytic" or "sampled"."""
        if self.own is None:
            return {}
        args, kwargs = self.pair.arguments(batch)
        return self.own.objective.method(self.own.trace(*args, **kwargs))

    def set_step(self, step: int) -> None:
        """Tell the schedules which step it is."""
        if self.own is not None:
            self.own.step.fill_(step)

    @property
    def settled(self) -> int:
        """The step at which the objective's schedules have run their course."""
        schedules = [s for s in vars(self.objective).values() if isinstance(s, Schedule)]
        return max((schedule.length for schedule in schedules), default=0)

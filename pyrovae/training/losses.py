"""Losses: an objective of ours or of Pyro's, bound to a pair, as the loop trains it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyro.infer
import torch
from torch import Tensor, nn

from pyrovae.models import Pair
from pyrovae.objectives import LocalParameters, Objective, ObjectiveModule, Player, player_of
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
        self.player: Player | None = None
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
        return self.own.read(self.own.trace(*args, **kwargs)).logged

    def rehearse(self, batch: Mapping[str, Tensor]) -> Mapping[str, str]:
        """Return for each latent site whether its KL is "analytic" or "sampled".

        The bound is measured as in a step, so that what the objective cannot read, or has no
        gradient for, is refused here. Where it has an opponent that is not there yet, it joins the
        game.
        """
        if self.own is None:
            return {}
        args, kwargs = self.pair.arguments(batch)
        with torch.enable_grad():
            terms = self.own.trace(*args, **kwargs)
            self.own.read(terms, self.own.step)
        if self.player is None and self.own.opponent is not None:
            self.player = player_of(self.own.objective, self.own.opponent)
        return self.own.objective.method(terms)

    def parameters_of(self, model: Sequence[nn.Parameter]) -> list[nn.Parameter]:
        """Return the parameters of the model and those of an opponent behind them."""
        return [*model, *(() if self.player is None else self.player.parameters)]

    def moved(self) -> Iterator[Tensor]:
        """Yield the buffers that a step may move: those of the programs and of an opponent."""
        yield from self.pair.buffers()
        if self.player is not None:
            yield from self.player.module.buffers()

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters of the programs and of an opponent, by name."""
        for name, parameter in self.pair.named_parameters():
            yield name.removeprefix("whole."), parameter
        if self.player is not None:
            yield from self.player.module.named_parameters(prefix="opponent")

    def set_step(self, step: int) -> None:
        """Tell the schedules which step it is."""
        if self.own is not None:
            self.own.step.fill_(step)

    @property
    def least_rows(self) -> int:
        """How many rows a batch of a process needs."""
        return 1 if self.own is None else self.own.objective.least_rows

    @property
    def settled(self) -> int:
        """The step at which the objective's schedules have run their course."""
        schedules = [s for s in vars(self.objective).values() if isinstance(s, Schedule)]
        return max((schedule.length for schedule in schedules), default=0)

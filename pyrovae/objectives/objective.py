"""Objective: the base of all bounds, an immutable `pyro.infer.ELBO` on the terms record."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyro.infer
import torch
from pyro.infer.enum import get_importance_trace
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pyrovae.declared import Declared
from pyrovae.numeric import is_count, limit
from pyrovae.objectives.estimators import DRAWS
from pyrovae.objectives.module import ObjectiveModule
from pyrovae.objectives.opponents import Player, PrivatePlayers, measured
from pyrovae.objectives.quantities import unit_of
from pyrovae.objectives.terms import Terms
from pyrovae.objectives.tracing import trace_terms

Program = Callable[..., Any]
Parameters = Sequence[nn.Parameter]


@dataclass(frozen=True)
class Measurement:
    """What an objective makes of one record.

    Arguments:
        bound: the quantity to be raised, for each datum, shape `[batch]`, in nats.
        logged: named quantities worth a line in a log, 0-dimensional, without gradient, of the
            names in `QUANTITIES`, which gives their units. A bound is logged as it is, also where
            its gradient comes from a surrogate.
    """

    bound: Tensor
    logged: Mapping[str, Tensor]


def elbo_split(reconstruction: Tensor, kl: Tensor) -> dict[str, Tensor]:
    """Return the ELBO with its split, as means without gradient, to be logged."""
    gain, loss = reconstruction.detach().mean(), kl.detach().mean()
    return {"elbo": gain - loss, "reconstruction": gain, "kl": loss}


class Objective(Declared, pyro.infer.ELBO, ABC):
    """A bound on the evidence, as a short function of the terms record.

    It follows Pyro's convention that a loss is summed over the batch: `loss`, `loss_and_grads` and
    `differentiable_loss` serve `pyro.infer.SVI`, and `objective(model, guide)` is a module whose
    `forward` returns the differentiable loss. Settings do not change after construction; under
    plain `SVI` the objective counts its own steps for the schedules, privately. `print` shows the
    formula.

    A subclass states `formula`, the quantity that it raises, and `estimators`, the names of the
    gradient estimators that it has; the first is its default.

    Arguments:
        particles: how many draws of the guide each datum gets.
        estimator: how the gradient is estimated.

    Raises:
        ValueError: the number of particles is not a positive integer, or the objective has no such
            estimator.
    """

    formula: ClassVar[str] = ""
    estimators: ClassVar[tuple[str, ...]] = ("reparameterised",)

    def __init__(self, *, particles: int, estimator: str = "reparameterised") -> None:
        if estimator not in self.estimators:
            raise ValueError(
                f"{type(self).__name__} expects estimator to be one of "
                f"{', '.join(map(repr, self.estimators))}; got {estimator!r}"
            )
        if not is_count(particles):
            raise ValueError(
                f"{type(self).__name__} expects particles to be a positive "
                f"integer{limit(particles)}; got {particles!r}"
            )
        super().__init__(  # type: ignore[no-untyped-call]
            num_particles=particles, max_plate_nesting=1, vectorize_particles=True
        )
        self.particles = particles
        self.estimator = estimator
        self._calls = 0
        self._private: PrivatePlayers | None = None

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and name in self.__dict__ and name != "max_plate_nesting":
            raise AttributeError(
                f"{type(self).__name__} is immutable: make a new one with {name}={value!r}"
            )
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return (
            f"{self!r} raises {self.formula}, in {unit_of('loss')}" if self.formula else repr(self)
        )

    @abstractmethod
    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the bound of each datum and the quantities to log.

        Arguments:
            terms: the record of one run of guide and model.
            step: the training step as a 0-dimensional tensor, or None for the end of all
                schedules, which is what validation reads.
        """

    @property
    def has_opponent(self) -> bool:
        """Whether the objective has parameters of its own, which play against the model."""
        return type(self).opponent is not Objective.opponent

    def opponent(self, terms: Terms) -> nn.Module | None:
        """Return a new opponent for records like this one; most objectives have none.

        One that has takes it by `measure(terms, step, *, opponent=None)`.
        """
        return None

    def opponent_optimizer(self, parameters: Parameters) -> Optimizer:
        """Return the optimiser of an opponent's parameters, by default Adam at 1e-3."""
        return Adam(parameters, lr=1e-3, fused=True)

    @property
    def draws(self) -> int:
        """How many draws of the guide each datum gets in all."""
        return self.particles

    @property
    def needs_densities(self) -> bool:
        """Whether the bound reads log q of every site, which a point does not have."""
        return True

    @property
    def least_rows(self) -> int:
        """How many rows a batch of a process needs, for statistics over it."""
        return 1

    def require_training(self) -> None:
        """Raise ValueError where raising the bound does not train a model, as of an upper one."""

    def method(self, terms: Terms) -> dict[str, str]:
        """Return for each latent site whether its KL is taken "analytic" or "sampled"."""
        return terms.method("sampled")

    def trace(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Terms:
        """Run the programs and return their record, checked for what the bound can read."""
        draws = DRAWS[self.estimator] if torch.is_grad_enabled() else "live"
        terms = trace_terms(model, guide, args, kwargs, particles=self.draws, draws=draws)
        if self.needs_densities:
            terms.require_densities()
        if torch.is_grad_enabled() and draws != "detached" and self.estimator != "mixed":
            terms.require_gradient()
        return terms

    def differentiable_loss(
        self, model: Program, guide: Program, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Return the loss, summed over the batch, with its gradient (Pyro's convention)."""
        bound, _ = self._counted(model, guide, args, kwargs)
        return -bound.sum()

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Return the loss, summed over the batch, as a number (Pyro's convention)."""
        with torch.no_grad():
            return self.differentiable_loss(model, guide, *args, **kwargs).item()

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Return the loss as a number and add its gradient to the parameters (Pyro's convention).

        Each call counts as one step for the schedules of this objective, and is one of its
        opponent, which the objective keeps for each pair of programs.
        """
        bound, player = self._counted(model, guide, args, kwargs)
        loss = -bound.sum()
        if player is not None:
            player.optimizer.zero_grad(set_to_none=True)
        if loss.requires_grad:
            loss.backward()
        if player is not None:
            player.step(len(bound))
        self._calls += 1
        return loss.item()

    def _counted(
        self, model: Program, guide: Program, args: Any, kwargs: Any
    ) -> tuple[Tensor, Player | None]:
        """Return the bound at our own count of steps, and the player that it was against."""
        if torch.is_grad_enabled():
            self.require_training()
        terms = self.trace(model, guide, *args, **kwargs)
        player = None
        if self.has_opponent:
            self._private = self._private or PrivatePlayers()
            player = self._private.of(self, model, guide, terms)
        opponent = None if player is None else player.module
        return measured(self, terms, torch.tensor(self._calls), opponent).bound, player

    def __call__(self, model: Program, guide: Program) -> ObjectiveModule:
        """Return the objective of a pair of programs as a module."""
        return ObjectiveModule(self, model, guide)

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Any:
        """Return Pyro's pair of traces, which its base class asks for and we do not use."""
        return get_importance_trace("flat", self.max_plate_nesting, model, guide, args, kwargs)

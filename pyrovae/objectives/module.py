"""ObjectiveModule: an objective bound to a pair of programs, as any training loop takes it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from pyro.infer.elbo import ELBOModule
from torch import Tensor, nn

from pyrovae.objectives.opponents import made_opponent, measured, set_aside
from pyrovae.objectives.parameters import LocalParameters
from pyrovae.objectives.terms import Terms

if TYPE_CHECKING:
    from pyrovae.objectives.objective import Measurement, Objective

Program = Callable[..., Any]


class ObjectiveModule(ELBOModule):
    """An objective bound to a model and a guide; `forward(batch)` is the loss, summed.

    Its parameters are those of the two programs, and those of the objective's opponent where it has
    one, which is made on first use, or by `settle` from an example batch. The buffer `step` is
    what schedules read; `fit` sets it, and other loops may. Pyro's parameter store is neither read
    nor written.

    Arguments:
        objective: the bound.
        model: a Pyro program, an `nn.Module` where it has parameters.
        guide: likewise.

    Example:
        >>> import pyro
        >>> import pyro.distributions as dist
        >>> from torch import nn
        >>> class Model(nn.Module):
        ...     def forward(self, x):
        ...         with pyro.plate("data", len(x)):
        ...             z = pyro.sample("z", dist.Normal(0.0, 1.0))
        ...             pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        >>> class Guide(nn.Module):
        ...     def forward(self, x):
        ...         with pyro.plate("data", len(x)):
        ...             pyro.sample("z", dist.Normal(x / 2, 0.5**0.5))
        >>> from pyrovae.objectives import IWAE
        >>> loss = IWAE(particles=5)(Model(), Guide())
        >>> loss(torch.zeros(3)).shape
        torch.Size([])
    """

    step: Tensor
    opponent: nn.Module | None

    def __init__(self, objective: "Objective", model: Program, guide: Program) -> None:
        # Pyro's annotation asks for modules; programs without parameters are functions as well
        super().__init__(model, guide, objective)  # type: ignore[arg-type]
        self.objective = objective
        self.logged: Mapping[str, Tensor] = {}
        self.register_buffer("step", torch.zeros((), dtype=torch.int64), persistent=False)
        self.register_module("opponent", None)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the loss of a batch at the current step; `logged` then holds its quantities."""
        if torch.is_grad_enabled():
            self.objective.require_training()
        measurement = self.measure(*args, **kwargs)
        self.logged = measurement.logged
        return -measurement.bound.sum()

    def measure(self, *args: Any, **kwargs: Any) -> "Measurement":
        """Return the measurement of a batch at the current step."""
        return self.read(self.trace(*args, **kwargs), self.step)

    def read(self, terms: Terms, step: Tensor | None = None) -> "Measurement":
        """Return the measurement of a record, against the opponent where there is one."""
        self.meet(terms)
        return measured(self.objective, terms, step, self.opponent)

    def meet(self, terms: Terms) -> None:
        """Make the opponent for records like this one, once, where the objective has one."""
        if self.opponent is None and self.objective.has_opponent:
            self.opponent = made_opponent(self.objective, terms).train(self.training)

    @torch.no_grad()
    def settle(self, *args: Any, **kwargs: Any) -> None:
        """Make the opponent from an example batch; random states and buffers stay as they are.

        From then on `parameters()` is complete. Where there is none to make nothing happens.
        """
        if self.opponent is not None or not self.objective.has_opponent:
            return
        training = [module for module in self.modules() if module.training]
        self.eval()
        try:
            with set_aside(self.step.device):
                terms = self.trace(*args, **kwargs)
        finally:
            for module in training:
                module.training = True
        self.meet(terms)

    def trace(self, *args: Any, **kwargs: Any) -> Terms:
        """Return the record of a batch, without touching the parameter store."""
        with LocalParameters(self):
            return self.objective.trace(self.model, self.guide, *args, **kwargs)

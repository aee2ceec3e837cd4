"""Opponents: modules of an objective's own, which are trained against the model in the same step.

A loss with an opponent is still one loss with one backward pass. The model's part sees the opponent
as it stands (`fixed`), and the opponent's part sees draws without gradient and adds nothing to the
value (`unseen`), so that each player gets the gradient of what it lowers, and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pyrovae.objectives.terms import Terms

if TYPE_CHECKING:
    from pyrovae.objectives.objective import Measurement, Objective

Program = Callable[..., Any]


@dataclass(frozen=True)
class Player:
    """An opponent with the optimiser of its parameters.

    Arguments:
        module: the opponent.
        optimizer: the optimiser of its parameters.
    """

    module: nn.Module
    optimizer: Optimizer

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained."""
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def step(self, rows: int) -> None:
        """Take a step by the gradients of a loss that was summed over so many rows."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.div_(max(rows, 1))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Return what `restore` goes on from."""
        return {"weights": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.module.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])


class PrivatePlayers:
    """The players that an objective keeps by itself under plain `SVI`, one for each pair.

    A pair is known by its programs, of a bound method or a view by what is behind it. Nothing is
    kept of a pair that is gone.
    """

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Any, WeakKeyDictionary[Any, dict[Any, Player]]]
        self._kept = WeakKeyDictionary()

    def of(self, objective: "Objective", model: Program, guide: Program, terms: Terms) -> Player:
        """Return the player of a pair, made for its record when first asked for."""
        by_guide = self._kept.setdefault(_behind(model), WeakKeyDictionary())
        by_name = by_guide.setdefault(_behind(guide), {})
        key = (_name(model), _name(guide))
        if key not in by_name:
            by_name[key] = player_of(objective, made_opponent(objective, terms))
        return by_name[key]


def _behind(program: Any) -> Any:
    """Return what lives as long as a program: a view such as `vae.model` is made at each access."""
    is_view = isinstance(getattr(program, "name", None), str) and hasattr(program, "module")
    return program.module if is_view else getattr(program, "__self__", program)


def _name(program: Program) -> Any:
    return getattr(program, "__name__", getattr(program, "name", None))


def fixed(opponent: nn.Module, *inputs: Tensor) -> Tensor:
    """Return what an opponent says of its inputs, with their gradient and none of its own.

    Its buffers stay as they are too.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> z = torch.ones(3, 2, requires_grad=True)
        >>> fixed(net, z).sum().backward()
        >>> z.grad is None, net.weight.grad is None
        (False, True)
    """
    held = {name: tensor.detach() for name, tensor in opponent.named_parameters()}
    held |= {name: tensor.clone() for name, tensor in opponent.named_buffers()}
    said: Tensor = torch.func.functional_call(opponent, held, inputs)
    return said


def unseen(loss: Tensor) -> Tensor:
    """Return a tensor of zeros that has the gradient of a loss.

    Example:
        >>> weight = torch.tensor(3.0, requires_grad=True)
        >>> nothing = unseen(weight**2)
        >>> nothing.backward()
        >>> nothing.item(), weight.grad.item()
        (0.0, 6.0)
    """
    return loss - loss.detach()


def required(objective: object, opponent: nn.Module | None) -> nn.Module:
    """Return the opponent, or raise ValueError where an objective was not given one."""
    if opponent is None:
        raise ValueError(
            f"{type(objective).__name__} is measured against an opponent, and got none: "
            f"objective(model, guide) holds one, or give "
            f"measure(terms, opponent=objective.opponent(terms))"
        )
    return opponent


def measured(
    objective: "Objective", terms: Terms, step: Tensor | None, opponent: nn.Module | None
) -> "Measurement":
    """Return what an objective measures, against its opponent where there is one."""
    if opponent is None:
        return objective.measure(terms, step)
    measure: Any = objective.measure  # only an objective that has an opponent takes one
    found: Measurement = measure(terms, step, opponent=opponent)
    return found


def player_of(objective: "Objective", opponent: nn.Module) -> Player:
    """Return an opponent with a new optimiser of its parameters."""
    trained = [parameter for parameter in opponent.parameters() if parameter.requires_grad]
    return Player(opponent, objective.opponent_optimizer(trained))


def made_opponent(objective: "Objective", terms: Terms) -> nn.Module:
    """Return a new opponent on the device of a record's draws; random states stay as they are."""
    beside = next(iter((terms.latent or terms.observed).values())).value
    with set_aside(beside.device):
        made = objective.opponent(terms)
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"the opponent of {type(objective).__name__} is {made!r}; expected a torch.nn.Module"
        )
    return made.to(device=beside.device, dtype=terms.log_likelihood.dtype)


@contextmanager
def set_aside(device: torch.device) -> Iterator[None]:
    """Put the random states of the CPU and of a device back to what they were."""
    kind = "cuda" if device.type == "cpu" else device.type
    devices = [] if device.type == "cpu" else [device.index or 0]
    with torch.random.fork_rng(devices=devices, device_type=kind):
        yield

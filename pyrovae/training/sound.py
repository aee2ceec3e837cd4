"""Soundness: whether a state that was read from a file can be that of a run.

A checkpoint may be damaged, or come from a stranger. Torch copies most of a state without a look:
an optimiser whose momenta have another shape would read and write beyond their memory. So every
value is compared with what the run itself has in its place before anything is put back.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pyrovae.objectives import Player

if TYPE_CHECKING:
    from pyrovae.training.run import Run

_LARGEST = 2**62
_KINDS = (Tensor, np.ndarray, Mapping, list, tuple, bool, (int, float), str)


def require_sound(run: "Run", state: Mapping[str, Any]) -> None:
    """Raise ValueError where a state cannot be that of a run; nothing of the run is changed.

    Arguments:
        run: the run, set up anew.
        state: what was read.

    Raises:
        ValueError: it is not; the message names the first value that does not fit, and what would.
    """
    for name in ("epoch", "batch", "step"):
        _require_count(state[name], name)
    if run.train.sized and state["batch"] > run.train.steps(run.plan.batch_size):
        raise ValueError(f"its batch {state['batch']} is beyond the end of an epoch")
    _require(_number(state["seconds"]) and state["seconds"] >= 0.0, "seconds", state["seconds"])
    _require(isinstance(state["stopped"], str), "stopped", state["stopped"])
    weights = run.loss.pair.state_dict()
    trained = [name for name, _ in run.loss.pair.named_parameters()]
    require_alike(state["weights"], weights, "weights")
    _require_finite(state["weights"], trained, "weights")
    require_alike(state["average"], run.average and run.average.tensors, "average")
    _require_finite(dict(enumerate(state["average"] or [])), None, "average")
    _check_best(state["best"], weights, trained)
    _check_optimizer(run.optimizer, run.parameters, state["optimizer"], "optimizer")
    _check_opponent(run.loss.player, state.get("opponent"))
    _check_scheduler(run, state["scheduler"])
    _check_mean(state["mean"])
    _check_records(state["records"])
    others = state["others"]
    right = isinstance(others, list) and len(others) == run.processes.size - 1
    _require(right and all(isinstance(noise, dict) for noise in others), "others", others)
    for noise in (state, *others):
        _check_random(noise)


def require_alike(given: Any, like: Any, path: str) -> None:
    """Raise ValueError where a value is not of the kind, the keys and the shape of another.

    Arguments:
        given: what was read.
        like: what the run has in its place; None stands for any value that is no container.
        path: what it is called in errors.

    Example:
        >>> require_alike({"lr": 0.1, "betas": (0.9, 0.99)}, {"lr": 1, "betas": (0, 0)}, "group")
        >>> require_alike({"lr": "fast"}, {"lr": 0.1}, "group")
        Traceback (most recent call last):
        ValueError: its group.lr is 'fast'; this run has 0.1
    """
    if like is None:
        _require(given is None or isinstance(given, bool | int | float | str), path, given, like)
        return
    kind: Any = next((kind for kind in _KINDS if isinstance(like, kind)), object)
    fits = isinstance(given, kind) and isinstance(given, bool) == isinstance(like, bool)
    _require(fits, path, given, like)
    if isinstance(like, Tensor | np.ndarray):
        _require(given.shape == like.shape and given.dtype == like.dtype, path, given, like)
    elif isinstance(like, Mapping):
        _require(given.keys() == like.keys(), path, given, like)
        for key, value in like.items():
            require_alike(given[key], value, f"{path}.{key}")
    elif isinstance(like, list | tuple):
        _require(len(given) == len(like), path, given, like)
        for at, value in enumerate(like):
            require_alike(given[at], value, f"{path}[{at}]")
    elif isinstance(like, float):
        _require(not math.isnan(given), path, given, like)


def _check_best(best: Any, weights: Mapping[str, Tensor], trained: list[str]) -> None:
    _require(isinstance(best, dict), "best", best)
    _require(_number(best["loss"]), "best.loss", best["loss"])
    _require_count(best["since"], "best.since")
    if best["epoch"] is not None:
        _require_count(best["epoch"], "best.epoch")
    if best["weights"] is not None:
        require_alike(best["weights"], weights, "best.weights")
        _require_finite(best["weights"], trained, "best.weights")


def _check_opponent(player: Player | None, given: Any) -> None:
    if player is None:
        _require(given is None, "opponent", given)
        return
    _require(isinstance(given, dict), "opponent", given)
    require_alike(given["weights"], player.module.state_dict(), "opponent.weights")
    trained = [name for name, _ in player.module.named_parameters()]
    _require_finite(given["weights"], trained, "opponent.weights")
    optimizer = given["optimizer"]
    _check_optimizer(player.optimizer, player.parameters, optimizer, "opponent.optimizer")


def _check_optimizer(
    optimizer: Optimizer, parameters: Sequence[nn.Parameter], given: Any, name: str
) -> None:
    fresh = optimizer.state_dict()
    _require(isinstance(given, dict) and given.keys() == fresh.keys(), name, given, fresh)
    groups = given["param_groups"]
    _require(isinstance(groups, list), f"{name}.param_groups", groups)
    _require(len(groups) == len(fresh["param_groups"]), f"{name}.param_groups", groups)
    for at, like in enumerate(fresh["param_groups"]):
        _require_entries(groups[at], like, f"{name}.param_groups[{at}]")
        _require(groups[at]["params"] == like["params"], f"{name}.params", groups[at]["params"])
    stepped = _state_after_a_step(optimizer, parameters)
    _require(isinstance(given["state"], dict), f"{name}.state", given["state"])
    for key, entry in given["state"].items():
        path = f"{name}.state[{key!r}]"
        _require(isinstance(entry, dict), path, entry)
        if stepped is not None:
            require_alike(entry, stepped.get(key, {}), path)
        for item, value in entry.items():
            if isinstance(value, Tensor) and bool(value.isnan().any()):
                raise ValueError(f"its {path}.{item} holds nan")


def _state_after_a_step(
    optimizer: Optimizer, parameters: Sequence[nn.Parameter]
) -> dict[Any, Any] | None:
    """Return the state that the optimiser has once it took a step, None where it cannot.

    The step has gradients of zero, and is taken back.
    """
    kept = [parameter.detach().clone() for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        state: dict[Any, Any] = optimizer.state_dict()["state"]
        return state
    except RuntimeError:  # such as one for sparse gradients only
        return None
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.grad = None
                parameter.copy_(value)


def _check_scheduler(run: "Run", given: Any) -> None:
    if run.scheduler is None:
        _require(given is None, "scheduler", given)
        return
    like = run.scheduler.state_dict()
    _require_entries(given, like, "scheduler")
    for name in set(given) - set(like):  # it would go over what the class itself has
        _require(not hasattr(run.scheduler, str(name)), f"scheduler.{name}", given[name])


def _require_entries(given: Any, like: Mapping[str, Any], path: str) -> None:
    """Require the entries that there are at the start; a step may have added plain ones."""
    _require(isinstance(given, dict) and given.keys() >= like.keys(), path, given, like)
    for name, value in like.items():
        if isinstance(value, list):  # of a length that may change, as of a scheduler's own history
            _require(isinstance(given[name], list), f"{path}.{name}", given[name], value)
        else:
            require_alike(given[name], value, f"{path}.{name}")


def _check_mean(mean: Any) -> None:
    _require(isinstance(mean, dict), "mean", mean)
    _require_count(mean["count"], "mean.count")
    sizes, values, sums = mean["sizes"], mean["values"], mean["sums"]
    _require(isinstance(sizes, list), "mean.sizes", sizes)
    for size in sizes:
        _require_count(size, "mean.sizes")
    for name, column, shape in (("values", values, (len(sizes),)), ("sums", sums, ())):
        _require(isinstance(column, dict), f"mean.{name}", column)
        for key, tensor in column.items():
            right = isinstance(tensor, Tensor) and tuple(tensor.shape) == shape
            _require(right and tensor.is_floating_point(), f"mean.{name}.{key}", tensor)


def _check_records(records: Any) -> None:
    _require(isinstance(records, list), "records", records)
    for record in records:
        right = isinstance(record, dict) and all(isinstance(name, str) for name in record)
        _require(right and all(map(_number, record.values())), "records", record)


def _check_random(state: Mapping[str, Any]) -> None:
    random_states = state["random"]
    right = isinstance(random_states, Tensor) and random_states.dtype == torch.uint8
    right = right and random_states.dim() == 1 and len(random_states) >= len(torch.get_rng_state())
    _require(right, "random", random_states, torch.get_rng_state())
    require_alike(state["python"], random.getstate(), "python")
    require_alike(state["numpy"], np.random.get_state(legacy=False), "numpy")
    kind, inner = state["numpy"]["bit_generator"], state["numpy"]["state"]
    _require(kind == "MT19937" and 0 <= inner["pos"] <= len(inner["key"]), "numpy.pos", inner)


def _require_finite(tensors: Mapping[Any, Tensor], names: list[str] | None, path: str) -> None:
    for name in tensors if names is None else names:
        if not bool(tensors[name].isfinite().all()):
            raise ValueError(f"its {path}.{name} holds what is not finite")


def _require_count(value: Any, path: str) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    _require(whole and 0 <= value < _LARGEST, path, value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(right: bool, path: str, given: Any, like: Any = None) -> None:  # noqa: FBT001
    if not right:
        expected = "" if like is None else f"; this run has {_shown(like)}"
        raise ValueError(f"its {path[:200]} is {_shown(given)}{expected}")


def _shown(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, Tensor | np.ndarray):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, dict):
        return f"a dict with the keys {', '.join(map(str, value))}"[:120]
    return repr(value)[:120]

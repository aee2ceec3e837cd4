"""State: all that a run needs to go on bit for bit, taken from it and put back."""

import random
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.objectives import Objective
from pyrovae.training.history import History
from pyrovae.training.packing import pack, unpack
from pyrovae.training.sound import require_sound

if TYPE_CHECKING:
    from pyrovae.training.run import Run

_SAID = 300  # characters of what is wrong


def random_states(device: torch.device) -> Tensor:
    """Return torch's random states, of the CPU and of the device, in one tensor of bytes."""
    states = [torch.get_rng_state()]
    if device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state())
    return torch.cat(states) if len(states) > 1 else states[0]


def set_random_states(states: Tensor, device: torch.device) -> None:
    """Put torch's random states to what `random_states` returned."""
    size = len(torch.get_rng_state())
    torch.set_rng_state(states[:size].clone())
    if device.type != "cpu" and len(states) > size:
        torch.get_device_module(device).set_rng_state(states[size:].clone())


def state_of(run: "Run") -> dict[str, Any]:
    """Return the state of a run between two of its steps, as values that `pack` takes."""
    from pyrovae import __version__

    history = run.history
    noise, *others = gathered_noise(run)
    return {
        "pyrovae": __version__,
        "settings": settings_of(run),
        "epoch": run.epoch,
        "batch": run.batch,
        "step": run.step,
        "seconds": run.seconds,
        "weights": run.loss.pair.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scheduler": None if run.scheduler is None else run.scheduler.state_dict(),
        "opponent": None if run.loss.player is None else run.loss.player.state(),
        "average": None if run.average is None else run.average.tensors,
        "mean": run.mean.state(),
        "best": run.best.state(),
        "records": history.records,
        "stopped": history.stopped,
        **noise,
        "others": others,
    }


def gathered_noise(run: "Run") -> list[dict[str, Any]]:
    """Return the random states of each process of a run, by rank; all of them call this."""
    own = {
        "random": random_states(run.device),
        # what data of the user's may draw from
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
    }
    if run.processes.size == 1:
        return [own]
    plain, _ = pack({**own, "random": random_states(run.device).numpy()})
    gathered = [dict(unpack(noise, {})) for noise in run.processes.gather(plain)]
    return [{**noise, "random": torch.from_numpy(noise["random"])} for noise in gathered]


def restore(run: "Run", state: Mapping[str, Any]) -> None:
    """Put a run that was set up anew to a state; the random states of the process too.

    Raises:
        ValueError: the state is of a run with other settings, of another model, or damaged; the
            message names the first difference, and the run is as it was.
    """
    before = state.get("settings")
    _require_same(settings_of(run), before if isinstance(before, dict) else {})
    try:
        require_sound(run, state)
        noise = [state, *state["others"]][run.processes.rank]
        set_random_states(noise["random"], run.device)
        random.setstate(noise["python"])
        np.random.set_state(noise["numpy"])
        run.loss.pair.load_state_dict(state["weights"])
        run.optimizer.load_state_dict(state["optimizer"])
        if run.scheduler is not None:
            run.scheduler.load_state_dict(state["scheduler"])
        if run.loss.player is not None:
            run.loss.player.restore(state["opponent"])
        if run.average is not None:
            torch._foreach_copy_(run.average.tensors, state["average"])
        run.mean.restore(state["mean"])
        run.best.restore(state["best"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        named = "" if type(error) is ValueError else f"{type(error).__name__} "
        text = f"{named}{str(error)[:_SAID]}"
        raise ValueError(f"the checkpoint cannot be resumed from: {text}") from error
    run.epoch, run.batch, run.step = state["epoch"], state["batch"], state["step"]
    run.seconds = state["seconds"]
    run.history = History(
        records=list(state["records"]),
        best_epoch=run.best.epoch,
        stopped=state["stopped"],
        kl=run.history.kl,
    )


def seed_of(state: Mapping[str, Any]) -> int:
    """Return the seed of the run that a state is of.

    Raises:
        ValueError: it holds none.
    """
    try:
        seed = int(state["settings"]["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("the checkpoint cannot be resumed from: it holds no seed") from error
    if not 0 <= seed < 2**63:
        raise ValueError("the checkpoint cannot be resumed from: its seed is out of range")
    return seed


def settings_of(run: "Run") -> dict[str, str]:
    """Return in words what must be the same for a run to go on; the epochs may be more."""
    objective = run.loss.objective
    plan = {name: repr(value) for name, value in asdict(run.plan).items() if name != "epochs"}
    held = None if run.valid is None else _data(run.valid)
    names = [n for n, p in run.loss.pair.named_parameters() if p.requires_grad]
    return {
        **plan,
        "processes": str(run.processes.size),
        "objective": repr(objective) if isinstance(objective, Objective) else _kind(objective),
        "optimizer": _kind(run.optimizer),
        "scheduler": _kind(run.scheduler),
        "averaging": str(run.average is not None),
        "training data": _data(run.train),
        "validation data": str(held),
        "trained parameters": ", ".join(names),
        "device": run.device.type,
    }


def _require_same(now: Mapping[str, str], before: Mapping[str, str]) -> None:
    for name, value in now.items():
        if before.get(name) != value:
            raise ValueError(
                f"the run to be resumed has {name} {_short(before.get(name))}; got "
                f"{_short(value)}: resume with the settings it was begun with"
            )


def _data(data: Any) -> str:
    count = len(data) if data.sized else "a stream of"
    return f"{count} x {list(data.event_shape)}"


def _kind(thing: object) -> str:
    return type(thing).__name__


def _short(text: object, most: int = 120) -> str:
    shown = str(text)
    return shown if len(shown) <= most else f"{shown[:most]} ..."

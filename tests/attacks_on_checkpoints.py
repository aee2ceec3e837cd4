"""Attacks on checkpoints: states that are not those of the run which is to go on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from attack_tools import (
    STATE,
    Attack,
    Damage,
    in_file_of_tensors,
    in_state,
    in_text,
    plain_state,
    tensors_of_state,
    text_instead,
)
from attacks_on_weights import DEEP, holding
from torch import Tensor


def in_tensor(ending: str, change: Callable[[Tensor], Tensor], *, dims: int) -> Damage:
    """Change the first tensor of so many dimensions whose name holds a text."""

    def inner(state: dict[str, Tensor]) -> None:
        name = next(name for name in state if ending in name and state[name].dim() == dims)
        state[name] = change(state[name]).contiguous()

    return in_file_of_tensors(tensors_of_state, inner)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "nan": holding(float("nan")),
    "transposed": lambda tensor: tensor.T,
    "flat": Tensor.flatten,
    "one row": lambda tensor: tensor[:1],
    "of no size": lambda tensor: tensor[:0],
    "integers": Tensor.int,
    "doubles": Tensor.double,
    "complex": lambda tensor: tensor.to(torch.complex64),
    "bytes": lambda tensor: tensor.to(torch.uint8),
    "large": lambda tensor: tensor.repeat(50, 50),
}
ATTACKS = {
    f"state's {of}: {what}": Attack(
        in_tensor(f".{of}.", change, dims=2), STATE, "cannot be resumed"
    )
    for of in ("weights", "optimizer.state", "best.weights")
    for what, change in CHANGES.items()
}
RANDOM: dict[str, Callable[[Tensor], Tensor]] = {
    "cut": lambda tensor: tensor[:100],
    "overwritten": lambda tensor: torch.full_like(tensor, 255),
    "numbers": Tensor.float,
    "in two rows": lambda tensor: tensor.reshape(2, -1),
}
ATTACKS |= {
    f"random bytes: {what}": Attack(in_tensor(".random", change, dims=1), STATE, "cannot be")
    for what, change in RANDOM.items()
}

# ---------------------------------------------------------------------- the state's plain part

GROUP = ("optimizer", "param_groups", 0)
KEY = ("numpy", "state", "key")
STATES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "settings missing": (("settings",), None),
    "settings that are a list": (("settings",), []),
    "a seed that is a text": (("settings", "seed"), "x"),
    "other settings": (("settings", "optimizer"), "SGD"),
    "an epoch below zero": (("epoch",), -1),
    "an epoch that is a text": (("epoch",), "1"),
    "an epoch that is a fraction": (("epoch",), 1.5),
    "an epoch that is true": (("epoch",), True),
    "an epoch that is a list": (("epoch",), [1]),
    "a batch below zero": (("batch",), -1),
    "a batch beyond the epoch": (("batch",), 10**9),
    "a batch that is a text": (("batch",), "1"),
    "a step below zero": (("step",), -1),
    "a step beyond all": (("step",), 10**30),
    "seconds that are a text": (("seconds",), "1"),
    "seconds that are not finite": (("seconds",), {"float": "nan"}),
    "weights that are a list": (("weights",), [1]),
    "weights missing": (("weights",), {}),
    "weights that are numbers": (("weights",), {"model.prepared": 1}),
    "an optimiser that is a list": (("optimizer",), []),
    "no groups": (("optimizer", "param_groups"), []),
    "a rate that is a text": ((*GROUP, "lr"), "x"),
    "a rate that is a list": ((*GROUP, "lr"), [1]),
    "a rate that is nan": ((*GROUP, "lr"), {"float": "nan"}),
    "momenta that are a text": ((*GROUP, "betas"), "x"),
    "parameters of another count": ((*GROUP, "params"), [0]),
    "parameters beyond": ((*GROUP, "params"), [10**9]),
    "a switch that is a text": ((*GROUP, "fused"), "x"),
    "a state of no parameter": (("optimizer", "state"), {"dict": [[99, {"step": 1}]]}),
    "a state that is a number": (("optimizer", "state"), {"dict": [[0, 3]]}),
    "a state that is half there": (("optimizer", "state"), {"dict": [[0, {}]]}),
    "a scheduler where there is none": (("scheduler",), {"step": 1}),
    "an average where there is none": (("average",), [1]),
    "a mean that is a text": (("mean",), "x"),
    "a mean of texts": (("mean",), {"sums": {"loss": "x"}, "count": 3}),
    "a mean of another shape": (("mean", "values"), {"loss": [1, 2]}),
    "a mean of a text": (("mean", "sums"), {"loss": "x"}),
    "a best that is a text": (("best",), "x"),
    "a best loss that is a text": (("best", "loss"), "x"),
    "a best epoch that is a text": (("best", "epoch"), "x"),
    "best weights that are a list": (("best", "weights"), [1]),
    "best weights that are others": (("best", "weights"), {}),
    "records that are a text": (("records",), "abc"),
    "records that are numbers": (("records",), [1, 2]),
    "records of texts": (("records",), [{"train/loss": "x"}]),
    "records of lists": (("records",), [{"train/loss": [1]}]),
    "a reason that is a list": (("stopped",), [1]),
    "random states that are a list": (("random",), [1]),
    "random states of another kind": (("python",), {"tuple": [3, {"tuple": [1]}, None]}),
    "random states beyond": (("python",), {"tuple": [3, {"tuple": [1] * 624 + [10**6]}, None]}),
    "a generator of its own": (("numpy", "bit_generator"), "os"),
    "a random position beyond": (("numpy", "state", "pos"), 10**8),
    "a random position below zero": (("numpy", "state", "pos"), -(10**8)),
    "random keys of another length": (KEY, {"array": [1], "dtype": "uint32"}),
    "an array of objects": (KEY, {"array": [1], "dtype": "object"}),
    "an array of another kind": (KEY, {"array": [1], "dtype": "evil"}),
    "an array of records": (KEY, {"array": [1], "dtype": "f4,(100000000)f8"}),
    "an array of long texts": (KEY, {"array": ["a"], "dtype": "U2000000000"}),
    "an array of numbers too large": (KEY, {"array": [10**30], "dtype": "uint32"}),
    "a tensor that is not there": (("random",), {"tensor": "x"}),
    "a tensor that is a list": (("random",), {"tensor": ["x"]}),
    "a dict of lists": (("random",), {"dict": [[[1], 2]]}),
    "a dict of threes": (("random",), {"dict": [[1, 2, 3]]}),
    "a counter of texts": (("random",), {"counter": "abc"}),
    "a number that is none": (("seconds",), {"float": "x"}),
}
ATTACKS |= {
    f"checkpoint: {what}": Attack(in_state("state", *keys, value=value), STATE)
    for what, (keys, value) in STATES.items()
}

HEAD = '{"format": 1, "state": '
TEXTS = {
    "deep": "[" * DEEP,
    "deep inside": HEAD + '{"a": ' * DEEP + "1" + "}" * DEEP + "}",
    "deep within limits": HEAD + '{"tuple": [' * 400 + "1" + "]}" * 400 + "}",
    "nan": HEAD + '{"epoch": NaN}}',
    "a number of many digits": HEAD + '{"epoch": ' + "9" * 10_000 + "}}",
    "a list": "[]",
    "no state": '{"format": 1}',
    "a state that is a number": '{"format": 1, "state": 3}',
    "a later format": '{"format": 2, "state": {}}',
    "a format that is true": '{"format": true, "state": {}}',
    "a long format": '{"format": "' + "x" * 10**6 + '"}',
}
ATTACKS |= {
    f"checkpoint: {what}": Attack(text_instead(plain_state, text), STATE)
    for what, text in TEXTS.items()
}
ATTACKS["checkpoint: a key given twice"] = Attack(
    in_text(plain_state, change=lambda text: text.replace('"epoch"', '"epoch": 1, "epoch"', 1)),
    STATE,
    "given twice",
)
ATTACKS["checkpoint: a tensor missing"] = Attack(
    in_file_of_tensors(tensors_of_state, lambda state: state.pop(next(iter(state)))), STATE
)

# --------------------------------------------------------------------------- links and folders


def moved_out(*, all_of_them: bool) -> Damage:
    """Put the checkpoints, or the latest of them, behind a link that leads out of the run."""

    def damage(run: Path) -> None:
        inside = run / "checkpoint" if all_of_them else plain_state(run).parent
        inside.rename(run.parent / "victim")
        inside.symlink_to(run.parent / "victim")

    return damage


def model_elsewhere(run: Path) -> None:
    """The model, which a run writes at its end, is a link to another one."""
    (run / "model").rename(run.parent / "victim")
    (run / "model").symlink_to(run.parent / "victim")


ATTACKS |= {
    f"checkpoint: {what}": Attack(damage, STATE, "leads elsewhere")
    for what, damage in {
        "a link to another folder": moved_out(all_of_them=True),
        "a link in the folder": moved_out(all_of_them=False),
        "a link in the place of the model": model_elsewhere,
    }.items()
}

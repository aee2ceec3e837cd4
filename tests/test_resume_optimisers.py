"""What a checkpoint holds of any optimiser and scheduler of torch is taken back, and goes on."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import InterruptAt, InterruptedRunError, bits, same, tensors, vae_of
from torch import optim
from torch.optim import SGD, Adam, Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from pyrovae.training import fit
from pyrovae.training.checkpoints import FOLDER, Checkpoints

UNFIT = {
    "LBFGS": "its step wants a function",
    "SparseAdam": "it wants sparse gradients",
    "Muon": "it takes matrices only",
}
OPTIMIZERS = [
    value
    for name, value in vars(optim).items()
    if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
    if name not in UNFIT
]


def chained(optimizer: Optimizer) -> LRScheduler:
    return lr_scheduler.ChainedScheduler(
        [
            lr_scheduler.ConstantLR(optimizer, total_iters=2),
            lr_scheduler.ExponentialLR(optimizer, 0.9),
        ]
    )


def in_sequence(optimizer: Optimizer) -> LRScheduler:
    return lr_scheduler.SequentialLR(
        optimizer,
        [lr_scheduler.LinearLR(optimizer, total_iters=2), lr_scheduler.StepLR(optimizer, 1)],
        milestones=[2],
    )


SCHEDULERS: dict[str, Callable[[Optimizer], LRScheduler]] = {
    "ChainedScheduler": chained,
    "ConstantLR": lr_scheduler.ConstantLR,
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=5),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=2),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 1e-4, 1e-2, step_size_up=2),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, gamma=0.9),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9**step),
    "LinearLR": lr_scheduler.LinearLR,
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda step: 0.9),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=20),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, total_iters=9),
    "SequentialLR": in_sequence,
    "StepLR": lambda o: lr_scheduler.StepLR(o, step_size=2),
}


def goes_on(tmp_path: Path, **settings: Any) -> None:
    """Train in one go, and interrupted in the middle of the second epoch: the same bits."""
    given: dict[str, Any] = {"epochs": 3, "batch_size": 8, "seed": 3, "progress": False, **settings}
    whole, resumed = vae_of(), vae_of()
    fit(whole, bits(), **given)
    with pytest.raises(InterruptedRunError):
        fit(vae_of(), bits(), out=tmp_path, callbacks=[InterruptAt(6)], **given)
    fit(resumed, bits(), resume=tmp_path, **given)
    assert same(tensors(whole), tensors(resumed))


@pytest.fixture(autouse=True)
def _after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpoints, "due", property(lambda self: True))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_every_optimiser_goes_on(optimizer: Callable[..., Optimizer], tmp_path: Path) -> None:
    goes_on(tmp_path, optimizer=lambda parameters: optimizer(parameters, lr=1e-3))


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"amsgrad": True}])
def test_every_kind_of_adam_goes_on(options: dict[str, bool], tmp_path: Path) -> None:
    goes_on(tmp_path, optimizer=lambda parameters: Adam(parameters, lr=1e-3, **options))


def test_groups_of_parameters_go_on(tmp_path: Path) -> None:
    def grouped(parameters: Any) -> Optimizer:
        half = len(parameters) // 2
        groups = [{"params": parameters[:half]}, {"params": parameters[half:], "lr": 0.01}]
        return SGD(groups, lr=0.1, momentum=0.9, nesterov=True)

    goes_on(tmp_path, optimizer=grouped)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_goes_on(scheduler: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's about an order of calls of its own
        goes_on(
            tmp_path,
            optimizer=lambda parameters: SGD(parameters, lr=0.01, momentum=0.9),
            scheduler=SCHEDULERS[scheduler],
        )


def test_no_scheduler_of_torch_is_left_out() -> None:
    known = {
        name
        for name, value in vars(lr_scheduler).items()
        if isinstance(value, type) and issubclass(value, LRScheduler) and name[0] != "_"
    }
    unfit = {"LRScheduler", "ReduceLROnPlateau"}  # the base, and one whose step wants a number
    assert known - unfit == set(SCHEDULERS)


class Growing(LRScheduler):
    """Of one's own, and with more to remember once it has run."""

    def get_lr(self) -> list[float]:
        self.seen = [*getattr(self, "seen", []), self.last_epoch]
        self.twice = 2 * self.last_epoch
        return [1e-3 / (1 + self.twice) for _ in self.optimizer.param_groups]


def test_what_a_scheduler_of_ones_own_adds_to_itself_is_taken_back(tmp_path: Path) -> None:
    goes_on(tmp_path, scheduler=Growing)


def test_only_checkpoints_are_tidied_away(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    for name in ("mine", "20260101", ".000000001.0123abcd", "000000000"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    fit(vae_of(), bits(), epochs=1, batch_size=13, seed=0, out=tmp_path, progress=False)
    left = sorted(path.name for path in folder.iterdir())
    assert left[0] > "000000001"
    assert left[1:] == ["20260101", "mine", "notes.txt"]


def test_a_refused_resumption_changes_nothing(tmp_path: Path) -> None:
    given: dict[str, Any] = {"epochs": 2, "batch_size": 8, "seed": 3, "progress": False}
    fit(vae_of(), bits(), out=tmp_path, **given)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    model = vae_of()
    weights, state = tensors(model), torch.get_rng_state()
    with pytest.raises(ValueError, match=r"its optimizer\.param_groups\[0\] is a dict"):
        fit(model, bits(), resume=tmp_path, optimizer=more_to_set, **given)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert same(weights, tensors(model))
    assert torch.equal(state, torch.get_rng_state())


def more_to_set(parameters: Any) -> Optimizer:
    made = Adam(parameters, lr=1e-3, fused=True)
    made.param_groups[0]["more"] = 1
    return made

"""Run: the training loop, one for every model and every objective."""

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pyrovae.blame import blamed
from pyrovae.data import Data
from pyrovae.data.base import Share
from pyrovae.memory import memory_advice
from pyrovae.networks import autocast, train_mode
from pyrovae.scopes import random_state, validation
from pyrovae.training.best import Best
from pyrovae.training.callbacks import Callback
from pyrovae.training.checkpoints import Checkpoints
from pyrovae.training.compiled import CompiledLoss
from pyrovae.training.failure import REMEDY, Failure, examine, first_found
from pyrovae.training.guard import Guard
from pyrovae.training.history import History, Record
from pyrovae.training.losses import Loss
from pyrovae.training.metrics import Mean
from pyrovae.training.optimisation import Average, shown
from pyrovae.training.precision import Precision, dtype_of
from pyrovae.training.processes import OneProcess, Processes
from pyrovae.training.state import gathered_noise, random_states, set_random_states, state_of
from pyrovae.training.summing import Summed
from pyrovae.training.validating import validated

_READ = 256  # steps after which the guard is read, and a bad step noticed
_ASKED = 32  # steps after which several processes ask the first whether a checkpoint is due


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The numbers of a run; `fit` explains them."""

    epochs: int
    batch_size: int
    seed: int
    clip: float | None
    patience: int | None
    precision: Precision
    compiled: bool


class Run:
    """A training run: its state, and the loop over epochs and batches.

    Callbacks get the run itself. They may read `epoch`, `epochs`, `step`, `history`, `loss`,
    `optimizer`, and end it by `stop(reason)`.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        loss: Loss,
        parameters: Sequence[nn.Parameter],
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        average: Average | None,
        train: Data,
        valid: Data | None,
        callbacks: Iterable[Callback],
        checkpoints: Checkpoints | None,
        device: torch.device,
        processes: Processes | None = None,
    ) -> None:
        self.plan = plan
        self.loss = loss
        self.parameters = parameters
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.average = average
        self.train = train
        self.valid = valid
        self.callbacks = list(callbacks)
        self.checkpoints = checkpoints
        self.device = device
        self.processes = processes or OneProcess()
        self.epochs = plan.epochs
        self.epoch = 0  # epochs behind us
        self.batch = 0  # batches behind us in this epoch
        self.step = 0
        self.seconds = 0.0  # of this epoch, in earlier processes
        self.history = History()
        self.mean = Mean()
        self.best = Best(patience=plan.patience)
        self.dtype = dtype_of(plan.precision)
        self.compiled = CompiledLoss(loss, precision=plan.precision) if plan.compiled else None
        self.guard = Guard(parameters, loss.moved(), optimizer, device, against=loss.player)
        self._logged: Mapping[str, Tensor] = {}  # of the last step
        self._summed: Summed | None = None
        if self.processes.size > 1:
            self._summed = Summed(loss.parameters_of(parameters), self.processes, device)
        self._unread: list[Tensor] = []  # random states before the steps since the last look

    @property
    def planned_steps(self) -> int | None:
        """How many steps the run takes at most, None for a stream."""
        return self.epochs * self.train.steps(self.plan.batch_size) if self.train.sized else None

    def stop(self, reason: str) -> None:
        """End the run after this epoch."""
        self.history.stopped = self.history.stopped or reason

    def __call__(self) -> History:
        """Train to the end and leave the weights to keep in the model."""
        try:
            for callback in self.callbacks:
                callback.on_start(self)
            self.history.stopped = self.processes.first_word(self.history.stopped)
            self._checkpoint()
            while self.epoch < self.epochs and not self.history.stopped:
                self._train_epoch()
                if self._due():
                    self._checkpoint()
            if self.history.failure is None:
                self._checkpoint()
            self.stop(f"all {self.epochs} epochs are done")
            self._keep_weights()
        finally:
            self.guard.release()
            for callback in self.callbacks:
                callback.on_end(self)
        return self.history

    def _train_epoch(self) -> None:
        """Go on to the end of the epoch, validate, and tell the callbacks."""
        began = time.perf_counter() - self.seconds
        train_mode(self.loss)
        for share in self._shares(self.epoch, self.batch):
            self._train_step(share)
            self.batch += 1
            for callback in self.callbacks:
                callback.on_step(self)
            if len(self._unread) >= _READ and not self._sound():
                return
            if self._due(every=_ASKED):
                if not self._sound():
                    return
                self.seconds = time.perf_counter() - began
                self._checkpoint()
        if not self._sound():
            return
        self.epoch += 1
        self.processes.copy(list(self.loss.moved()))  # as of batch normalisation
        record: Record = {"epoch": self.epoch, "step": self.step}
        record |= {f"train/{name}": value for name, value in self.mean.read().items()}
        if self.valid is not None:
            record |= self._validate(self.valid)
        record["lr"] = float(self.optimizer.param_groups[0]["lr"])
        record["seconds"] = time.perf_counter() - began
        self.batch, self.seconds, self.mean = 0, 0.0, Mean()
        record = self.processes.tell(record)
        self.history.records.append(record)
        for callback in self.callbacks:
            callback.on_epoch(self, record)
        self.history.stopped = self.processes.first_word(self.history.stopped)

    def _shares(self, epoch: int, start: int) -> Iterator[Share]:
        """Yield our shares of an epoch's batches, from one on, and note the random states."""
        order = torch.Generator().manual_seed((self.plan.seed * 1_000_003 + epoch) % 2**63)
        shares = self.train.shares(
            batch_size=self.plan.batch_size,
            part=self.processes.rank,
            parts=self.processes.size,
            generator=order,
            device=self.device,
            start=start,
        )
        while True:
            before = random_states(self.device)
            share = next(shares, None)
            if share is None:
                return
            self._unread.append(before)
            yield share

    def _train_step(self, share: Share) -> None:
        """Take one step; nothing in it reads a tensor on the host."""
        self.loss.set_step(self.step)
        self.guard.begin()
        with memory_advice(self._advice):
            loss = self._summed_gradients(share)
            if self.plan.clip is not None:
                nn.utils.clip_grad_norm_(self.parameters, self.plan.clip)
            with blamed(lambda: f"optimizer {type(self.optimizer).__name__}"):
                self.guard.step(loss)
        if self.scheduler is not None:
            with blamed(lambda: f"scheduler {shown(self.scheduler)} in step {self.step + 1}"):
                self.scheduler.step()
        if self.average is not None:
            self.average.update(self.guard.share)
        self.step += 1
        self.mean.add(self._logged, share.size)

    def _summed_gradients(self, share: Share) -> Tensor:
        """Return a loss, and leave in the parameters the gradients of the whole batch's mean."""
        if share.batch is None:
            self.loss.zero_grad(set_to_none=True)
            self._logged, loss = {}, torch.zeros((), device=self.device)
        else:
            loss = self._gradients(share.batch, share.size)
        if self._summed is not None:
            rows, size = share.rows, share.size
            loss, self._logged = self._summed(loss, self._logged, rows=rows, size=size)
        return loss

    def _gradients(self, batch: dict[str, Tensor], size: int) -> Tensor:
        """Return the loss, and leave in the parameters its gradients divided by a size."""
        if self.compiled is not None:
            loss = self.compiled.step(batch, divisor=size)
            self.history.compiled = self.compiled.graphs > 0
            self._logged = self.compiled.logged
            return loss
        with validation(enabled=False), autocast(self.dtype):
            loss = self.loss(batch)
        self.loss.zero_grad(set_to_none=True)
        (loss / size).backward()
        self._logged = self.loss.logged
        return loss

    def _advice(self) -> str:
        return (
            f"taking a step with batch_size={self.plan.batch_size}; lower batch_size, or the "
            f"particles of {self.loss.objective!r}, or the sizes of the networks"
        )

    def _sound(self) -> bool:
        """Return whether all steps so far were finite; end the run where one was not."""
        suppressed = self.guard.suppressed()
        unread, self._unread = self._unread, []
        if not suppressed:
            return True
        self.step -= suppressed
        first = self.batch - suppressed
        state = unread[-suppressed]

        def replay() -> dict[str, Tensor] | None:
            set_random_states(state, self.device)
            return next(self._shares(self.epoch, first)).batch

        self.loss.set_step(self.step)
        with random_state(device=self.device), autocast(self.dtype):
            text = first_found(self.processes.gather(examine(self.loss, replay)))
        failure = Failure(step=self.step + 1, epoch=self.epoch + 1, text=text)
        self.history.failure = failure
        self.stop(str(failure))
        warnings.warn(
            f"training ended, and the parameters are as they were before: {failure}; {REMEDY}",
            stacklevel=5,
        )
        return False

    def _validate(self, valid: Data) -> Record:
        """Return the validation record; keep the best weights."""
        with nullcontext() if self.average is None else self.average.applied():
            with memory_advice(self._advice):
                means = validated(self, valid)
            settled = self.step >= self.loss.settled  # a running schedule moves the loss by itself
            reason = self.best.compare(means["loss"], self.epoch, self.loss.pair, counts=settled)
        self.history.best_epoch = self.best.epoch
        if reason:
            self.stop(reason)
        return {f"valid/{name}": value for name, value in means.items()}

    def _due(self, *, every: int = 1) -> bool:
        """Return whether it is time for a checkpoint, as the first process says."""
        if self.checkpoints is None:
            return False
        if self.processes.size == 1:
            return self.checkpoints.due
        return self.step % every == 0 and bool(self.processes.tell(self.checkpoints.due))

    def _checkpoint(self) -> None:
        """Write a checkpoint; only the first process does, the others send their noise."""
        if self.checkpoints is None:
            return
        if self.processes.first:
            self.checkpoints.write(lambda: state_of(self))
        else:
            gathered_noise(self)

    def _keep_weights(self) -> None:
        """Leave the best weights in the model; without validation the last, averaged or not."""
        self.processes.copy(list(self.loss.moved()))  # as of batch normalisation
        if self.best.weights is not None:
            self.loss.pair.load_state_dict(self.best.weights)
        elif self.average is not None:
            self.average.apply()

"""Run: the training loop, one for every model and every objective."""

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pyrovae.blame import blamed
from pyrovae.data import Data
from pyrovae.memory import memory_advice
from pyrovae.networks import autocast, train_mode
from pyrovae.scopes import evaluation_mode, random_state, validation
from pyrovae.training.best import Best
from pyrovae.training.callbacks import Callback
from pyrovae.training.checkpoints import Checkpoints
from pyrovae.training.compiled import CompiledLoss
from pyrovae.training.failure import REMEDY, Failure, examine
from pyrovae.training.guard import Guard
from pyrovae.training.history import History, Record
from pyrovae.training.losses import Loss
from pyrovae.training.metrics import Mean
from pyrovae.training.optimisation import Average, shown
from pyrovae.training.precision import Precision, dtype_of
from pyrovae.training.state import random_states, set_random_states, state_of

_READ = 256  # steps after which the guard is read, and a bad step noticed


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
        self.guard = Guard(parameters, loss.pair.buffers(), optimizer, device)
        self._logged: Mapping[str, Tensor] = {}  # of the last step
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
            self._checkpoint()
            while self.epoch < self.epochs and not self.history.stopped:
                self._train_epoch()
                if self.checkpoints is not None and self.checkpoints.due:
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
        for batch in self._batches(self.epoch, self.batch):
            self._train_step(batch)
            self.batch += 1
            for callback in self.callbacks:
                callback.on_step(self)
            if len(self._unread) >= _READ and not self._sound():
                return
            if self.checkpoints is not None and self.checkpoints.due:
                if not self._sound():
                    return
                self.seconds = time.perf_counter() - began
                self._checkpoint()
        if not self._sound():
            return
        self.epoch += 1
        record: Record = {"epoch": self.epoch, "step": self.step}
        record |= {f"train/{name}": value for name, value in self.mean.read().items()}
        if self.valid is not None:
            record |= self._validate(self.valid)
        record["lr"] = float(self.optimizer.param_groups[0]["lr"])
        record["seconds"] = time.perf_counter() - began
        self.batch, self.seconds, self.mean = 0, 0.0, Mean()
        self.history.records.append(record)
        for callback in self.callbacks:
            callback.on_epoch(self, record)

    def _batches(self, epoch: int, start: int) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of an epoch from one of them on, and note the random states."""
        order = torch.Generator().manual_seed((self.plan.seed * 1_000_003 + epoch) % 2**63)
        batches = self.train.batches(
            batch_size=self.plan.batch_size, generator=order, device=self.device, start=start
        )
        while True:
            before = random_states(self.device)
            batch = next(batches, None)
            if batch is None:
                return
            self._unread.append(before)
            yield batch

    def _train_step(self, batch: dict[str, Tensor]) -> None:
        """Take one step; nothing in it reads a tensor on the host."""
        size = len(batch["x"])
        self.loss.set_step(self.step)
        self.guard.begin()
        with memory_advice(self._advice):
            loss = self._gradients(batch, size)
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
        self.mean.add(self._logged, size)

    def _gradients(self, batch: dict[str, Tensor], size: int) -> Tensor:
        """Return the loss, and leave in the parameters its gradients for each datum."""
        if self.compiled is not None:
            loss = self.compiled.step(batch, divisor=size)
            self.history.compiled = self.compiled.graphs > 0
            self._logged = self.compiled.logged
            return loss
        with validation(enabled=False), autocast(self.dtype):
            loss = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
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

        def replay() -> dict[str, Tensor]:
            set_random_states(state, self.device)
            return next(self._batches(self.epoch, first))

        self.loss.set_step(self.step)
        with random_state(device=self.device), autocast(self.dtype):
            text = examine(self.loss, replay)
        failure = Failure(step=self.step + 1, epoch=self.epoch + 1, text=text)
        self.history.failure = failure
        self.stop(str(failure))
        warnings.warn(
            f"training ended, and the parameters are as they were before: {failure}; {REMEDY}",
            stacklevel=5,
        )
        return False

    def _validate(self, valid: Data) -> Record:
        """Return the validation record under the same noise each time; keep the best weights."""
        if self.average is not None:
            with self.average.applied():
                return self._validate_weights(valid)
        return self._validate_weights(valid)

    def _validate_weights(self, valid: Data) -> Record:
        mean = Mean()
        with (
            random_state(self.plan.seed, device=self.device),
            evaluation_mode(self.loss),
            validation(enabled=False),
            autocast(self.dtype),
            memory_advice(self._advice),
        ):
            for batch in valid.batches(batch_size=self.plan.batch_size, device=self.device):
                mean.add(self.loss.validate(batch), len(batch["x"]))
        means = mean.read()
        settled = self.step >= self.loss.settled  # a running schedule moves the loss by itself
        reason = self.best.compare(means["loss"], self.epoch, self.loss.pair, counts=settled)
        self.history.best_epoch = self.best.epoch
        if reason:
            self.stop(reason)
        return {f"valid/{name}": value for name, value in means.items()}

    def _checkpoint(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.write(lambda: state_of(self))

    def _keep_weights(self) -> None:
        """Leave the best weights in the model; without validation the last, averaged or not."""
        if self.best.weights is not None:
            self.loss.pair.load_state_dict(self.best.weights)
        elif self.average is not None:
            self.average.apply()

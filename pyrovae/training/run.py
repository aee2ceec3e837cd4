"""Run: the training loop, one for every model and every objective."""

import math
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pyrovae.data import Data
from pyrovae.networks import autocast, train_mode
from pyrovae.scopes import evaluation_mode, random_state, validation
from pyrovae.training.callbacks import Callback
from pyrovae.training.history import History, Record
from pyrovae.training.losses import Loss
from pyrovae.training.metrics import Mean
from pyrovae.training.optimisation import Average


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The numbers of a run; `fit` explains them."""

    epochs: int
    batch_size: int
    seed: int
    clip: float | None
    patience: int | None
    dtype: torch.dtype | None


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
        self.device = device
        self.epochs = plan.epochs
        self.epoch = 0
        self.step = 0
        self.history = History()
        self._best: dict[str, Tensor] | None = None
        self._best_loss = float("inf")
        self._since_best = 0

    @property
    def planned_steps(self) -> int | None:
        """How many steps the run takes at most, None for a stream."""
        return self.epochs * self.train.steps(self.plan.batch_size) if self.train.sized else None

    def stop(self, reason: str) -> None:
        """End the run after this epoch."""
        self.history.stopped = self.history.stopped or reason

    def __call__(self) -> History:
        """Train to the end and leave the weights to keep in the model."""
        for callback in self.callbacks:
            callback.on_start(self)
        try:
            while self.epoch < self.epochs and not self.history.stopped:
                record = self._train_epoch()
                self.history.records.append(record)
                self._require_number(record)
                for callback in self.callbacks:
                    callback.on_epoch(self, record)
            self.stop(f"all {self.epochs} epochs are done")
            self._keep_weights()
        finally:
            for callback in self.callbacks:
                callback.on_end(self)
        return self.history

    def _require_number(self, record: Record) -> None:
        """End a run whose loss is nan: the weights are spoilt, but for the best ones kept."""
        if math.isnan(record["train/loss"]):
            self.stop(f"the training loss is nan in epoch {self.epoch}")
            warnings.warn(
                f"{self.history.stopped}, so training ends; a lower rate, clipping "
                f"(clip=...) or other starting values may help",
                stacklevel=4,
            )

    def _train_epoch(self) -> Record:
        began = time.perf_counter()
        train_mode(self.loss)
        mean = Mean()
        order = torch.Generator().manual_seed((self.plan.seed * 1_000_003 + self.epoch) % 2**63)
        batches = self.train.batches(
            batch_size=self.plan.batch_size, generator=order, device=self.device
        )
        for batch in batches:
            self._train_step(batch, mean)
            for callback in self.callbacks:
                callback.on_step(self)
        self.epoch += 1
        record: Record = {"epoch": self.epoch, "step": self.step}
        record |= {f"train/{name}": value for name, value in mean.read().items()}
        if self.valid is not None:
            record |= self._validate(self.valid)
        record["lr"] = float(self.optimizer.param_groups[0]["lr"])
        record["seconds"] = time.perf_counter() - began
        return record

    def _train_step(self, batch: dict[str, Tensor], mean: Mean) -> None:
        """Take one step; nothing in it reads a tensor on the host."""
        size = len(batch["x"])
        self.loss.set_step(self.step)
        with validation(enabled=False), autocast(self.plan.dtype):
            loss = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        (loss / size).backward()
        if self.plan.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.plan.clip)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        if self.average is not None:
            self.average.update()
        self.step += 1
        mean.add(self.loss.logged, size)

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
            autocast(self.plan.dtype),
        ):
            for batch in valid.batches(batch_size=self.plan.batch_size, device=self.device):
                mean.add(self.loss.validate(batch), len(batch["x"]))
        means = mean.read()
        self._compare(means["loss"])
        return {f"valid/{name}": value for name, value in means.items()}

    def _compare(self, loss: float) -> None:
        """Keep the weights where they are the best so far; stop where patience has run out."""
        if loss < self._best_loss:
            self._best_loss = loss
            self._since_best = 0
            self.history.best_epoch = self.epoch
            self._best = {
                name: value.detach().clone() for name, value in self.loss.pair.state_dict().items()
            }
        elif self.step >= self.loss.settled:  # a schedule still running moves the loss by itself
            self._since_best += 1
        if self.plan.patience is not None and self._since_best > self.plan.patience:
            self.stop(
                f"the validation loss has not improved for {self._since_best} epochs "
                f"(best: {self._best_loss:.3f} nats in epoch {self.history.best_epoch})"
            )

    def _keep_weights(self) -> None:
        """Leave the best weights in the model; without validation the last, averaged or not."""
        if self._best is not None:
            self.loss.pair.load_state_dict(self._best)
        elif self.average is not None:
            self.average.apply()

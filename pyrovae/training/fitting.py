"""Fit: train a model on data, by stochastic variational inference."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyro.infer
import torch

from pyrovae.compiling import Compile, check_compile
from pyrovae.config import dump, to_tree
from pyrovae.data import Data, DataLike, Source, TensorData, as_data
from pyrovae.files import make_folder, require_within, write_text
from pyrovae.memory import memory_advice
from pyrovae.models import Pair, Programs
from pyrovae.objectives import ELBO
from pyrovae.saving import save
from pyrovae.scopes import evaluation_mode, random_state, validation
from pyrovae.training.agreement import noise_seed, require_agreement, share_weights
from pyrovae.training.callbacks import Callback, MetricsFile, ProgressBar
from pyrovae.training.checkpoints import FOLDER as CHECKPOINTS
from pyrovae.training.checkpoints import SHARE, Checkpoints, read_checkpoint
from pyrovae.training.checks import check_hooks, check_patience, check_settings, clamp_batch
from pyrovae.training.choice import is_compiled
from pyrovae.training.devices import fabric_of, processes_of
from pyrovae.training.history import HISTORY, History
from pyrovae.training.last_batch import check_last_batch
from pyrovae.training.least_rows import check_least_rows
from pyrovae.training.losses import Loss
from pyrovae.training.optimisation import (
    Average,
    MakeOptimizer,
    MakeScheduler,
    make_optimizer,
    make_scheduler,
    trainable,
)
from pyrovae.training.precision import Precision, dtype_of, warn_of_slow_precision
from pyrovae.training.run import Plan, Run
from pyrovae.training.state import restore, seed_of

_ADVICE = "running the model once; lower the particles of {!r}, or the sizes of the networks"
MODEL = "model"
_PREPARED_ROWS = 10_000
_PREPARED_NUMBERS = 2**24


def fit(
    model: Programs,
    data: DataLike,
    *,
    valid: DataLike | None = None,
    objective: pyro.infer.ELBO | None = None,
    epochs: int = 20,
    batch_size: int = 128,
    optimizer: MakeOptimizer | None = None,
    scheduler: MakeScheduler | None = None,
    warmup: int = 0,
    clip: float | None = None,
    patience: int | None = None,
    ema: float | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    checkpoint_share: float = SHARE,
    callbacks: Sequence[Callback] = (),
    device: str = "auto",
    precision: Precision = "32-true",
    compile: Compile = "auto",
    progress: bool = True,
) -> History:
    """Train a model, or any Pyro pair with a `data` plate, and return the course of it.

    The objective is divided by the batch size, so rates and clipping mean the same at any size.
    With validation data the objective is computed on them after each epoch, at the end of its
    schedules and under the same noise each time, and the weights of the best epoch are kept. Pyro's
    parameter store, the validation settings and the caller's random state stay as they were. The
    model stays on the device it was trained on.

    Under `torchrun --nproc-per-node N` the N processes train one model: every process calls `fit`
    with the same arguments, takes its share of each batch, and returns the same history and model.
    Callbacks are called in all of them; only the first writes files.

    Arguments:
        model: a model such as `VAE`, or a tuple `(model, guide)` of Pyro programs.
        data: what to train on: a dict of tensors, a tensor, a source, a split of one, or any torch
            `Dataset`. A source brings its own validation split.
        valid: what to validate on, likewise.
        objective: an objective of pyrovae, or an ELBO of Pyro with a differentiable loss; by
            default `ELBO()`.
        epochs: how many times to go through the data.
        batch_size: rows in a batch, of all processes together; one larger than the data is clamped,
            with a warning.
        optimizer: makes a torch optimiser from parameters; by default Adam at 1e-3, fused.
        scheduler: makes a torch scheduler from the optimiser, stepped per batch; by default none.
        warmup: steps in which the rate rises from near zero, before the scheduler begins.
        clip: the largest global norm of a gradient, in nats per datum per unit; by default none.
        patience: stop after more than so many epochs without a better validation loss; epochs in
            which a schedule of the objective is still running do not count.
        ema: average the weights, keeping this share at each step; the average is validated and
            kept.
        seed: seeds noise and order; by default both follow from the caller's random state.
        out: a folder for `metrics.jsonl`, one line an epoch, checkpoints in `checkpoint/`, and, at
            the end, `model/` and `history.json`.
        resume: the `out` of an earlier call with the same model, data and settings, from whose
            last checkpoint training goes on, on the CPU bit for bit as if it had not been
            interrupted; `epochs` may be more than before. `out` is then the same folder.
        checkpoint_share: the largest share of the time that checkpoints take; 0 writes none.
        callbacks: hooks of your own.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: "32-true", or "bf16-mixed" to run the networks, and only them, in bfloat16.
        compile: run the step as one compiled graph, which takes some 20 seconds to make; "auto"
            does so for a run of at least 10 000 steps, which pays for it. What cannot be compiled
            runs as it is, which is said.
        progress: show a bar where the output is a terminal.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument is out of range, or the data cannot be scored by the likelihood;
            or the run to be resumed had other settings.
        OSError: `out` cannot be written, or there is no checkpoint in `resume`.
        MemoryError: a step does not fit; the message says what to lower.

    Warns:
        UserWarning: a loss or a gradient is not finite. Training ends with the parameters as they
            were before that step, or those of the best epoch; `history.failure` names the step,
            the site and the parameter.

    Returns:
        The quantities of each epoch, in nats per datum.

    Example:
        >>> import torch, pyrovae
        >>> from pyrovae.likelihoods import Normal
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = pyrovae.VAE(prior=StandardNormal(2), likelihood=Normal((5,)),
        ...                   posterior=MeanFieldNormal(), encoder=MLP((8,)), decoder=MLP((8,)))
        >>> history = fit(vae, torch.randn(100, 5), epochs=3, batch_size=50, seed=0)
        >>> len(history["train/elbo"])
        3
    """
    check_settings(
        epochs=epochs, batch_size=batch_size, warmup=warmup, clip=clip, patience=patience,
        ema=ema, seed=seed, checkpoint_share=checkpoint_share,
    )  # fmt: skip
    dtype = dtype_of(precision)
    check_compile(compile)
    check_hooks(optimizer=optimizer, scheduler=scheduler, callbacks=callbacks)
    pair = Pair(model)
    state = None if resume is None else read_checkpoint(Path(resume))
    out = resume if out is None else out
    folder = None if out is None else Path(out)
    if folder is not None:
        for name in (MODEL, CHECKPOINTS):  # behind a link they would go over what lies elsewhere
            require_within(folder / name, folder)
    if folder is not None and pair.whole is not None:
        dump(to_tree(pair.whole, path="model"))  # what cannot be saved is said before training
    loss = Loss(ELBO() if objective is None else objective, pair)
    train, valid = _splits(data, valid)
    check_patience(patience, valid)
    fabric = fabric_of(device)
    place, processes = fabric.device, processes_of(fabric)
    warn_of_slow_precision(dtype, place)
    loss.to(place)
    parameters = trainable(loss)
    with processes.quiet(), random_state(noise_seed(seed, processes), device=place):
        order_seed = processes.tell(_order_seed(seed, state))
        _check(pair, train, valid, place)
        batch_size = clamp_batch(batch_size, train)
        with memory_advice(lambda: _ADVICE.format(loss.objective)):
            check_least_rows(loss, train, valid, batch_size, parts=processes.size)
            method = _rehearse(loss, train, place)
            check_last_batch(loss, train, batch_size, place, parts=processes.size)
        made = make_optimizer(parameters, optimizer)
        scheduled = make_scheduler(made, scheduler, warmup)
        hooks = [*callbacks]
        if folder is not None and processes.first:
            make_folder(folder)
            hooks.insert(0, MetricsFile(folder / "metrics.jsonl"))
        if progress and processes.first:
            hooks.append(ProgressBar())
        if state is None:  # last, so that a call that is refused leaves the model as it was
            _prepare(pair, train, order_seed, place)
        share_weights(loss, processes)
        run = Run(
            plan=Plan(
                epochs=epochs,
                batch_size=batch_size,
                seed=order_seed,
                clip=clip,
                patience=patience,
                precision=precision,
                compiled=is_compiled(
                    compile,
                    steps=epochs * train.steps(batch_size) if train.sized else None,
                    state=state,
                ),
            ),
            loss=loss,
            parameters=parameters,
            optimizer=made,
            scheduler=scheduled,
            average=None if ema is None else Average(parameters, decay=ema),
            train=train,
            valid=valid,
            callbacks=hooks,
            checkpoints=_checkpoints(folder, checkpoint_share),
            device=place,
            processes=processes,
        )
        require_agreement(run)
        run.history.kl = method
        if state is not None:
            restore(run, state)
        if folder is not None and processes.first:
            (folder / HISTORY).unlink(missing_ok=True)  # it says that training has ended
        training = [module for module in loss.modules() if module.training]
        try:
            history = run()
        finally:
            loss.eval()
            for module in training:
                module.training = True
    if folder is not None and processes.first:
        if pair.whole is not None:
            save(pair.whole, folder / MODEL)
        write_text(folder / HISTORY, json.dumps(history.to_dict(), indent=2) + "\n")
    processes.wait()  # so that what was written is there for all
    return history


def _order_seed(seed: int | None, state: Mapping[str, Any] | None) -> int:
    """Return the seed of the order: the one given, that of the run resumed, or one drawn."""
    if seed is not None:
        return seed
    if state is not None:
        return seed_of(state)
    return int(torch.randint(2**31, ()))


def _checkpoints(folder: Path | None, share: float) -> Checkpoints | None:
    return None if folder is None or share == 0.0 else Checkpoints(folder, share=share)


def _splits(data: DataLike, valid: DataLike | None) -> tuple[Data, Data | None]:
    if isinstance(data, Source):
        splits = data.load()
        if valid is None:
            return splits.train, splits.valid
        data = splits.train
    if isinstance(valid, Source):
        valid = valid.load().valid
    train = as_data(data)
    if valid is None:
        return train, None
    held = as_data(valid)
    if held.event_shape != train.event_shape:
        raise ValueError(
            f"valid holds x of shape {held.event_shape} and the training data x of shape "
            f"{train.event_shape}; give validation data of the same shape"
        )
    return train, held


def _rows(data: Data) -> int:
    """Return how many rows are looked at in one go."""
    numbers = math.prod(data.event_shape) or 1
    return max(1, min(_PREPARED_ROWS, _PREPARED_NUMBERS // numbers))


def _check(pair: Pair, train: Data, valid: Data | None, device: torch.device) -> None:
    """Check the data against the likelihood."""
    for split in (train, valid):
        if split is None:
            continue
        for batch in split.batches(batch_size=_rows(split), device=device):
            pair.check(batch)
            if not isinstance(split, TensorData) or split.transform is not None:
                break  # what is drawn anew, or read from elsewhere, is checked on one batch


def _prepare(pair: Pair, train: Data, seed: int, device: torch.device) -> None:
    """Let the model set its starting values from data, once in its life."""
    if not pair.prepared:
        order = torch.Generator().manual_seed(seed)
        batches = train.batches(batch_size=_rows(train), generator=order, device=device)
        pair.prepare(next(batches))


def _rehearse(loss: Loss, train: Data, device: torch.device) -> Mapping[str, str]:
    """Run the programs once with every check on; the steps to come run without."""
    with random_state(device=device), evaluation_mode(loss), validation(enabled=True):
        batch = next(train.batches(batch_size=max(2, loss.least_rows), device=device))
        return loss.rehearse(batch)

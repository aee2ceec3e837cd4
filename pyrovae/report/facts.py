"""Facts: the numbers about a run that the diagnosis reads, from its files and its model."""

from dataclasses import dataclass
from typing import Any

from pyrovae.report.reading import RunRecord, number

ENOUGH = 20  # data that a variance over the data takes


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a run; None, or an empty course, is what is not known.

    Arguments:
        name: the run folder, as a command would name it.
        epochs: how many epochs were recorded.
        planned: how many were asked for.
        train: the training loss of each epoch, nan where it was not finite.
        valid: the validation loss of each epoch.
        best_epoch: the epoch whose weights were kept.
        stopped: why training ended, in its own words.
        failure: what the run failed of.
        finished: whether training came to an end; None where it left nothing to tell.
        checkpoint: whether the run can be resumed.
        beta: the weight of the KL term at the end of its schedule.
        kl: the mean KL, in nats.
        dimensions: the number of latent dimensions.
        active: how many of them are active.
        samples: draws for each datum in the estimate of log p(x).
        ess: the mean effective sample size.
        bias: by how much log p(x) is about too low, in nats.
        error: the standard error of log p(x) over data, in nats.
        evaluated: whether there is an evaluation.
        log_prob: log p(x), None where it was not finite.
        unreadable: why the model cannot be read, None where it can, or where there is none.
        floored: the share of the likelihood's scales that are at their floor.
        posterior_floored: the same of the posterior's scales.
    """

    name: str = "RUN"
    epochs: int = 0
    planned: int | None = None
    train: tuple[float, ...] = ()
    valid: tuple[float, ...] = ()
    best_epoch: int | None = None
    stopped: str = ""
    failure: str | None = None
    finished: bool | None = None
    checkpoint: bool = False
    beta: float | None = None
    kl: float | None = None
    dimensions: int | None = None
    active: int | None = None
    samples: int | None = None
    ess: float | None = None
    bias: float | None = None
    error: float | None = None
    evaluated: bool = False
    log_prob: float | None = None
    unreadable: str | None = None
    floored: float | None = None
    posterior_floored: float | None = None


def facts_of(
    record: RunRecord,
    *,
    dimensions: int | None = None,
    active: int | None = None,
    unreadable: str | None = None,
    floored: float | None = None,
    posterior_floored: float | None = None,
) -> Facts:
    """Return the facts in a run's files, with those measured on its model.

    Arguments:
        record: what the run folder holds.
        dimensions: the number of latent dimensions.
        active: how many are active on held-out data; those of the evaluation go first.
        unreadable: why the model cannot be read, None where it can, or where there is none.
        floored: see `Facts`.
        posterior_floored: see `Facts`.
    """
    evaluation = record.evaluation or {}
    history = record.history or {}
    config = record.config or {}
    log_prob = number(evaluation.get("log_prob"))
    # where log p(x) is no number, neither are the posterior's means that were counted
    sound = log_prob is not None and (number(evaluation.get("data")) or 0.0) >= ENOUGH
    counted = _whole(evaluation.get("active_units")) if sound else None
    split = evaluation.get("kl_per_dimension")
    if dimensions is None and isinstance(split, list):
        dimensions = len(split)
    planned = _whole(config.get("epochs"))
    return Facts(
        name=str(record.folder),
        epochs=len(record.epochs),
        planned=planned,
        train=_losses(record, "train"),
        valid=_losses(record, "valid"),
        best_epoch=best_epoch(record),
        stopped=str(history.get("stopped") or ""),
        failure=_failure(record),
        finished=_finished(record, planned),
        checkpoint=record.checkpoint,
        beta=_beta(record),
        kl=number(evaluation.get("kl")),
        dimensions=dimensions,
        active=active if counted is None else counted,
        samples=_whole(evaluation.get("samples")),
        ess=number(evaluation.get("ess")),
        bias=number(evaluation.get("log_prob_bias")),
        error=number(evaluation.get("log_prob_data_error")),
        evaluated="log_prob" in evaluation,
        log_prob=log_prob,
        unreadable=unreadable,
        floored=floored,
        posterior_floored=posterior_floored,
    )


def _losses(record: RunRecord, split: str) -> tuple[float, ...]:
    """Return a split's losses by epoch, those of training and validation of one kind.

    Under a multiplier (`GECO`) training lowers another function than validation reads, and the ELBO
    stands for both.
    """
    if not record.has(f"{split}/loss"):
        return ()
    if record.has("train/multiplier") and record.has(f"{split}/elbo"):
        return tuple(-value for value in record.column(f"{split}/elbo"))
    return tuple(record.column(f"{split}/loss"))


def best_epoch(record: RunRecord) -> int | None:
    """Return the epoch whose weights were kept: the history's word, else the lowest loss."""
    if record.history is not None:
        return _whole(record.history.get("best_epoch"))
    losses = zip(record.column("valid/loss"), record.column("epoch"), strict=True)
    found = [(loss, epoch) for loss, epoch in losses if loss == loss]
    return int(min(found)[1]) if found else None


def _failure(record: RunRecord) -> str | None:
    """Return what a run failed of, from its history, else from a last epoch without numbers."""
    history = record.history or {}
    failure = history.get("failure")
    if isinstance(failure, dict):
        text = str(failure.get("text") or "training failed, and the history does not say of what")
        step, epoch = _whole(failure.get("step")), _whole(failure.get("epoch"))
        return text if step is None or epoch is None else f"step {step} (epoch {epoch}): {text}"
    last = record.epochs[-1] if record.epochs else {}
    for name in ("train/loss", "valid/loss"):
        if name in last and number(last[name]) is None:
            which = "training" if name == "train/loss" else "validation"
            return f"the {which} loss is not a number in epoch {last['epoch']:.0f}"
    return None


def _finished(record: RunRecord, planned: int | None) -> bool | None:
    """Return whether training came to an end, None for a folder that holds no training run."""
    if record.history is not None:
        return True
    if record.model == record.folder or not (record.epochs or record.config):
        return None
    if record.model is None:
        return False
    # runs of earlier versions left no history, and patience may have ended them before the last
    patient = (record.config or {}).get("patience") is not None
    return patient or planned is None or len(record.epochs) >= planned


def _beta(record: RunRecord) -> float | None:
    last = record.epochs[-1] if record.epochs else {}
    return number(last.get("valid/beta", last.get("train/beta")))


def _whole(given: Any) -> int | None:
    found = number(given)
    return None if found is None else int(found)

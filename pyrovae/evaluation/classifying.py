"""Classifying: a model's own q(y | x) held against known labels."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pyrovae.data import Data, DataLike
from pyrovae.data.labelled import is_known
from pyrovae.evaluation.asked import check_seed, held_out
from pyrovae.evaluation.classification import Classification, of_classes, of_numbers
from pyrovae.evaluation.importance import device_of, evaluating
from pyrovae.evaluation.memory import rows_within, within_memory
from pyrovae.models import Model, Pair
from pyrovae.scopes import random_state

BINS = 15
_MOST = 4096  # rows at once
_INTERVAL = (0.05, 0.95)


def classification(model: Model, data: DataLike, *, seed: int = 0) -> Classification:
    """Hold q(y | x) against the labels that are known; data without a known label are left out.

    Of classes that gives accuracy, mean log q(y | x), calibration and confusion; of real numbers
    RMSE, mean log q(y | x) and the coverage of central intervals. No parameter, buffer or random
    state is changed.

    References:
        Naeini, Cooper and Hauskrecht, 2015, on the expected calibration error.

    Arguments:
        model: a model with `classify(x)`, such as `SemiSupervisedVAE`.
        data: as of `evaluate`, with the key "y".
        seed: seeds what draws, such as a transform of the data.

    Raises:
        TypeError: the model has no `classify`.
        ValueError: no label is known, or the data cannot be scored.

    Example:
        >>> import pyrovae
        >>> from pyrovae.likelihoods import Categorical, Normal
        >>> from pyrovae.models import SemiSupervisedVAE
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> model = SemiSupervisedVAE(
        ...     prior=StandardNormal(1), likelihood=Normal((2,)), posterior=MeanFieldNormal(),
        ...     encoder=MLP(()), decoder=MLP(()), target=Categorical((), levels=3),
        ...     classifier=MLP(()))
        >>> data = {"x": torch.zeros(4, 2), "y": torch.tensor([0, 1, 2, -1])}
        >>> round(classification(model, data).accuracy, 3)
        0.333
    """
    check_seed(seed)
    if not callable(getattr(model, "classify", None)):
        raise TypeError(
            f"classification expects a model with classify(x), such as SemiSupervisedVAE; got "
            f"{type(model).__name__}, whose features feature_classification can classify by"
        )
    pair = Pair(model)
    split = held_out(data)
    device = device_of(pair)

    def looked(budget: int) -> list[dict[str, Tensor]]:
        with random_state(seed, device=device), evaluating(pair):
            return list(_told(model, pair, split, budget))

    parts = within_memory(looked)
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    about = {"by": f"q(y | x) of {type(model).__name__}"}
    labels = found["y"]
    if "logits" in found:
        logits = found["logits"]
        levels = logits.shape[-1]
        return of_classes(
            logits.argmax(-1), labels.long(), logits=logits, levels=levels, bins=BINS, **about
        )
    return of_numbers(
        found["told"], labels, log_prob=found["log_prob"], inside=found.get("inside"), **about
    )


def known_labels(data: Data, asked_by: str) -> None:
    """Raise ValueError where data have no labels at all."""
    if "y" not in data.keys:
        raise ValueError(
            f"{asked_by} expects data with labels, a tensor 'y' beside x; these have the keys "
            f"{', '.join(data.keys)}"
        )


def seen(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what `classify` and `encode` take of a batch: x, and what is known of it."""
    return {name: batch[name] for name in ("x", "observed") if name in batch}


def _told(model: Any, pair: Pair, data: Data, budget: int) -> Iterator[dict[str, Tensor]]:
    """Yield the known labels of each batch, and what q(y | x) says of them."""
    known_labels(data, "classification")
    device = device_of(pair)
    probe = next(data.batches(batch_size=1, device=device))
    pair.check(probe)

    def several(rows: int) -> Any:
        return model.classify(**{k: v.repeat_interleave(rows, 0) for k, v in seen(probe).items()})

    with torch.random.fork_rng(devices=[]):
        rows = min(rows_within(several, budget=budget), _MOST)
    nothing = True
    for batch in data.batches(batch_size=rows, device=device):
        pair.check(batch)
        known = is_known(batch["y"])
        if not bool(known.any()):
            continue
        nothing = False
        some = {name: value[known] for name, value in batch.items()}
        found = _of_batch(model, model.classify(**seen(some)), some["y"])
        yield {name: value.cpu() for name, value in found.items()}
    if nothing:
        raise ValueError("classification expects a known label at least; all of these are unknown")


def _of_batch(model: Any, q: Any, y: Tensor) -> dict[str, Tensor]:
    """Return what q(y | x) says of labels."""
    classes = getattr(q, "has_enumerate_support", False) and hasattr(q, "logits")
    if classes and q.logits.shape == (*q.batch_shape, q.logits.shape[-1]):
        return {"y": y, "logits": q.logits.log_softmax(-1)}
    value = y.to(q.mean.dtype)
    target: Any = getattr(model, "target", None)
    told = q.mean if target is None else target.typical(q)
    found = {"y": y, "told": told, "log_prob": q.log_prob(value)}
    if target is None:
        return found
    try:
        low, high = (target.quantile(q, end) for end in _INTERVAL)
    except ValueError:  # of no quantiles
        return found
    return {**found, "inside": (low <= value) & (value <= high)}

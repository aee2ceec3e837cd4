"""Show: an evaluation on the screen and in the run folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from pyrovae.cli.run_folder import EVALUATION
from pyrovae.data import Data
from pyrovae.data.labelled import is_known
from pyrovae.evaluation import (
    Classification,
    Clustering,
    Evaluation,
    classification,
    cluster_agreement,
    feature_classification,
)
from pyrovae.files import write_text
from pyrovae.models import VAE, Classifier, ClusterVAE, Model
from pyrovae.posteriors import Deterministic

_POINTS = "the posterior gives points, which have no density: no log p(x) is estimated"
_LABELS = "a Classifier is a model of y given x, and not of x: no log p(x) is estimated"

_ROWS = 1000  # of labels looked at, at once


def no_density(model: Model) -> str:
    """Return why there is no log p(x) of a model, nothing where there is one."""
    if isinstance(model, Classifier):
        return _LABELS
    return _POINTS if isinstance(getattr(model, "posterior", None), Deterministic) else ""


def labels_told(
    model: Model, splits: Mapping[str, Data | None], *, split: str, seed: int
) -> Classification | Clustering | None:
    """Return how well labels are told, None where there is nothing to tell, or nobody to tell it.

    A model of labels tells them by itself, and of a plain VAE a classifier on its features does,
    that is trained on the known labels of the training data. Clusters are held against the classes.

    Arguments:
        model: the model.
        splits: the data, by split.
        split: which of them the numbers are about.
        seed: seeds what is drawn.
    """
    train, held = splits.get("train"), splits[split]
    if held is None or not _has_label(held):
        return None
    if isinstance(model, ClusterVAE):
        return None if _is_real(held) else cluster_agreement(model, held, seed=seed)
    if callable(getattr(model, "classify", None)) and hasattr(model, "target"):
        return classification(model, held, seed=seed)
    if type(model) is VAE and split != "train" and train is not None and _has_label(train):
        return feature_classification(model, train, held, seed=seed)
    return None


def show(
    result: Evaluation | None,
    *,
    split: str,
    folder: Path | None,
    told: Classification | Clustering | None = None,
) -> None:
    """Print an evaluation and write it to a run folder.

    Arguments:
        result: the numbers about x; None where there are none.
        split: which data they are about.
        folder: the run folder; None writes nothing.
        told: the numbers about labels; None where there are none.
    """
    found = [part for part in (result, told) if part is not None]
    if folder is not None and found:
        numbers: dict[str, object] = {"split": split}
        for part in found:
            numbers |= part.to_dict()
        write_text(folder / EVALUATION, json.dumps(numbers, indent=2) + "\n")
    for part in found:
        print(f"\n{part}")
    print()
    if result is not None:
        print(
            f"{split} log p(x) = {result.log_prob:.2f} +- {result.log_prob_data_error:.2f} nats "
            f"per datum (Monte Carlo +- {result.log_prob_error:.2f}, {result.samples} samples)"
        )
    if told is not None:
        print(f"{split} {told.headline}, labels by {told.by}")


def _is_real(data: Data) -> bool:
    """Return whether labels are real numbers, which name no class."""
    return next(data.batches(batch_size=1))["y"].is_floating_point()


def _has_label(data: Data) -> bool:
    """Return whether a label is known in data that can be read at will."""
    if "y" not in data.keys or not data.sized:
        return False
    return any(bool(is_known(batch["y"]).any()) for batch in data.batches(batch_size=_ROWS))

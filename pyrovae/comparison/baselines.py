"""Baselines: the settings of the two rows that a semi-supervised model is compared with.

What a model of labels gains from data without labels shows only beside the same classifier network
that never saw them, and beside a classifier on features that were learned without any label. The
trees of both follow from the tree of the model.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pyrovae.config import arguments, find_class, public_path
from pyrovae.models import VAE, Model

CLASSIFIER = "Classifier"
FEATURES = "M1"
MEANING = {
    CLASSIFIER: "the same classifier network, trained on the labels alone",
    FEATURES: "a plain VAE of the same parts, whose latent means feed a classifier",
}

_MARK = "classifier"  # the argument by which a model is one with such baselines
_CLASSIFIER_CLASS = "pyrovae.models.Classifier"
_UNCONDITIONAL = "pyrovae.priors.StandardNormal"  # in place of a p(z | y): without labels no y


def baselines(tree: Mapping[str, Any], *, allow: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the settings of the baselines of a run, by their names; none where it has none.

    A model whose constructor takes a classifier has both, but for `Classifier`, which is one.

    Arguments:
        tree: the full settings of the run.
        allow: packages beside pyrovae whose classes may be named.
    """
    found = _models(tree["model"], allow)
    return {name: {**tree, "model": model} for name, model in found.items()}


def concerns(baseline: str, key: str) -> bool:
    """Return whether a baseline has a setting, so that its rows differ where it does.

    Example:
        >>> [concerns(CLASSIFIER, key) for key in ("data.labels", "model.prior", "model")]
        [True, False, False]
        >>> concerns(FEATURES, "model.prior.dim")
        True
    """
    room, *rest = key.split(".")
    return room != "model" or (bool(rest) and rest[0] in arguments(_class(baseline)))


def _models(model: Mapping[str, Any], allow: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the trees of the models of both baselines."""
    given = model["init_args"]
    of_labels = _MARK in arguments(find_class(model["class_path"], allow=allow))
    if not of_labels or model["class_path"] == _CLASSIFIER_CLASS:
        return {}
    found = {}
    for name in MEANING:
        made = _class(name)
        kept = {key: given[key] for key in arguments(made) if key in given}
        if name == FEATURES:
            kept = _unconditional(kept, allow)
        found[name] = {"class_path": public_path(made), "init_args": kept}
    return found


def _class(baseline: str) -> type[Model]:
    if baseline == FEATURES:
        return VAE
    found: type[Model] = find_class(_CLASSIFIER_CLASS, expected=Model)
    return found


def _unconditional(given: dict[str, Any], allow: Iterable[str]) -> dict[str, Any]:
    """Return parts with a standard normal of the same dimension in place of a p(z | y)."""
    prior = given["prior"]
    if not getattr(find_class(prior["class_path"], allow=allow), "conditional", False):
        return given
    dim = {name: value for name, value in prior["init_args"].items() if name == "dim"}
    return {**given, "prior": {"class_path": _UNCONDITIONAL, "init_args": dim}}

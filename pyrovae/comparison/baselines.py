"""Baselines: the settings of the two rows that a semi-supervised model is compared with.

What a model of labels gains from data without labels shows only beside the same classifier network
that never saw them, and beside a classifier on features that were learned without any label. The
trees of both follow from the tree of the model.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pyrovae.config import arguments, find_class, public_path
from pyrovae.models import VAE, Classifier, Model

CLASSIFIER = "Classifier"
FEATURES = "M1"
_CLASSES: dict[str, type[Model]] = {CLASSIFIER: Classifier, FEATURES: VAE}
MEANING = {
    CLASSIFIER: "the same classifier network, trained on the labels alone",
    FEATURES: "a plain VAE of the same parts, whose latent means feed a classifier",
}

_FEATURES = "features"  # the argument that is the VAE a stacked model stands on
_MARK = "classifier"  # the argument by which a model is one with such baselines
_UNCONDITIONAL = "pyrovae.priors.StandardNormal"  # in place of a p(z | y): without labels no y


def baselines(tree: Mapping[str, Any], *, allow: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the settings of the baselines of a run, by their names; none where it has none.

    A model whose constructor takes a classifier has both, but for `Classifier`, which is one.

    Arguments:
        tree: the full settings of the run.
        allow: packages beside pyrovae whose classes may be named.
    """
    found = _models(tree["model"], allow)
    own = {**tree, _FEATURES: None} if _FEATURES in tree else tree  # neither is on top of a run
    return {name: {**own, "model": model} for name, model in found.items()}


def concerns(baseline: str, key: str, model: Mapping[str, Any]) -> bool:
    """Return whether a baseline has a setting, so that its rows differ where it does.

    Arguments:
        baseline: its name.
        key: where the setting stands.
        model: the tree of the model that it is a baseline of.

    Example:
        >>> model = {"class_path": "pyrovae.models.SemiSupervisedVAE", "init_args": {}}
        >>> [concerns(CLASSIFIER, key, model) for key in ("data.labels", "model.prior", "model")]
        [True, False, False]
        >>> concerns(FEATURES, "model.prior.dim", model)
        True
    """
    room, *rest = key.split(".")
    if room != "model":
        return True
    own = [_FEATURES] if baseline == FEATURES and _FEATURES in model["init_args"] else []
    return bool(rest) and rest[0] in (own or arguments(_CLASSES[baseline]))


def _models(model: Mapping[str, Any], allow: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the trees of the models of both baselines."""
    given = dict(model["init_args"])
    own = find_class(model["class_path"], allow=allow)
    if _MARK not in arguments(own) or own is Classifier:
        return {}
    features = given.get(_FEATURES)
    if isinstance(features, dict):  # a model on top of such features
        inner = features["init_args"]
        given |= {"likelihood": inner["likelihood"]} if "likelihood" in inner else {}
    found = {}
    for name, made in _CLASSES.items():
        if name == FEATURES and isinstance(features, dict):
            found[name] = features
            continue
        kept = {key: given[key] for key in arguments(made) if key in given}
        if name == FEATURES:
            kept = _unconditional(kept, allow)
        found[name] = {"class_path": public_path(made), "init_args": kept}
    return found


def _unconditional(given: dict[str, Any], allow: Iterable[str]) -> dict[str, Any]:
    """Return parts with a standard normal of the same dimension in place of a p(z | y)."""
    prior = given["prior"]
    if not getattr(find_class(prior["class_path"], allow=allow), "conditional", False):
        return given
    dim = {name: value for name, value in prior["init_args"].items() if name == "dim"}
    return {**given, "prior": {"class_path": _UNCONDITIONAL, "init_args": dim}}

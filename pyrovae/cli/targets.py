"""Targets: the likelihood of y and the classifier of a model of labels, by what the labels are."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pyrovae.cli.errors import UsageError
from pyrovae.cli.filling import emptied, filled
from pyrovae.config import Written, arguments, find_class, to_tree
from pyrovae.data import Source
from pyrovae.data.source import LabelForm, Suggestion

TARGET, CLASSIFIER = "target", "classifier"  # arguments of a model of labels
_NETWORK = "MLP"  # of the classifier, where none is given


@dataclass(frozen=True)
class _Labels:
    """The labels of a source, as a likelihood's tree is filled by them."""

    source: Source
    form: LabelForm

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one y."""
        return self.form.shape

    @property
    def total_count(self) -> int | None:
        """Labels state no largest count."""
        return None

    @property
    def suggestion(self) -> Suggestion:
        """The likelihood of y that suits."""
        if self.form.levels is None:
            return Suggestion("Normal", {"scale": "network"}, "y are real numbers")
        levels = self.form.levels
        return Suggestion("Categorical", {"levels": levels}, f"y are {levels} classes")

    def __repr__(self) -> str:
        return f"y of {self.source!r}"


def named_classifier(model: Any) -> Any:
    """Return a model as it was written, with the class of a classifier of which none was given."""
    if not isinstance(model, Written):
        return model
    classifier = model.given.get(CLASSIFIER)
    if not isinstance(classifier, Written) or classifier.name:
        return model
    named = replace(classifier, name=_NETWORK)
    return replace(model, given={**model.given, CLASSIFIER: named})


def with_target(
    model: dict[str, Any], source: Source, *, allow: Iterable[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return a model's tree with the target and the classifier filled in, and what was chosen.

    Other models stay as they are.

    Arguments:
        model: the tree of the model.
        source: the data.
        allow: packages beside pyrovae whose classes may be named.

    Raises:
        UsageError: the data have no labels, or other ones than the tree says.
    """
    takes = arguments(find_class(model["class_path"], allow=allow))
    given = dict(model["init_args"])
    said: list[str] = []
    if CLASSIFIER in takes and CLASSIFIER not in given:
        given[CLASSIFIER] = to_tree(find_class(f"pyrovae.networks.{_NETWORK}")())
    if TARGET not in takes:
        return {**model, "init_args": given}, said
    name, form = model["class_path"].rpartition(".")[2], source.label_form
    if form is None:
        if given.get(TARGET) is not None:
            return {**model, "init_args": given}, said
        raise UsageError(
            [
                f"model: {name} is a model of labels y, and {source!r} has none; name data with "
                f"labels, such as digits or mnist"
            ]
        )
    labels = _Labels(source, form)
    target = given.get(TARGET)
    if target is None:
        suited = labels.suggestion
        path = f"pyrovae.likelihoods.{suited.likelihood}"
        target = {"class_path": path, "init_args": dict(suited.arguments)}
        about = f" with {form.levels} levels" if form.levels is not None else ""
        said.append(f"No target was given: {suited.likelihood}{about}, because {suited.reason}.")
    levels = target["init_args"].get("levels")
    if form.levels is not None and levels is not None and levels < form.levels:
        target = {**target, "init_args": {**target["init_args"], "levels": form.levels}}
    given[TARGET] = filled(target, labels, allow, f"model.{TARGET}")
    return {**model, "init_args": given}, said


def without_target(model: dict[str, Any], source: Source) -> dict[str, Any]:
    """Return a model's tree without what the labels fill in again."""
    given = dict(model["init_args"])
    target = given.get(TARGET)
    if not isinstance(target, dict) or "init_args" not in target:
        return model
    form = source.label_form  # which may have to look into files
    if form is None:
        return model
    given[TARGET] = emptied(target, _Labels(source, form))
    return {**model, "init_args": given}

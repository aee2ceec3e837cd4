"""Filling: what data know of a likelihood, put into its tree, and taken out of it again."""

from collections.abc import Iterable
from typing import Any, Protocol

from pyrovae.cli.errors import UsageError
from pyrovae.config import arguments, find_class, to_tree
from pyrovae.config.signature import REQUIRED
from pyrovae.data.source import Suggestion
from pyrovae.likelihoods import Likelihood

# what stands in a likelihood of likelihoods where none is given
_NORMAL = {"class_path": "pyrovae.likelihoods.Normal", "init_args": {"scale": "element"}}


class Known(Protocol):
    """What is known of data: a source of x, or what stands for the labels of one."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one."""

    @property
    def total_count(self) -> int | None:
        """The largest count, None where there is none."""

    @property
    def suggestion(self) -> Suggestion:
        """The likelihood that suits."""


def filled(
    likelihood: dict[str, Any], source: Known, allow: Iterable[str], path: str
) -> dict[str, Any]:
    """Return a likelihood's tree with what the data know; one within it is for the same data."""
    given = dict(likelihood["init_args"])
    takes = arguments(find_class(likelihood["class_path"], allow=allow))
    if "event_shape" in takes:
        shape = list(source.event_shape)
        if given.setdefault("event_shape", shape) != shape:
            raise UsageError(
                [
                    f"{path}.event_shape: {source!r} has {shape}; "
                    f"got {given['event_shape']}; leave it out, it comes from the data"
                ]
            )
    if "total_count" in takes and "total_count" not in given:
        if source.total_count is None:
            raise UsageError(
                [
                    f"{path}.total_count: missing, and {source!r} states no largest "
                    f"count; it suggests the likelihood {source.suggestion.likelihood}"
                ]
            )
        given["total_count"] = source.total_count
    for name, argument in takes.items():
        if Likelihood in argument.bases:
            within = given.get(name) or _NORMAL
            given[name] = filled(within, source, allow, f"{path}.{name}")
        elif name not in given and argument.default is not REQUIRED:  # of a suggestion
            given[name] = to_tree(argument.default)
    return {**likelihood, "init_args": given}


def emptied(likelihood: dict[str, Any], source: Known) -> dict[str, Any]:
    """Return a likelihood's tree without what the data know."""
    given = dict(likelihood["init_args"])
    given.pop("event_shape", None)
    if given.get("total_count") == source.total_count:
        given.pop("total_count", None)
    for name, value in given.items():
        if isinstance(value, dict) and "init_args" in value:
            given[name] = emptied(value, source)
    return {**likelihood, "init_args": given}

"""Written: a class and its arguments as a user wrote them, over what stood there before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Written:
    """A class by the name that a user wrote, with the arguments that belong to it.

    Arguments:
        name: a short name, or a dotted one.
        given: its arguments.
        before: what stood here before another class was chosen. An argument that both classes
            have, by name and type, is kept.
    """

    name: str
    given: dict[str, Any] = field(default_factory=dict)
    before: "Written | None" = None


def laid(earlier: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments over earlier ones; those of a class without a name go to the one there.

    Example:
        >>> laid({"prior": Written("VampPrior", {"dim": 3})}, {"prior": Written("", {"dim": 5})})
        {'prior': Written(name='VampPrior', given={'dim': 5}, before=None)}
    """
    found = dict(earlier)
    for name, value in given.items():
        old = found.get(name)
        if isinstance(old, str):
            old = Written(old)
        if isinstance(value, Written) and not value.name and isinstance(old, Written):
            found[name] = Written(old.name, laid(old.given, value.given), before=old.before)
        else:
            found[name] = value
    return found

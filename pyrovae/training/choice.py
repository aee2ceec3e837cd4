"""Choice: whether a run takes compiled steps, decided from its plan, not from measured time."""

from collections.abc import Mapping
from typing import Any

from pyrovae.compiling import Compile

WORTHWHILE = 10_000  # steps: to compile takes some 20 s, and a step then gains 2 ms or more


def is_compiled(choice: Compile, *, steps: int | None, state: Mapping[str, Any] | None) -> bool:
    """Return whether the steps of a run are compiled.

    Left to itself a run that is resumed goes on as it was begun, since the two kinds of steps
    round differently.

    Arguments:
        choice: what was asked for.
        steps: how many steps are planned, None for a stream.
        state: the state that is resumed from, None for a new run.

    Example:
        >>> is_compiled("auto", steps=200, state=None), is_compiled(True, steps=200, state=None)
        (False, True)
    """
    if choice != "auto":
        return bool(choice)
    if state is not None:
        settings = state.get("settings")
        return isinstance(settings, dict) and settings.get("compiled") == repr(True)
    return steps is not None and steps >= WORTHWHILE

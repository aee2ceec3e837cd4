"""Choice: what a user may say about compiling."""

from typing import Any, Literal

Compile = bool | Literal["auto"]


def check_compile(choice: Any) -> None:
    """Raise ValueError where a choice is none.

    Example:
        >>> check_compile("auto")
    """
    if not (isinstance(choice, bool) or choice == "auto"):
        raise ValueError(f"compile expects True, False or 'auto'; got {choice!r}")

"""Launched: how many processes torchrun has started, from what it leaves in the environment."""

import os


def launched() -> tuple[int, int]:
    """Return the rank of this process and how many torchrun has started; (0, 1) without torchrun.

    Example:
        >>> launched()
        (0, 1)
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))

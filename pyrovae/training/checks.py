"""Checks of the numbers given to `fit`, before anything is built."""

import warnings
from typing import Any

from pyrovae.data import Data
from pyrovae.numeric import is_count, is_finite, is_seed, limit
from pyrovae.training.callbacks import Callback


def check_settings(
    *,
    epochs: int,
    batch_size: int,
    warmup: int,
    clip: float | None,
    patience: int | None,
    ema: float | None,
    seed: int | None,
    checkpoint_share: float = 0.0,
) -> None:
    """Raise ValueError for the first number that is out of range, with what would fit."""
    _whole("epochs", epochs, least=1)
    _whole("batch_size", batch_size, least=1)
    _whole("warmup", warmup, least=0)
    if patience is not None:
        _whole("patience", patience, least=0)
    if seed is not None and not is_seed(seed):
        raise ValueError(f"seed expects an integer from 0 to 2**63 - 1; got {seed!r}")
    if clip is not None and not (is_finite(clip) and clip > 0.0):
        raise ValueError(f"clip expects a positive norm, or None for no clipping; got {clip!r}")
    if ema is not None and not (is_finite(ema) and 0.0 <= ema < 1.0):
        raise ValueError(f"ema expects the share kept at each step, in [0, 1); got {ema!r}")
    if not (is_finite(checkpoint_share) and 0.0 <= checkpoint_share <= 1.0):
        raise ValueError(
            f"checkpoint_share expects a share of the time, in [0, 1]; got {checkpoint_share!r}"
        )


def check_patience(patience: int | None, valid: Data | None) -> None:
    """Raise ValueError where patience has no validation loss to wait for."""
    if patience is not None and valid is None:
        raise ValueError(
            f"patience={patience} stops training by a validation loss, and there are no "
            f"validation data: give valid=..."
        )


def check_hooks(*, optimizer: Any, scheduler: Any, callbacks: Any) -> None:
    """Raise TypeError where what is to be called cannot be."""
    for name, made, first in (
        ("optimizer", optimizer, "the parameters, such as lambda p: torch.optim.Adam(p, lr=1e-3)"),
        ("scheduler", scheduler, "the optimizer, such as lambda o: StepLR(o, step_size=100)"),
    ):
        if made is not None and not callable(made):
            raise TypeError(f"{name} expects a function of {first}; got {made!r}")
    if not isinstance(callbacks, list | tuple):
        raise TypeError(f"callbacks expects a list of them; got {callbacks!r}")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks expects instances of pyrovae.training.Callback; got {callback!r}"
            )


def clamp_batch(batch_size: int, data: Data) -> int:
    """Return a batch size no larger than the data, with a warning where it was."""
    if not data.sized or batch_size <= len(data):
        return batch_size
    warnings.warn(
        f"batch_size={batch_size} is larger than the {len(data)} data; using {len(data)}",
        stacklevel=3,
    )
    return len(data)


def _whole(name: str, value: int, *, least: int) -> None:
    if not is_count(value, least=least):
        raise ValueError(
            f"{name} expects an integer of at least {least}{limit(value)}; got {value!r}"
        )

"""Precision: in which numbers the networks run."""

import warnings
from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]

_DTYPES: dict[str, torch.dtype | None] = {"32-true": None, "bf16-mixed": torch.bfloat16}


def dtype_of(precision: Precision) -> torch.dtype | None:
    """Return the lower precision in which networks run, None for their own.

    Raises:
        ValueError: there is no such precision.

    Example:
        >>> dtype_of("bf16-mixed")
        torch.bfloat16
    """
    if precision not in _DTYPES:
        raise ValueError(f"precision expects one of {sorted(_DTYPES)}; got {precision!r}")
    return _DTYPES[precision]


def warn_of_slow_precision(dtype: torch.dtype | None, device: torch.device) -> None:
    """Warn where a processor has no instructions for bfloat16, which then costs and gains nothing.

    Arguments:
        dtype: the lower precision, None for none.
        device: where the networks run.
    """
    if dtype is None or device.type != "cpu" or has_bfloat16():
        return
    warnings.warn(
        "this processor has no instructions for bfloat16 (avx512_bf16 or amx), so "
        "precision='bf16-mixed' is slower here than '32-true'",
        stacklevel=3,
    )


def has_bfloat16() -> bool:
    """Return whether the processor multiplies matrices of bfloat16 itself."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has no public name
    return any(getattr(torch.cpu, name, lambda: True)() for name in checks)

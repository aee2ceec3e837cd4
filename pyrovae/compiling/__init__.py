"""Compiling: recorded tensor operations as machine code, for training and for evaluation."""

from pyrovae.compiling.choice import Compile, check_compile
from pyrovae.compiling.inductor import (
    CompilingError,
    Kernel,
    compiled_graph,
    quiet,
    why,
)

__all__ = [
    "Compile",
    "CompilingError",
    "Kernel",
    "check_compile",
    "compiled_graph",
    "quiet",
    "why",
]

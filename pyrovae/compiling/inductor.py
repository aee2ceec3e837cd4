"""Inductor: recorded tensor operations as machine code."""

import os
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from pyrovae.scopes import random_state, validation

Kernel = Callable[..., Sequence[Tensor]]

# torch's errors where a number or a shape is wanted that only tensors with content have
_READING = ("DataDependentOutput", "GuardOnDataDependent", "DynamicOutputShape")
_THREADS = 4  # compilers at once, at most


class CompilingError(ValueError):
    """A graph cannot be compiled here; the message says why, in one line."""


def compiled_graph(
    graph: torch.fx.GraphModule, inputs: Sequence[Tensor], *, patterns: bool = True
) -> Kernel:
    """Return a graph as a compiled function of the same inputs.

    Random numbers are torch's own, and drawn as in the eager step, so that one random state gives
    both the same noise. torch keeps what it compiled in a cache on disk, from where the next run
    takes it.

    Arguments:
        graph: a recorded step.
        inputs: tensors of the shapes, strides and dtypes that it will run on.
        patterns: let torch exchange groups of operations for others, such as a matrix product and
            a sum for one operation; without, what follows a matrix product is one pass.

    Raises:
        CompilingError: there is no C++ compiler, or torch cannot compile the graph.
    """
    with quiet():
        import torch._inductor.config as settings  # slow to import
        from torch._inductor.compile_fx import compile_fx

    options: dict[str, Any] = {"fallback_random": True, "pattern_matcher": patterns}
    options["compile_threads"] = max(1, min(_THREADS, os.cpu_count() or 1))
    if platform.machine() in ("x86_64", "AMD64"):
        # torch knows the vector instructions from the processor's flags, and would spend 9 s on
        # trying whether the compiler knows them too
        options["cpp.vec_isa_ok"] = True
    device = inputs[0].device
    if device.type == "cuda":
        options["triton.cudagraphs"] = True  # replayed whole: no launch is waited for
        options["compile_threads"] = 1
    try:
        with (
            quiet(),
            torch.no_grad(),
            random_state(device=device),
            validation(enabled=False),  # torch switches its own off for good
            settings.patch(options),
            _no_workers(),
        ):
            made: Any = compile_fx(graph, [value.detach() for value in inputs])
            function: Kernel = made
            function(*[value.detach().clone() for value in inputs])  # some is compiled only now
    except Exception as error:  # of the compiler's many kinds
        if "InvalidCxxCompiler" in str(error) or "InvalidCxxCompiler" in type(error).__name__:
            raise CompilingError("no C++ compiler was found (install g++ or clang)") from error
        raise CompilingError(why(error)) from error
    return function


@contextmanager
def _no_workers() -> Iterator[None]:
    """Let threads of this process wait for the compilers.

    Worker processes would first have to import torch, and would outlive an interruption.
    """
    import torch._inductor.async_compile as compiling  # slow to import

    with patch.object(compiling.AsyncCompile, "use_process_pool", staticmethod(_no)):
        yield


def _no() -> bool:
    return False


def why(error: Exception) -> str:
    """Return why something could not be recorded or compiled, in one line.

    Example:
        >>> why(TypeError("no such shape"))
        'TypeError: no such shape'
    """
    if any(name in type(error).__name__ for name in _READING):
        return "a program or the objective reads a tensor, as .item() or an `if` on a tensor does"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no reason was given'}"


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what torch's compiler says of its own code, which is no concern of the user's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""Inductor: a recorded step as machine code."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyrovae.scopes import random_state, validation
from pyrovae.training.recording import first_line, quiet

Kernel = Callable[..., Sequence[Tensor]]


class CompilingError(ValueError):
    """A graph cannot be compiled here; the message says why, in one line."""


def compiled_graph(graph: torch.fx.GraphModule, inputs: Sequence[Tensor]) -> Kernel:
    """Return a graph as a compiled function of the same inputs.

    Random numbers are torch's own, and drawn as in the eager step, so that one random state gives
    both the same noise. torch keeps what it compiled in a cache on disk, from where the next run
    takes it.

    Arguments:
        graph: a recorded step.
        inputs: tensors of the shapes, strides and dtypes that it will run on.

    Raises:
        CompilingError: there is no C++ compiler, or torch cannot compile the graph.
    """
    with quiet():
        import torch._inductor.config as settings  # slow to import
        from torch._inductor.compile_fx import compile_fx

    # in this process: others would first have to import torch, and would outlive an interruption
    options: dict[str, Any] = {"fallback_random": True, "compile_threads": 1}
    device = inputs[0].device
    if device.type == "cuda":
        options["triton.cudagraphs"] = True  # replayed whole: no launch is waited for
    try:
        with (
            quiet(),
            torch.no_grad(),
            random_state(device=device),
            validation(enabled=False),  # torch switches its own off for good
            settings.patch(options),
        ):
            made: Any = compile_fx(graph, [value.detach() for value in inputs])
            function: Kernel = made
            function(*[value.detach().clone() for value in inputs])  # some is compiled only now
    except Exception as error:  # of the compiler's many kinds
        if "InvalidCxxCompiler" in str(error) or "InvalidCxxCompiler" in type(error).__name__:
            raise CompilingError("no C++ compiler was found (install g++ or clang)") from error
        raise CompilingError(f"{type(error).__name__}: {first_line(error)}") from error
    return function

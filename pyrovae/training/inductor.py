"""Inductor: a recorded step as machine code."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pyrovae.scopes import random_state, validation
from pyrovae.training.recording import first_line

Kernel = Callable[..., Sequence[Tensor]]


class NotCompilable(ValueError):
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
        NotCompilable: there is no C++ compiler, or torch cannot compile the graph.
    """
    import torch._inductor.config as settings  # slow to import
    from torch._inductor.compile_fx import compile_fx

    options: dict[str, Any] = {"fallback_random": True}
    device = inputs[0].device
    if device.type == "cuda":
        options["triton.cudagraphs"] = True  # replayed whole: no launch is waited for
    try:
        with (
            _quiet(),
            torch.no_grad(),
            random_state(device=device),
            validation(enabled=False),  # torch switches its own off for good
            settings.patch(options),
        ):
            function: Kernel = compile_fx(graph, [value.detach() for value in inputs])
            function(*[value.detach().clone() for value in inputs])  # some is compiled only now
    except Exception as error:  # of the compiler's many kinds
        if type(error).__name__ == "InvalidCxxCompiler":
            raise NotCompilable("no C++ compiler was found (install g++ or clang)") from error
        raise NotCompilable(f"{type(error).__name__}: {first_line(error)}") from error
    return function


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what torch's compiler says of its own code, which is no concern of the user's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""Scoring: the decoder and the log-density of an evaluation as one compiled function."""

import warnings
from typing import Any

import torch
from torch import Tensor

from pyrovae.compiling import (
    Compile,
    CompilingError,
    Kernel,
    compiled_graph,
    quiet,
    why,
)
from pyrovae.context import Context
from pyrovae.models import Decode, Pair, Score, plain

WORTHWHILE = 5e11  # floating point operations: some 10 s, against about 5 s of compiling
_TOLD = ("condition", "index", "observed")  # what a decoder is told of each datum
_MOST = 2  # kinds of parts that are compiled, each at least half as large as the largest before


def scoring(pair: Pair, choice: Compile, *, draws: int | None) -> Score | None:
    """Return how the parts of an evaluation are scored, None for as they are.

    Left to itself that follows from the plan alone, never from measured time.

    Arguments:
        pair: the programs.
        choice: whether to compile; "auto" does so on a processor for an evaluation whose matrix
            products, by the decoder's parameters, are worth it.
        draws: how many draws are planned, over all data; None where that is not known.
    """
    decoder = getattr(pair.whole, "decoder_network", None)
    if decoder is None or not pair.fixes or choice is False:
        return None
    if choice == "auto":
        weights = sum(p.numel() for p in decoder.parameters())
        device = decoder.offset.device
        if draws is None or device.type != "cpu" or 2.0 * draws * weights < WORTHWHILE:
            return None
    return CompiledScore(says=choice is True)


class CompiledScore:
    """Scores parts by functions compiled for their shapes, and those of odd shapes as they are.

    One serves one evaluation: the parameters must stay as they are, and the decoder the same.

    Arguments:
        says: warn where a part cannot be compiled.
    """

    def __init__(self, *, says: bool) -> None:
        self.says = says
        self._kernels: dict[Any, Kernel | None] = {}
        self._rows = 0  # of the largest kind so far

    def __call__(self, decode: Decode, z: Tensor, x: Tensor, context: Context) -> Tensor:
        """Return log p(x | z) in nats, of shape `[particles, batch]`."""
        names = [name for name in _TOLD if getattr(context, name) is not None]
        given = [getattr(context, name) for name in names]
        shapes = ((tensor.shape, tensor.dtype) for tensor in (z, x, *given))
        key = (*names, *shapes)
        if key not in self._kernels:
            if len(self._kernels) == _MOST or 2 * len(z) * len(x) < self._rows:
                return plain(decode, z, x, context)
            self._rows = max(self._rows, len(z) * len(x))
            self._kernels[key] = self._made(decode, z, x, dict(zip(names, given, strict=True)))
        kernel = self._kernels[key]
        if kernel is None:
            return plain(decode, z, x, context)
        return kernel(*(tensor.contiguous() for tensor in (z, x, *given)))[0]

    def _made(self, decode: Decode, z: Tensor, x: Tensor, told: dict[str, Tensor]) -> Kernel | None:
        with quiet():
            from torch.fx.experimental.proxy_tensor import make_fx  # slow to import

        def scored(z: Tensor, x: Tensor, *given: Tensor) -> list[Tensor]:
            named: dict[str, Any] = dict(zip(told, given, strict=True))
            return [plain(decode, z, x, Context(**named))]

        inputs = [tensor.contiguous() for tensor in (z, x, *told.values())]
        try:
            try:
                with quiet(), torch.random.fork_rng(devices=[]):
                    graph = make_fx(
                        scored,
                        tracing_mode="fake",
                        decomposition_table={torch.ops.aten.addmm.default: _addmm},
                        _allow_non_fake_inputs=True,
                    )(*inputs)
            except Exception as error:  # whatever the user's parts, or torch, say of empty tensors
                raise CompilingError(why(error)) from error
            return compiled_graph(graph, inputs, patterns=False)
        except CompilingError as error:
            if self.says:
                warnings.warn(f"the evaluation is not compiled: {error}", stacklevel=2)
            return None


def _addmm(bias: Tensor, left: Tensor, right: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """A linear layer in two operations, of which the second is fused with what follows it."""
    product = torch.ops.aten.mm.default(left, right)
    return (product if alpha == 1 else alpha * product) + (bias if beta == 1 else beta * bias)

"""Gathering: the rows of a batch that several processes share, brought together with gradients."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def gathered(rows: Tensor) -> Tensor:
    """Return the rows of all processes, in the order of their ranks; of one process they are all.

    Every process must call it, as often as the others, and take the gradient if one of them does.
    The processes may have different numbers of rows. The gradient of a row is the sum of those that
    the processes have for it: where each has a loss of its own rows, that of the sum of the losses.

    Arguments:
        rows: the rows of this process, along the first dimension.

    Raises:
        RuntimeError: there are several processes, and the step is being recorded.

    Example:
        >>> gathered(torch.ones(3, 2)).shape
        torch.Size([3, 2])
    """
    from torch import distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return rows
    if distributed.get_world_size() == 1:
        return rows
    if _is_recorded(rows):
        raise RuntimeError("gather=True asks other processes, which a recorded step cannot do")
    result: Tensor = _Gathered.apply(rows)  # type: ignore[no-untyped-call]
    return result


def _is_recorded(rows: Tensor) -> bool:
    """Return whether operations are noted down, on a tensor that may have no content."""
    from torch.fx.experimental.proxy_tensor import get_proxy_mode  # slow to import

    return get_proxy_mode() is not None or torch.compiler.is_compiling()


class _Gathered(torch.autograd.Function):
    """The rows of all processes; the backward pass adds up what these have for each row."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        from torch import distributed

        own = torch.tensor([len(rows)], device=rows.device)
        lengths = [torch.zeros_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(lengths, own)
        counts = [int(length) for length in lengths]
        padded = rows.new_zeros(max(counts), *rows.shape[1:])  # they are sent in one size
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(parts, padded)
        rank = distributed.get_rank()
        ctx.start, ctx.count = sum(counts[:rank]), counts[rank]
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        from torch import distributed

        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[ctx.start : ctx.start + ctx.count]

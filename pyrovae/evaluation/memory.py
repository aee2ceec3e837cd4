"""Memory: how many rows a computation may have at once, measured instead of guessed."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pyrovae.memory import is_out_of_memory

BUDGET = 256 * 2**20
IN_CACHE = 32 * 2**20  # on a processor: larger blocks would go through the memory, not the cache
_LIVE = 6  # tensors of the largest size that are alive at once, a generous count
_FEW, _MORE = 2, 18
_LESS = (1, 8, 64)  # parts of the budget that are tried one after the other

Result = TypeVar("Result")


class _Sizes(TorchDispatchMode):
    """Note the size in bytes of every tensor that an operation makes, in their order."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.found.append(leaf.numel() * leaf.element_size())
        return result


def rows_within(compute: Callable[[int], object], *, budget: int = BUDGET) -> int:
    """Return how many rows `compute(rows)` may have for its memory to stay within a budget.

    The sizes of all tensors are measured at two small numbers of rows, which tells those that grow
    with the rows from weights and constants, however large these are.

    Arguments:
        compute: runs the computation for a number of rows.
        budget: bytes beside the model and the data.

    Example:
        >>> import torch
        >>> rows_within(lambda rows: torch.zeros(rows, 1000) + torch.zeros(1000), budget=2**20)
        43
    """
    few, more = (_sizes(compute, rows) for rows in (_FEW, _MORE))
    if len(few) == len(more):
        growth = max((b - a for a, b in zip(few, more, strict=True)), default=0)
    else:  # not the same operations, so only what they make together can be compared
        growth = sum(more) - sum(few)
    return max(1, int(budget * (_MORE - _FEW) / (_LIVE * max(growth, 1))))


def _sizes(compute: Callable[[int], object], rows: int) -> list[int]:
    with _Sizes() as sizes:
        compute(rows)
    return sizes.found


def within_memory(compute: Callable[[int], Result]) -> Result:
    """Return `compute(budget)`, with a smaller budget where memory runs out.

    Arguments:
        compute: computes in blocks of at most so many bytes.

    Raises:
        MemoryError: the smallest budget is too large as well.

    Example:
        >>> def compute(budget):
        ...     if budget > 100 * 2**20:
        ...         raise MemoryError
        ...     return budget
        >>> within_memory(compute) == BUDGET // 8
        True
    """
    for part in _LESS:
        try:
            return compute(BUDGET // part)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            last = error
    raise MemoryError(
        f"out of memory in an evaluation, in blocks of {BUDGET // _LESS[-1] // 2**20} MiB too: the "
        f"model and the data leave no room; free memory, give fewer data, or move the model to "
        f"another device"
    ) from last

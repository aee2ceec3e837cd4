"""Same noise: the random numbers of one evaluation, handed out again in each later one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_TEMPLATES = ("aten::rand_like", "aten::randn_like", "aten::randint_like")  # of a shape, no more


class SameNoise:
    """A tape of what is drawn: the first evaluation writes it, each later one is given it again.

    Noise that hangs on nothing, such as the standard normal numbers behind a draw, is kept as a
    tensor. No random state is touched for it, so what runs under a tape can be recorded as a graph
    like anything else, and works on any device. Of noise made by an operation that reads
    parameters, such as torch's gamma draws, the random state before it is kept: it is drawn again
    from that state at the new parameters, and the state is put back. Such a step cannot be
    recorded, and says so. What is drawn after the tape is independent of what is on it.

    Example:
        >>> noise = SameNoise()
        >>> with noise.again():
        ...     first = torch.randn(3)
        >>> with noise.again():
        ...     second = torch.randn(3)
        >>> bool((first == second).all()), bool((first == torch.randn(3)).any())
        (True, False)
    """

    def __init__(self) -> None:
        self.kept: list[Tensor] = []  # draws, or random states

    @contextmanager
    def again(self) -> Iterator[None]:
        """Draw inside this context what was drawn in the first one."""
        with _Tape(self.kept):
            yield


class _Tape(TorchDispatchMode):
    """Looks at each operation that draws, on the way to where it runs or is recorded."""

    def __init__(self, kept: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept = kept
        self.at = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **named)
        at, self.at = self.at, self.at + 1
        is_first = at == len(self.kept)
        if _reads(func, args, named):
            return self._drawn_from_state(at, func, args, named)
        if is_first:
            drawn = func(*args, **named)
            self.kept.append(drawn.clone())  # what is drawn in place may be written over
            return drawn
        if func._schema.is_mutable:
            return args[0].copy_(self.kept[at])
        return self.kept[at].clone()

    def _drawn_from_state(
        self, at: int, func: Any, args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Draw at these parameters, always from the random state of the first time."""
        tensors = [value for value in (*args, *named.values()) if isinstance(value, Tensor)]
        if any(isinstance(tensor, torch._subclasses.FakeTensor) for tensor in tensors):
            raise RuntimeError(
                f"{func._schema.name} draws numbers that depend on parameters, and the same noise "
                f"for other parameters cannot be recorded"
            )
        device = tensors[0].device
        module = torch.random if device.type == "cpu" else torch.get_device_module(device)
        now = module.get_rng_state()
        if at == len(self.kept):
            self.kept.append(now)
            return func(*args, **named)
        module.set_rng_state(self.kept[at])
        try:
            return func(*args, **named)
        finally:
            module.set_rng_state(now)


def _reads(func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Return whether what an operation draws hangs on the content of a tensor it is given."""
    given = sum(isinstance(value, Tensor) for value in (*args, *named.values()))
    if func._schema.is_mutable:  # the one that it fills
        given -= 1
    return given > 0 and func._schema.name not in _TEMPLATES

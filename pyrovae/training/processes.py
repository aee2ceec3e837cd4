"""Processes: the one or several that train a model together, and what they tell each other.

What is not a tensor travels as JSON, never pickled. `torch.distributed` is imported only where
there are several processes.
"""

import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor


class Processes(ABC):
    """The processes of a run, seen from one of them.

    Every method but `quiet` is called by all of them, in the same order; each waits for the others.

    Arguments:
        rank: the number of this one, from 0.
        size: how many there are.
    """

    def __init__(self, *, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    @abstractmethod
    def add_up(self, flat: Tensor) -> None:
        """Put the sum over the processes in place of a tensor; all get the same bits."""

    @abstractmethod
    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the first one's values of some tensors."""

    @abstractmethod
    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank, as JSON holds them."""

    def tell(self, value: Any) -> Any:
        """Return the value of the first process, as JSON holds it."""
        return self.gather(value)[0]

    def first_word(self, word: str) -> str:
        """Return the word of the first process that has one, else nothing."""
        return next(filter(None, self.gather(word)), "")

    def wait(self) -> None:
        """Wait until every process has come here."""
        self.gather(None)

    def noise_seed(self, seed: int) -> int:
        """Return what seeds this process's noise: the seed itself for the first of them."""
        if self.first:
            return seed
        digest = sha256(f"{seed}/{self.rank}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % 2**63

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process be done with what is inside before the others begin it."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let only the first process warn inside this context."""
        if self.first:
            yield
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


class OneProcess(Processes):
    """A run in one process, which has nobody to wait for.

    Example:
        >>> OneProcess().gather({"loss": 1.5})
        [{'loss': 1.5}]
    """

    def __init__(self) -> None:
        super().__init__(rank=0, size=1)

    def add_up(self, flat: Tensor) -> None:
        """See `Processes`; there is nothing to add."""

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """See `Processes`; there is nothing to copy."""

    def gather(self, value: Any) -> list[Any]:
        return [value]


class SeveralProcesses(Processes):
    """The processes of torch's default group, which Fabric has set up.

    Arguments:
        rank: the number of this one, from 0.
        size: how many there are.
        device: where the tensors that they send each other have to be.
    """

    def __init__(self, *, rank: int, size: int, device: torch.device) -> None:
        super().__init__(rank=rank, size=size)
        self._device = device

    def add_up(self, flat: Tensor) -> None:
        from torch import distributed

        distributed.all_reduce(flat)

    @torch.no_grad()
    def copy(self, tensors: Sequence[Tensor]) -> None:
        from torch import distributed

        for tensor in tensors:
            sent = tensor.detach().to(self._device, copy=True).contiguous()
            distributed.broadcast(sent, src=0)
            tensor.copy_(sent)

    def gather(self, value: Any) -> list[Any]:
        from torch import distributed

        words = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64, device=self._device) for _ in range(self.size)]
        distributed.all_gather(lengths, torch.tensor([len(words)], device=self._device))
        counts = [int(length) for length in lengths]
        padded = torch.zeros(max(counts), dtype=torch.uint8, device=self._device)
        padded[: len(words)] = words.to(self._device)
        texts = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(texts, padded)
        return [
            json.loads(bytes(text[:count].tolist()))
            for text, count in zip(texts, counts, strict=True)
        ]

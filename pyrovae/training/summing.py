"""Summing: the gradients of several processes in one all-reduce, with the loss and what is logged.

It takes the place of a wrapper around the model, such as torch's `DistributedDataParallel`: Pyro
programs are no `forward` that could be wrapped, and the compiled step has no hooks to wait for.
"""

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from pyrovae.training.processes import Processes

_NONE, _DENSE = -1, 0  # what a parameter's gradient is; above zero the dimensions of a sparse one

Logged = Mapping[str, Tensor]


class Summed:
    """Puts the sums over the processes in place of the gradients of each.

    Every process computes the gradient of the loss summed over its own rows and divided by the
    rows of the whole batch, so the sum is the gradient of the mean. What is not finite in one
    process is not finite in the sum, so the guards of all come to the same decision.

    Arguments:
        parameters: the parameters that are trained, alike in all processes.
        processes: the processes.
        device: where the parameters are.

    Example:
        >>> from pyrovae.training.processes import OneProcess
        >>> weight = nn.Parameter(torch.zeros(2))
        >>> summed = Summed([weight], OneProcess(), torch.device("cpu"))
        >>> weight.grad = torch.ones(2)
        >>> summed(torch.tensor(6.0), {"loss": torch.tensor(2.0)}, rows=3, size=3)
        (tensor(2.), {'loss': tensor(2.)})
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], processes: Processes, device: torch.device
    ) -> None:
        self._parameters = parameters
        self._processes = processes
        self._device = device
        self._names: list[str] = []
        self._kinds: list[int] = []
        self._flat: Tensor | None = None
        self._views: list[Tensor] = []

    @torch.no_grad()
    def __call__(
        self, loss: Tensor, logged: Logged, *, rows: int, size: int
    ) -> tuple[Tensor, Logged]:
        """Add up, and return the mean loss over the whole batch and the means of what is logged.

        Arguments:
            loss: the loss, summed over the process's own rows.
            logged: its means over these rows.
            rows: how many they are; where there are none, loss and means are not looked at.
            size: the rows of the whole batch.
        """
        gradients = [parameter.grad for parameter in self._parameters]
        flat = self._agree(gradients, logged) if self._flat is None else self._flat
        numbers = [flat.new_zeros(())] * (1 + len(self._names))
        if rows > 0:
            means = [logged[name] * (rows / size) for name in self._names]
            numbers = [loss.detach() / size, *means]
        filled = [(v, g) for v, g in zip(self._views, gradients, strict=True) if g is not None]
        if len(filled) < len(gradients):
            flat.zero_()
        if filled:
            torch._foreach_copy_([v for v, _ in filled], [_dense(g) for _, g in filled])
        flat[-len(numbers) :] = torch.stack([number.to(flat) for number in numbers])
        self._processes.add_up(flat)
        for parameter, view, kind in zip(self._parameters, self._views, self._kinds, strict=True):
            if kind != _NONE or parameter.grad is not None:
                summed = view.to(parameter.dtype)
                parameter.grad = summed.to_sparse(kind) if kind > _DENSE else summed
        mean, *rest = flat[-len(numbers) :].clone().unbind()
        return mean, dict(zip(self._names, rest, strict=True))

    def _agree(self, gradients: Sequence[Tensor | None], logged: Logged) -> Tensor:
        """Return the flat tensor; what it holds is said by the first process, which has rows."""
        told = self._processes.tell([list(logged), [_kind(gradient) for gradient in gradients]])
        self._names, self._kinds = told
        counts = [parameter.numel() for parameter in self._parameters]
        dtypes = [parameter.dtype for parameter in self._parameters]
        flat = torch.zeros(
            sum(counts) + 1 + len(self._names),
            dtype=reduce(torch.promote_types, dtypes, torch.float32),
            device=self._device,
        )
        parts = flat[: sum(counts)].split(counts)
        self._views = [
            part.view_as(parameter) for part, parameter in zip(parts, self._parameters, strict=True)
        ]
        self._flat = flat
        return flat


def _kind(gradient: Tensor | None) -> int:
    if gradient is None:
        return _NONE
    return gradient.sparse_dim() if gradient.is_sparse else _DENSE


def _dense(gradient: Tensor) -> Tensor:
    return gradient.to_dense() if gradient.is_sparse else gradient

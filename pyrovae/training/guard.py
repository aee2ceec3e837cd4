"""Guard: what is not finite never reaches the parameters.

The check and the suppression of an update are operations on the device, so that a step waits for
nothing. The guard is read now and then; by then it tells how many updates it has suppressed, and
with that which step was the first bad one.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pyrovae.objectives import Player

_CHECKED = ("cpu", "cuda", "xpu")  # where torch's check of many gradients in one operation runs


class Guard:
    """Takes the optimisers' steps, until a loss or a gradient is not finite; from then on none.

    Fused optimisers leave out an update by themselves where they are told to. For others the
    parameters are copied before each step and put back. Buffers that a step moves, such as the
    running means of batch normalisation, are put back too.

    Arguments:
        parameters: the parameters that are trained.
        buffers: the buffers of the model.
        optimizer: their optimiser.
        device: where they are.
        against: an opponent of the model, whose optimiser steps beside.

    Example:
        >>> weight = nn.Parameter(torch.zeros(2))
        >>> guard = Guard([weight], [], torch.optim.SGD([weight], lr=1.0), torch.device("cpu"))
        >>> weight.grad = torch.tensor([1.0, float("nan")])
        >>> guard.step(torch.tensor(3.0))
        >>> weight.tolist(), guard.suppressed()
        ([0.0, 0.0], 1)
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        buffers: Iterable[Tensor],
        optimizer: Optimizer,
        device: torch.device,
        *,
        against: Player | None = None,
    ) -> None:
        pairs = [(list(parameters), optimizer)]
        if against is not None:
            pairs.append((against.parameters, against.optimizer))
        self._optimizers = [stepped for _, stepped in pairs]
        self._parameters = [parameter for held, _ in pairs for parameter in held]
        self._bad = torch.zeros(
            (), dtype=torch.float32, device=device
        )  # 0, and 1 from the first bad step on
        self._count = torch.zeros((), dtype=torch.float32, device=device)
        self._one = torch.ones((), dtype=torch.float32, device=device)
        self._native = [
            stepped
            for stepped in self._optimizers
            if getattr(stepped, "_step_supports_amp_scaling", False)
        ]
        self._held: list[Tensor] = [
            parameter
            for held, stepped in pairs
            if stepped not in self._native
            for parameter in held
        ]
        self._kept = [parameter.detach().clone() for parameter in self._held]
        self._buffers = list(buffers)
        self._kept_buffers = [buffer.clone() for buffer in self._buffers]
        for stepped in self._native:
            stepped.found_inf = self._bad  # type: ignore[attr-defined]

    @property
    def share(self) -> Tensor:
        """1, and 0 from the first bad step on, as a 0-dimensional tensor on the device."""
        return 1.0 - self._bad

    def begin(self) -> None:
        """Remember the buffers, before a step's loss is computed."""
        if self._buffers:
            torch._foreach_copy_(self._kept_buffers, self._buffers)

    @torch.no_grad()
    def step(self, loss: Tensor) -> None:
        """Take the optimisers' steps, or leave everything as it was where something is not finite.

        Arguments:
            loss: the loss whose gradients the parameters hold, 0-dimensional.
        """
        self._look([loss.detach().clone(), *self._gradients()])
        self._count.add_(self._bad)
        if self._held:
            torch._foreach_copy_(self._kept, self._held)
        for optimizer in self._optimizers:
            optimizer.step()
        # all buffers: batch normalisation writes without counting in torch's versions
        kept = [*self._kept, *self._kept_buffers]
        held = [*self._held, *self._buffers]
        bad = self._bad > 0.0
        for before, tensor in zip(kept, held, strict=True):
            tensor.copy_(torch.where(bad, before, tensor))

    def suppressed(self) -> int:
        """Return how many steps were left out, the last ones there were; this waits."""
        return int(self._count.item())

    def release(self) -> None:
        """Leave the optimisers as they came."""
        for stepped in self._native:
            del stepped.found_inf  # type: ignore[attr-defined]

    def _gradients(self) -> list[Tensor]:
        found = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        return [grad.coalesce().values() if grad.is_sparse else grad for grad in found]

    def _look(self, tensors: list[Tensor]) -> None:
        """Remember whether a tensor holds what is not finite."""
        for dtype in {tensor.dtype for tensor in tensors}:
            alike = [tensor for tensor in tensors if tensor.dtype == dtype]
            if self._bad.device.type in _CHECKED and dtype.is_floating_point:
                # what torch's gradient scaler does, here with a scale of one
                torch._amp_foreach_non_finite_check_and_unscale_(alike, self._bad, self._one)
            else:
                finite = torch.stack([tensor.isfinite().all() for tensor in alike]).all()
                torch.maximum(self._bad, 1.0 - finite.float(), out=self._bad)

"""Compiled: a loss whose value and gradients come from one compiled graph."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pyrovae.compiling import CompilingError, Kernel, compiled_graph
from pyrovae.networks import autocast
from pyrovae.objectives import ObjectiveModule
from pyrovae.scopes import validation
from pyrovae.training.arguments import Structure, flattened
from pyrovae.training.precision import Precision, dtype_of
from pyrovae.training.recording import Recording, RecordingError, record
from pyrovae.training.slots import Slots

_MOST = 16  # graphs: what takes more values than that is no setting
Key = tuple[Any, ...]


class _Call(NamedTuple):
    """The arguments of a call, flat, and the parameters and buffers of the loss as they are."""

    slots: Slots
    tensors: list[Tensor]
    leaves: list[Any]
    structure: Structure
    divisor: int


class CompiledLoss(nn.Module):
    """A loss that is called like the one it was made of, and runs as one compiled graph.

    The graph holds the loss and its gradients. It is recorded from the Pyro programs when first
    needed, and anew where keys, shapes or dtypes of the arguments change, a parameter is frozen or
    a submodule changes between training and evaluation mode. A batch smaller than a recorded one,
    such as the last of an epoch, takes the eager step, and so does what cannot be recorded or
    compiled, which is said once. Noise is fresh at each call, and the same that the eager loss
    draws from the same random state. Numbers in the programs that are no tensors are fixed when
    the graph is recorded. Submodules must not be replaced by others.

    Arguments:
        loss: what `objective(model, guide)` returns, or any module whose call is a 0-dimensional
            loss.
        precision: "32-true", or "bf16-mixed" to run the networks, and only them, in bfloat16.

    Raises:
        TypeError: `loss` is no module.
        ValueError: there is no such precision.

    Warns:
        UserWarning: the step is not compiled; the message says why.
    """

    def __init__(self, loss: nn.Module, *, precision: Precision = "32-true") -> None:
        super().__init__()
        if not isinstance(loss, nn.Module):
            raise TypeError(
                f"expected a module whose call is a loss, such as ELBO()(model, guide); "
                f"got {type(loss).__name__}"
            )
        self.loss = loss
        self.logged: Mapping[str, Tensor] = {}
        self._dtype = dtype_of(precision)
        self._kernels: dict[Key, tuple[Recording, Kernel] | None] = {}
        self._rows: dict[Key, int] = {}
        self._said: list[str] = []
        self._submodules: list[nn.Module] = []
        self._slots: Slots | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the loss; its backward pass hands out the gradients that came with it."""
        found = self._run(args, kwargs, 1) if torch.is_grad_enabled() else None
        if found is None:
            return self._eager(args, kwargs)
        result: Tensor = _Handed.apply(*found)  # type: ignore[no-untyped-call]
        return result

    def step(self, *args: Any, divisor: int = 1, **kwargs: Any) -> Tensor:
        """Return the loss without gradient, and set the gradient of each parameter.

        Arguments:
            *args: what the loss is called on.
            divisor: the gradients are those of the loss divided by it, such as the rows of a batch.
            **kwargs: what the loss is called on, by name.
        """
        found = self._run(args, kwargs, divisor)
        if found is None:
            self.loss.zero_grad(set_to_none=True)
            value = self._eager(args, kwargs)
            (value / divisor).backward()
            return value.detach()
        value, gradients, *parameters = found
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return value

    def prepare(self, *args: Any, divisor: int = 1, **kwargs: Any) -> bool:
        """Record and compile for arguments like these; return whether that could be done."""
        return self._kernel(self._call(args, kwargs, divisor)) is not None

    @property
    def graphs(self) -> int:
        """How many graphs have been compiled."""
        return sum(kernel is not None for kernel in self._kernels.values())

    @property
    def reasons(self) -> list[str]:
        """Why steps were not compiled."""
        return list(self._said)

    def _eager(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        with validation(enabled=False), autocast(self._dtype):
            value: Tensor = self.loss(*args, **kwargs)
        self.logged = getattr(self.loss, "logged", {})
        return value

    def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], divisor: int) -> Any:
        """Return the loss, its gradients, and their parameters; None where the step is eager."""
        call = self._call(args, kwargs, divisor)
        found = self._kernel(call)
        if found is None:
            return None
        recording, kernel = found
        with torch.no_grad():
            outputs = kernel(*call.tensors, *_contiguous(call.leaves))
        value, self.logged, gradients = recording.parted(outputs)
        if value.is_cuda:  # the next replay of a CUDA graph writes over what this one returned
            value = value.clone()
            self.logged = {name: quantity.clone() for name, quantity in self.logged.items()}
        trained = zip(call.tensors, recording.trained, strict=True)
        return value, gradients, *(tensor for tensor, has in trained if has)

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], divisor: int) -> _Call:
        slots = self._held(args, kwargs)
        return _Call(slots, slots.tensors(), *flattened(args, kwargs), divisor)

    def _held(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Slots:
        """Return where the loss holds its tensors, once it has an opponent where it needs one."""
        if self._slots is None:
            if isinstance(self.loss, ObjectiveModule):
                self.loss.settle(*args, **kwargs)
            self._submodules = list(self.loss.modules())
            self._slots = Slots(self.loss)
        return self._slots

    def _kernel(self, call: _Call) -> tuple[Recording, Kernel] | None:
        """Return the graph of a call, recorded and compiled where it is needed first."""
        settings, rows = self._settings(call)
        key = (*settings, rows, call.divisor)
        if key in self._kernels:
            return self._kernels[key]
        if rows < self._rows.get(settings, 0):
            return None
        if len(self._kernels) >= _MOST:
            self._say(f"{_MOST} kinds of batches have been recorded already")
            return None
        self._kernels[key] = self._made(call)
        self._rows[settings] = rows
        return self._kernels[key]

    def _made(self, call: _Call) -> tuple[Recording, Kernel] | None:
        try:
            recording = record(
                self.loss,
                call.slots,
                call.leaves,
                call.structure,
                dtype=self._dtype,
                divisor=call.divisor,
            )
            inputs = [*call.tensors, *_contiguous(call.leaves)]
            return recording, compiled_graph(recording.graph, inputs)
        except (RecordingError, CompilingError) as error:
            self._say(str(error))
            return None

    def _settings(self, call: _Call) -> tuple[Key, int]:
        """Return what a graph depends on besides the rows of a batch, and these."""
        rows = 0
        given: list[Any] = []
        for leaf in call.leaves:
            if not isinstance(leaf, Tensor):
                given.append(repr(leaf))
                continue
            rows = max(rows, leaf.shape[0] if leaf.dim() else 0)
            given.append((leaf.shape[1:], leaf.dim(), leaf.dtype, leaf.device))
        held = [(t.requires_grad, t.dtype, t.device, t.shape) for t in call.tensors]
        modes = [module.training for module in self._submodules]
        outer = torch.get_default_dtype(), torch.is_autocast_enabled(call.tensors[0].device.type)
        return (call.structure, *outer, *modes, *held, *given), rows

    def _say(self, reason: str) -> None:
        if reason not in self._said:
            self._said.append(reason)
            warnings.warn(f"the step is not compiled: {reason}", stacklevel=2)


class _Handed(torch.autograd.Function):
    """The loss, whose gradients are known already and are handed out in its backward pass."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(gradient * outer for gradient in ctx.gradients)


def _contiguous(leaves: Sequence[Any]) -> list[Tensor]:
    return [leaf.contiguous() for leaf in leaves if isinstance(leaf, Tensor)]


def compile(loss: nn.Module, batch: Any, *, precision: Precision = "32-true") -> CompiledLoss:
    """Return a loss compiled for batches like the one given, forward and backward together.

    It takes the place of `objective(model, guide)` in a training loop of one's own:

        loss = pyrovae.compile(ELBO()(model, guide), batch)
        for batch in batches:
            optimizer.zero_grad()
            (loss(**batch) / len(batch["x"])).backward()
            optimizer.step()

    Arguments:
        loss: an objective of a pair of Pyro programs, ours or anybody's.
        batch: an example of what the loss is called on: a dict for `loss(**batch)`, a tuple for
            `loss(*batch)`, a tensor for `loss(batch)`.
        precision: "32-true", or "bf16-mixed" to run the networks, and only them, in bfloat16.

    Raises:
        TypeError: `loss` is no module.
        ValueError: there is no such precision.

    Warns:
        UserWarning: it cannot be compiled, and runs as it is; the message says why.

    Example:
        >>> import pyrovae
        >>> from pyrovae.likelihoods import Normal
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.objectives import ELBO
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = pyrovae.VAE(prior=StandardNormal(1), likelihood=Normal((2,)),
        ...                   posterior=MeanFieldNormal(), encoder=MLP(()), decoder=MLP(()))
        >>> loss = compile(ELBO()(vae.model, vae.guide), {"x": torch.zeros(4, 2)})
        >>> loss(x=torch.ones(4, 2)).backward()
    """
    made = CompiledLoss(loss, precision=precision)
    if isinstance(batch, Mapping):
        made.prepare(**batch)
    elif isinstance(batch, tuple):
        made.prepare(*batch)
    else:
        made.prepare(batch)
    return made

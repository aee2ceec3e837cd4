"""Recording: a training step as one graph of tensor operations, loss and gradients together.

The Pyro programs run once, on tensors without content, and every operation on a tensor is noted
down, those of the backward pass included: recorded alone, a forward pass would lose hooks, blocks
without gradient, and gradients of one's own. What is no tensor is fixed in the graph: numbers,
which parameters are trained, training or evaluation mode. Random draws are operations, fresh each
time the graph runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyrovae.compiling import quiet, why
from pyrovae.networks import autocast
from pyrovae.scopes import random_state, validation
from pyrovae.training.arguments import Structure, arranged
from pyrovae.training.slots import Slots


class RecordingError(ValueError):
    """A step cannot be kept as a graph; the message says why, in one line."""


@dataclass(frozen=True)
class Recording:
    """A step as a graph: it takes the tensors, and those among the leaves, to a list of tensors.

    That list is the loss, what is logged, and the gradients.

    Arguments:
        graph: the graph; where a step moves buffers, so does the graph.
        logged: the names of the logged quantities, in their order.
        trained: for each tensor whether a gradient of it is returned.
    """

    graph: torch.fx.GraphModule
    logged: tuple[str, ...]
    trained: tuple[bool, ...]

    def parted(self, outputs: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """Return the loss, what is logged by name, and the gradients, of the graph's outputs."""
        behind = 1 + len(self.logged)
        logged = dict(zip(self.logged, outputs[1:behind], strict=True))
        return outputs[0], logged, list(outputs[behind:])


def record(
    loss: nn.Module,
    slots: Slots,
    leaves: Sequence[Any],
    structure: Structure,
    *,
    dtype: torch.dtype | None = None,
    divisor: int = 1,
) -> Recording:
    """Return a training step as a graph; parameters, buffers and random states stay as they are.

    Arguments:
        loss: a module whose call is the loss, 0-dimensional, and which may keep in `logged` named
            0-dimensional tensors.
        slots: where it holds its parameters and buffers.
        leaves: what the loss is called on, flat.
        structure: how the leaves make up the call.
        dtype: the lower precision in which networks run, None for their own.
        divisor: what the loss is divided by before its gradient is taken.

    Raises:
        RecordingError: the step reads a tensor on the host, hangs on hooks of parameters, or has
            nothing to train.
    """
    with quiet():
        from torch.fx.experimental.proxy_tensor import make_fx  # slow to import

    tensors = slots.tensors()
    if not any(tensor.requires_grad for tensor in tensors):
        raise RecordingError("no parameter is trained")
    _require_no_hooks(loss)
    names: list[str] = []
    trained: list[bool] = []

    def step(*flat: Tensor) -> list[Tensor]:
        given, rest = flat[: len(tensors)], iter(flat[len(tensors) :])
        filled = [next(rest) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        args, kwargs = arranged(structure, filled)
        with torch.enable_grad(), autocast(dtype), slots.exchanged(given):
            value = loss(*args, **kwargs)
            left = slots.tensors()
            wanted = [tensor for tensor in given if tensor.requires_grad]
            found = torch.autograd.grad(value / divisor, wanted, allow_unused=True)
        gradients = iter(found)
        outputs = []
        for before, after in zip(given, left, strict=True):
            gradient = next(gradients) if before.requires_grad else None
            trained.append(gradient is not None)
            if gradient is not None:
                outputs.append(_laid_out(gradient, before))
            elif after is not before:  # a buffer that was replaced, and not written to
                before.copy_(after)
        logged: Mapping[str, Tensor] = getattr(loss, "logged", {})
        names.extend(logged)
        return [value.detach(), *(quantity.detach() for quantity in logged.values()), *outputs]

    kept: Any = getattr(loss, "logged", None)
    try:
        with quiet(), random_state(device=_device(tensors)), validation(enabled=False):
            graph = make_fx(step, tracing_mode="fake", _allow_non_fake_inputs=True)(
                *tensors, *(leaf for leaf in leaves if isinstance(leaf, Tensor))
            )
    except Exception as error:  # whatever the user's programs, or torch, say of empty tensors
        raise RecordingError(why(error)) from error
    finally:
        if kept is not None:
            loss.logged = kept  # the recording left tensors without content there
    if not any(trained):
        raise RecordingError("the loss depends on no parameter that is trained")
    return Recording(graph, tuple(names), tuple(trained))


def _laid_out(gradient: Tensor, tensor: Tensor) -> Tensor:
    """Return a gradient with the strides of its parameter, which fused optimisers count on."""
    if gradient.stride() == tensor.stride():
        return gradient
    return torch.empty_strided(
        tensor.shape, tensor.stride(), dtype=gradient.dtype, device=gradient.device
    ).copy_(gradient)


def _require_no_hooks(loss: nn.Module) -> None:
    for name, parameter in loss.named_parameters():
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            raise RecordingError(f"parameter '{name}' has a hook on its gradient")


def _device(tensors: Sequence[Tensor]) -> torch.device:
    return tensors[0].device if tensors else torch.device("cpu")

"""Folding: the one place where shapes, precision and normalisation meet a network.

Pyro adds dimensions on the left of the batch, for particles and for enumerated variables. Layers
such as convolutions and batch normalisation take one batch dimension only, so all leading
dimensions are folded into one before a network and unfolded behind it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pyrovae.declared import named
from pyrovae.networks.conditioned import Conditioned, built
from pyrovae.networks.network import Builder, Shape

_AUTOCAST: ContextVar[torch.dtype | None] = ContextVar("pyrovae_autocast", default=None)


class Folded(nn.Module):
    """A network on `[*batch, *in_shape]` for any number of batch dimensions.

    Its output is shifted by the buffer `offset`, which starts at zero and which a model sets once
    to where its data lie, so that training begins at the mean of the data with any network. It
    leaves in float32 where the network ran in a lower precision.

    With a condition the batch dimensions of both inputs are broadcast. Networks of this room run
    their first layers on each input as it comes, so an enumerated condition, on more dimensions on
    the left, does not repeat the first layer's work on the other input.

    Arguments:
        builder: builds the network from the two shapes, such as `MLP((400,))`.
        in_shape: the shape of one input.
        out_shape: the shape of one output.
        owner: what the network is for, named in errors.
        condition_shape: the shape of one condition, None where the network has none.

    Raises:
        TypeError: the builder did not build a module.
        ValueError: when called, an input, a condition or the network's output has another shape, or
            a condition is missing, or there is one too many.

    Example:
        >>> from pyrovae.networks import MLP, Conv
        >>> net = Folded(Conv((8,)), (3,), (1, 9, 9), owner="decoder")
        >>> net(torch.zeros(7, 5, 3)).shape
        torch.Size([7, 5, 1, 9, 9])
        >>> net = Folded(MLP((8,)), (3,), (2,), owner="encoder", condition_shape=(4,))
        >>> net(torch.zeros(5, 3), condition=torch.zeros(7, 1, 4)).shape
        torch.Size([7, 5, 2])
    """

    offset: Tensor

    def __init__(
        self,
        builder: Builder,
        in_shape: Shape,
        out_shape: Shape,
        *,
        owner: str,
        condition_shape: Shape | None = None,
    ) -> None:
        super().__init__()
        self.condition_shape = None if condition_shape is None else tuple(condition_shape)
        self.in_shape = tuple(in_shape)
        self.out_shape = tuple(out_shape)
        self.owner = owner
        self.description = named(builder)
        if not callable(builder):
            raise TypeError(
                f"{owner} expects a network such as MLP((400, 400)) or a function "
                f"(in_shape, out_shape) -> nn.Module; got {builder!r}"
            )
        condition = None if self.condition_shape is None else _inner(self.condition_shape)
        try:
            network = built(builder, _inner(self.in_shape), self.out_shape, condition)
        except TypeError as error:
            raise TypeError(
                f"{owner} expects a network such as MLP((400, 400)) or a function "
                f"(in_shape, out_shape) -> nn.Module; calling {builder!r} with {self.in_shape} and "
                f"{self.out_shape} failed: {error}"
            ) from error
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"{owner} {self.description} built {type(network).__name__} for shapes "
                f"{self.in_shape} to {self.out_shape}; expected a torch.nn.Module"
            )
        self.network = network
        self._takes_observed = bool(getattr(network, "takes_observed", False))
        self.register_buffer("offset", torch.zeros(self.out_shape))

    def forward(
        self, value: Tensor, *, observed: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """Apply the network to `[*batch, *in_shape]`.

        Arguments:
            value: the input.
            observed: which of its entries are known, of the same shape; a network gets to see it
                that says so by an attribute `takes_observed = True`.
            condition: the condition, `[*batch, *condition_shape]`, whose batch dimensions broadcast
                with those of the input.
        """
        batch = self._batch("input", value, self.in_shape)
        if (condition is None) != (self.condition_shape is None):
            wanted = "no condition" if self.condition_shape is None else "a condition"
            given = "none" if condition is None else f"one of shape [{_listed(condition.shape)}]"
            raise ValueError(f"{self.owner} expects {wanted}; got {given}")
        value = self._floating(value)
        told = {}
        if observed is not None and self._takes_observed:
            told["observed"] = _folded(observed.expand(value.shape), batch, self.in_shape)
        with _precision(value):
            if condition is None:
                output = self.network(_folded(value, batch, self.in_shape), **told)
            else:
                beside = self._batch("condition", condition, self.condition_shape or ())
                condition = self._floating(condition)
                output, batch = self._conditioned(value, batch, condition, beside, told)
        if output.shape != (batch.numel(), *self.out_shape):
            shapes = [value.shape, *([] if condition is None else [condition.shape])]
            raise ValueError(
                f"{self.owner} {self.description} took "
                f"{' and '.join(f'[{_listed(shape)}]' for shape in shapes)} to "
                f"[{_listed(output.shape)}]; expected [{batch.numel()}, {_listed(self.out_shape)}]"
            )
        if output.dtype in (torch.bfloat16, torch.float16):
            output = output.float()
        output = output + self.offset
        return output if len(batch) == 1 else output.reshape(*batch, *self.out_shape)

    def _conditioned(
        self,
        value: Tensor,
        batch: torch.Size,
        condition: Tensor,
        beside: torch.Size,
        told: dict[str, Tensor],
    ) -> tuple[Tensor, torch.Size]:
        """Return the network's output on folded rows, and the batch shape of both inputs."""
        try:
            both = torch.broadcast_shapes(batch, beside)
        except RuntimeError as error:
            raise ValueError(
                f"{self.owner} expects an input and a condition whose batch dimensions broadcast; "
                f"got [{_listed(batch)}] and [{_listed(beside)}]"
            ) from error
        shapes = self.in_shape, self.condition_shape or ()
        if not isinstance(self.network, Conditioned):
            rows = (
                _folded(value.expand(*both, *shapes[0]), both, shapes[0]),
                _folded(condition.expand(*both, *shapes[1]), both, shapes[1]),
            )
            if told:
                known = told["observed"].reshape(*batch, *shapes[0]).expand(*both, *shapes[0])
                told = {"observed": _folded(known, both, shapes[0])}
            return self.network(*rows, **told), both
        hidden = self.network.first(_folded(value, batch, shapes[0]), **told)
        added = self.network.beside(_folded(condition, beside, shapes[1]))
        joint = hidden.reshape(*batch, *hidden.shape[1:]) + added.reshape(*beside, *added.shape[1:])
        output: Tensor = self.network.rest(_folded(joint, both, hidden.shape[1:]))
        return output, both

    def _batch(self, what: str, given: Tensor, shape: Shape) -> torch.Size:
        """Return the batch shape of an input, or raise ValueError where its shape is another."""
        depth = given.dim() - len(shape)
        if depth < 0 or given.shape[depth:] != shape:
            raise ValueError(
                f"{self.owner} expects {what} of shape [..., {_listed(shape)}]; "
                f"got [{_listed(given.shape)}]"
            )
        return torch.Size(given.shape[:depth])  # Pyro's tracked tensors slice to a tuple

    def _floating(self, given: Tensor) -> Tensor:
        return given if given.is_floating_point() else given.to(self.offset.dtype)


def _inner(shape: Shape) -> Shape:
    """Return the shape in which a network sees an input: layers want a dimension to flatten."""
    return shape or (1,)


def _folded(given: Tensor, batch: torch.Size, shape: Shape) -> Tensor:
    """Return `[*batch, *shape]` with one batch dimension."""
    flat = len(batch) == 1 and bool(shape)
    return given if flat else given.reshape(batch.numel(), *_inner(shape))


def _precision(value: Tensor) -> AbstractContextManager[Any]:
    """Return the context in which networks run: that of a lower precision, or none."""
    dtype = _AUTOCAST.get()
    return nullcontext() if dtype is None else torch.autocast(value.device.type, dtype=dtype)


@contextmanager
def autocast(dtype: torch.dtype | None) -> Iterator[None]:
    """Run the networks, and only the networks, in a lower precision inside this context."""
    token = _AUTOCAST.set(dtype)
    try:
        yield
    finally:
        _AUTOCAST.reset(token)


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Let batch normalisation read its running statistics, and not move them, in this context."""
    training = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training]
    for layer in training:
        layer.training = False
    try:
        yield
    finally:
        for layer in training:
            layer.training = True


def train_mode(module: nn.Module) -> None:
    """Put a module in training mode, but for batch normalisation in wholly frozen submodules.

    Its running statistics are no parameters, and would go on following the data.
    """
    module.train()
    for submodule in module.modules():
        parameters = list(submodule.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            for layer in submodule.modules():
                if isinstance(layer, _BatchNorm):
                    layer.training = False


def _listed(shape: Shape | torch.Size) -> str:
    return ", ".join(map(str, shape))

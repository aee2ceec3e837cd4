"""Folding: the one place where shapes, precision and normalisation meet a network.

Pyro adds dimensions on the left of the batch, for particles and for enumerated variables. Layers
such as convolutions and batch normalisation take one batch dimension only, so all leading
dimensions are folded into one before a network and unfolded behind it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pyrovae.declared import named
from pyrovae.networks.network import Builder, Shape

_AUTOCAST: ContextVar[torch.dtype | None] = ContextVar("pyrovae_autocast", default=None)


class Folded(nn.Module):
    """A network on `[*batch, *in_shape]` for any number of batch dimensions.

    Its output is shifted by the buffer `offset`, which starts at zero and which a model sets once
    to where its data lie, so that training begins at the mean of the data with any network. It
    leaves in float32 where the network ran in a lower precision.

    Arguments:
        builder: builds the network from the two shapes, such as `MLP((400,))`.
        in_shape: the shape of one input.
        out_shape: the shape of one output.
        owner: what the network is for, named in errors.

    Raises:
        TypeError: the builder did not build a module.
        ValueError: when called, an input or the network's output has another shape.

    Example:
        >>> from pyrovae.networks import Conv
        >>> net = Folded(Conv((8,)), (3,), (1, 9, 9), owner="decoder")
        >>> net(torch.zeros(7, 5, 3)).shape
        torch.Size([7, 5, 1, 9, 9])
    """

    offset: Tensor

    def __init__(self, builder: Builder, in_shape: Shape, out_shape: Shape, *, owner: str) -> None:
        super().__init__()
        self.in_shape = tuple(in_shape)
        self.out_shape = tuple(out_shape)
        self.owner = owner
        self.description = named(builder)
        if not callable(builder):
            raise TypeError(
                f"{owner} expects a network such as MLP((400, 400)) or a function "
                f"(in_shape, out_shape) -> nn.Module; got {builder!r}"
            )
        self._inner = self.in_shape or (1,)  # layers want a dimension to flatten
        try:
            network = builder(self._inner, self.out_shape)
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

    def forward(self, value: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Apply the network to `[*batch, *in_shape]`.

        Arguments:
            value: the input.
            observed: which of its entries are known, of the same shape; a network gets to see it
                that says so by an attribute `takes_observed = True`.
        """
        depth = value.dim() - len(self.in_shape)
        batch = value.shape[: max(depth, 0)]
        if depth < 0 or value.shape[depth:] != self.in_shape:
            raise ValueError(
                f"{self.owner} expects input of shape [..., {_listed(self.in_shape)}]; "
                f"got [{_listed(value.shape)}]"
            )
        if not value.is_floating_point():
            value = value.to(self.offset.dtype)
        flat = len(batch) == 1 and bool(self.in_shape)
        folded = value if flat else value.reshape(-1, *self._inner)
        told = {}
        if observed is not None and self._takes_observed:
            told["observed"] = observed if flat else observed.reshape(-1, *self._inner)
        dtype = _AUTOCAST.get()
        if dtype is None:
            output = self.network(folded, **told)
        else:
            with torch.autocast(value.device.type, dtype=dtype):
                output = self.network(folded, **told)
        if output.shape != (folded.shape[0], *self.out_shape):
            raise ValueError(
                f"{self.owner} {self.description} took [{_listed(folded.shape)}] to "
                f"[{_listed(output.shape)}]; expected [{folded.shape[0]}, "
                f"{_listed(self.out_shape)}]"
            )
        if output.dtype in (torch.bfloat16, torch.float16):
            output = output.float()
        output = output + self.offset
        return output if len(batch) == 1 else output.reshape(*batch, *self.out_shape)


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

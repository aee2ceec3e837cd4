"""Conditioner: a masked network, whose output for each dimension knows only earlier ones."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_START = 0.1  # of the last layer's usual start, so that a flow begins near the identity


class Conditioner(nn.Module):
    """A network in which the outputs for dimension d depend on dimensions before d alone.

    Each dimension has a degree: the first group of dimensions has one, the second two, and so on.
    A hidden unit of degree m sees degrees up to m, and an output those below its own. A context
    is seen by all. Its first layer is added by broadcasting, so a context of a datum is
    not repeated for each particle. Hidden units are tanh, so that no output grows beyond its
    weights. The masks follow from the sizes, and are no part of the state.

    References:
        Germain, Gregor, Murray and Larochelle, 2015, arXiv:1502.03509.

    Arguments:
        dim: the number of dimensions.
        outputs: how many numbers are returned for each dimension.
        hidden: the widths of the hidden layers.
        context: the size of the context, zero for none.
        groups: the number of groups of dimensions, at most; two make a coupling.
        reverse: whether the last dimension is of the first group.

    Example:
        >>> network = Conditioner(3, 2, hidden=(16,), context=4)
        >>> network(torch.zeros(5, 3), torch.zeros(5, 4)).shape
        torch.Size([5, 3, 2])
    """

    constants: nn.Parameter | None
    value_layer: nn.Linear | None
    context_layer: nn.Linear | None

    def __init__(
        self,
        dim: int,
        outputs: int,
        *,
        hidden: tuple[int, ...],
        context: int = 0,
        groups: int | None = None,
        reverse: bool = False,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        size = -(-dim // min(dim, groups or dim))
        self.groups = -(-dim // size)
        degrees = 1 + torch.arange(dim).div(size, rounding_mode="floor")
        degrees = degrees.flip(0) if reverse else degrees
        self.constants = None
        if self.groups == 1 and not context:  # there is nothing to see
            self.constants = nn.Parameter(torch.zeros(dim, outputs))
            return
        least = 0 if context else 1
        seen, masks = degrees, []
        for width in hidden:
            degree = least + torch.arange(width) % (self.groups - least)
            masks.append(degree.unsqueeze(-1) >= seen)
            seen = degree
        masks.append((degrees.unsqueeze(-1) > seen).repeat_interleave(outputs, 0))
        # Of a single dimension nothing is seen but the context.
        self.value_layer = _Masked(masks[0], bias=not context) if self.groups > 1 else None
        self.context_layer = nn.Linear(context, len(masks[0])) if context else None
        self.layers = nn.ModuleList([_Masked(mask, bias=True) for mask in masks[1:]])
        last = self.layers[-1:] if hidden else [self.value_layer, self.context_layer]
        for layer in filter(None, last):
            with torch.no_grad():
                for parameter in layer.parameters():  # the weight, and the bias where it has one
                    parameter.mul_(_START if parameter.dim() == 2 else 0.0)

    def forward(self, value: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the outputs, of shape `[*batch, dim, outputs]`.

        Arguments:
            value: of shape `[*batch, dim]`.
            context: of shape `[*batch, context]`, or of one that broadcasts with it.
        """
        if self.constants is not None:
            return self.constants.expand(*value.shape, self.outputs)
        parts = []
        if self.value_layer is not None:
            parts.append(self.value_layer(value))
        if self.context_layer is not None:
            parts.append(self.context_layer(context))
        found = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        for layer in self.layers:
            found = layer(found.tanh())
        return found.unflatten(-1, (value.shape[-1], self.outputs))


class _Masked(nn.Linear):
    """A linear layer of which some weights are zero.

    Arguments:
        mask: which weights are not, of shape `[out_features, in_features]`.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, *, bias: bool) -> None:
        super().__init__(mask.shape[1], mask.shape[0], bias=bias)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, value: Tensor) -> Tensor:
        return F.linear(value, self.weight * self.mask, self.bias)

"""Autoregressive maps: one of Zuko's transforms for each dimension, given the earlier ones."""

from functools import cache, partial
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.conditioner import Conditioner
from pyrovae.distributions.flow import Bijection

_BINS = 8
_AFFINE_SLOPE = 0.1  # a layer scales by 1/10 to 10, so that ten of them still fit into float32
_SPLINE_SLOPE = 0.02

# How many numbers each kind of transform takes for a dimension.
OUTPUTS = {"affine": 2, "spline": 3 * _BINS - 1}


@cache
def zuko_transforms() -> Any:
    """Return the module `zuko.transforms`, imported without a trace in torch's settings.

    Importing Zuko switches the validation of torch's distributions off for the whole process;
    here it is as it was before.
    """
    before = Distribution._validate_args
    try:
        import zuko.transforms
    finally:
        Distribution.set_default_validate_args(before)
    return zuko.transforms


class Autoregressive(Bijection):
    r"""The map `y_d = t(x_d; c_d(x_1, ..., x_{d-1}))`, t increasing and c a masked network.

    Of the kind "affine" it is `t(x) = exp(a) x + b` with `exp(a)` between 1/10 and 10, of the kind
    "spline" a rational-quadratic spline of eight bins on [-5, 5], the identity outside. Forward
    it takes one pass through the network, backward one for each group of dimensions.

    References:
        Kingma et al., 2016, arXiv:1606.04934; Papamakarios, Pavlakou and Murray, 2017,
        arXiv:1705.07057; Durkan, Bekasov, Murray and Papamakarios, 2019, arXiv:1906.04032.

    Arguments:
        conditioner: the network c, with `OUTPUTS[kind]` outputs for each dimension.
        context: what it is given besides, of shape `[*batch, context]`.
        kind: "affine" or "spline".

    Example:
        >>> import torch
        >>> network = Conditioner(3, OUTPUTS["spline"], hidden=(16,))
        >>> spline = Autoregressive(network, kind="spline")
        >>> y, log_det = spline.forward(torch.ones(3))
        >>> x, _ = spline.inverse(y)
        >>> bool((x - torch.ones(3)).abs().max() < 1e-5)
        True
    """

    def __init__(
        self, conditioner: Conditioner, context: Tensor | None = None, *, kind: str = "affine"
    ) -> None:
        given = partial(_given, conditioner, context, kind)
        groups = conditioner.groups
        self.transform = zuko_transforms().AutoregressiveTransform(given, groups)

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        found, log_slopes = self.transform.call_and_ladj(value)
        return found, log_slopes.sum(-1)

    def inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        found = self.transform.inv(value)
        return found, self.transform.log_abs_det_jacobian(found, value).sum(-1)


def _given(conditioner: Conditioner, context: Tensor | None, kind: str, value: Tensor) -> Any:
    """Return Zuko's transforms of the dimensions, given the value; each is one by itself."""
    transforms = zuko_transforms()
    numbers = conditioner(value, context)
    if kind == "affine":
        shift, scale = numbers.unbind(-1)
        return transforms.MonotonicAffineTransform(shift, scale, slope=_AFFINE_SLOPE)
    parts = numbers.split([_BINS, _BINS, _BINS - 1], dim=-1)
    return transforms.MonotonicRQSTransform(*parts, slope=_SPLINE_SLOPE)

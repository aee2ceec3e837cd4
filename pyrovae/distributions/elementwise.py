"""Elementwise: the base of distributions of one number each, whose parameters broadcast."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions.utils import broadcast_all

Sizes = torch.Size | list[int] | tuple[int, ...]


class Elementwise(TorchDistribution, ABC):
    """Independent variables of one number each, for data: draws carry no gradient.

    A subclass states in `arg_constraints` the parameters by name, in their order; each becomes an
    attribute.

    Arguments:
        *parameters: tensors or numbers.
        validate_args: whether to check them, and what is scored; torch's default where it is None.
    """

    has_rsample = False

    def __init__(self, *parameters: Tensor | float, validate_args: bool | None = None) -> None:
        tensors = broadcast_all(*parameters)
        for name, tensor in zip(self.arg_constraints, tensors, strict=True):
            setattr(self, name, tensor)
        super().__init__(tensors[0].shape, validate_args=validate_args)

    def expand(self, batch_shape: Sizes, _instance: Any = None) -> Any:
        """Return the distribution with its batch shape expanded."""
        shape = torch.Size(batch_shape)
        parameters = [getattr(self, name).expand(shape) for name in self.arg_constraints]
        made = type(self)(*parameters, validate_args=False)
        made._validate_args = self._validate_args
        return made

    def sample(self, sample_shape: Sizes = ()) -> Tensor:
        """Draw without gradients."""
        with torch.no_grad():
            return self._drawn(self._extended_shape(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        if self._validate_args:
            self._validate_sample(value)
        return self._score(value)

    @abstractmethod
    def _drawn(self, shape: torch.Size) -> Tensor:
        """Return draws of a shape, which ends in the batch shape."""

    @abstractmethod
    def _score(self, value: Tensor) -> Tensor:
        """Return the log-density in nats of values that need no check."""


def log_gamma_draws(concentration: Tensor) -> Tensor:
    """Return logarithms of draws of Gamma(concentration, 1), however small they are.

    A draw is one of `concentration + 1`, times the power `1 / concentration` of a uniform one.
    """
    exponential = torch.empty_like(concentration).exponential_()
    return torch._standard_gamma(concentration + 1.0).log() - exponential / concentration

"""Distributions that torch and Pyro lack; mathematics only."""

from pyrovae.distributions.bernoulli import LogitsBernoulli
from pyrovae.distributions.foreign import Foreign
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, mixture

__all__ = ["DiagonalNormalMixture", "Foreign", "LogitsBernoulli", "mixture"]

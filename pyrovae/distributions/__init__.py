"""Distributions that torch and Pyro lack; mathematics only."""

from pyrovae.distributions.foreign import Foreign

__all__ = ["Foreign"]

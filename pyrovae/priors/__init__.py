"""Priors: p(z)."""

from pyrovae.priors.gaussian_mixture import GaussianMixture
from pyrovae.priors.prior import Prior
from pyrovae.priors.standard_normal import StandardNormal
from pyrovae.priors.vamp import VampPrior

__all__ = ["GaussianMixture", "Prior", "StandardNormal", "VampPrior"]

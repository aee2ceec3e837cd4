"""Likelihoods: p(x | z)."""

from pyrovae.likelihoods.bernoulli import Bernoulli
from pyrovae.likelihoods.binomial import Binomial
from pyrovae.likelihoods.likelihood import Likelihood
from pyrovae.likelihoods.mixed import Mixed
from pyrovae.likelihoods.normal import Normal
from pyrovae.likelihoods.standardized import Standardized

__all__ = [
    "Bernoulli",
    "Binomial",
    "Likelihood",
    "Mixed",
    "Normal",
    "Standardized",
]

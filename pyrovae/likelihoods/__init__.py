"""Likelihoods: p(x | z)."""

from pyrovae.likelihoods.bernoulli import Bernoulli
from pyrovae.likelihoods.binomial import Binomial
from pyrovae.likelihoods.likelihood import Likelihood
from pyrovae.likelihoods.normal import Normal

__all__ = ["Bernoulli", "Binomial", "Likelihood", "Normal"]

"""Likelihoods: p(x | z)."""

from pyrovae.likelihoods.bernoulli import Bernoulli
from pyrovae.likelihoods.beta import Beta
from pyrovae.likelihoods.binomial import Binomial
from pyrovae.likelihoods.gamma import Gamma
from pyrovae.likelihoods.laplace import Laplace
from pyrovae.likelihoods.likelihood import Likelihood
from pyrovae.likelihoods.log_normal import LogNormal
from pyrovae.likelihoods.mixed import Mixed
from pyrovae.likelihoods.normal import Normal
from pyrovae.likelihoods.standardized import Standardized
from pyrovae.likelihoods.student_t import StudentT

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Gamma",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "Mixed",
    "Normal",
    "Standardized",
    "StudentT",
]

"""Likelihoods: p(x | z)."""

from pyrovae.likelihoods.bernoulli import Bernoulli
from pyrovae.likelihoods.beta import Beta
from pyrovae.likelihoods.binomial import Binomial
from pyrovae.likelihoods.categorical import Categorical
from pyrovae.likelihoods.continuous_bernoulli import ContinuousBernoulli
from pyrovae.likelihoods.discretized_logistic import DiscretizedLogistic
from pyrovae.likelihoods.discretized_logistic_mixture import DiscretizedLogisticMixture
from pyrovae.likelihoods.gamma import Gamma
from pyrovae.likelihoods.laplace import Laplace
from pyrovae.likelihoods.likelihood import Likelihood
from pyrovae.likelihoods.log_normal import LogNormal
from pyrovae.likelihoods.low_rank_normal import LowRankNormal
from pyrovae.likelihoods.mixed import Mixed
from pyrovae.likelihoods.multinomial import Multinomial
from pyrovae.likelihoods.negative_binomial import NegativeBinomial
from pyrovae.likelihoods.normal import Normal
from pyrovae.likelihoods.ordinal import Ordinal
from pyrovae.likelihoods.poisson import Poisson
from pyrovae.likelihoods.standardized import Standardized
from pyrovae.likelihoods.student_t import StudentT
from pyrovae.likelihoods.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomial

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gamma",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "LowRankNormal",
    "Mixed",
    "Multinomial",
    "NegativeBinomial",
    "Normal",
    "Ordinal",
    "Poisson",
    "Standardized",
    "StudentT",
    "ZeroInflatedNegativeBinomial",
]

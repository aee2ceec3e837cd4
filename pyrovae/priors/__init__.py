"""Priors: p(z)."""

from pyrovae.priors.bernoulli_code import BernoulliCode
from pyrovae.priors.categorical import Categorical
from pyrovae.priors.conditional_normal import ConditionalNormal
from pyrovae.priors.dirichlet import Dirichlet
from pyrovae.priors.exemplar import ExemplarPrior
from pyrovae.priors.flow import FlowPrior
from pyrovae.priors.gaussian_mixture import GaussianMixture
from pyrovae.priors.hyperspherical_uniform import HypersphericalUniform
from pyrovae.priors.laplace import Laplace
from pyrovae.priors.logistic_normal import LogisticNormal
from pyrovae.priors.normal import Normal
from pyrovae.priors.prior import Prior
from pyrovae.priors.relaxed_bernoulli import RelaxedBernoulli
from pyrovae.priors.relaxed_categorical import RelaxedCategorical
from pyrovae.priors.spike_and_slab import SpikeAndSlab
from pyrovae.priors.standard_normal import StandardNormal
from pyrovae.priors.student_t import StudentT
from pyrovae.priors.vamp import VampPrior

__all__ = [
    "BernoulliCode",
    "Categorical",
    "ConditionalNormal",
    "Dirichlet",
    "ExemplarPrior",
    "FlowPrior",
    "GaussianMixture",
    "HypersphericalUniform",
    "Laplace",
    "LogisticNormal",
    "Normal",
    "Prior",
    "RelaxedBernoulli",
    "RelaxedCategorical",
    "SpikeAndSlab",
    "StandardNormal",
    "StudentT",
    "VampPrior",
]

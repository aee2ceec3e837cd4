"""Distributions that torch and Pyro lack; mathematics only."""

from pyrovae.distributions.autoregressive import OUTPUTS, Autoregressive
from pyrovae.distributions.bernoulli import LogitsBernoulli
from pyrovae.distributions.bessel import bessel_i
from pyrovae.distributions.binary_codes import BinaryCodes
from pyrovae.distributions.binomial import LogitsBinomial
from pyrovae.distributions.codes import Codes
from pyrovae.distributions.conditioner import Conditioner
from pyrovae.distributions.continuous_bernoulli import LogitsContinuousBernoulli
from pyrovae.distributions.discretized_logistic import DiscretizedLogistic
from pyrovae.distributions.discretized_logistic_mixture import DiscretizedLogisticMixture
from pyrovae.distributions.edge_dirichlet import EdgeDirichlet
from pyrovae.distributions.elementwise import Elementwise, log_gamma_draws
from pyrovae.distributions.finite_log_normal import FiniteLogNormal
from pyrovae.distributions.flow import Affine, Bijection, FlowNormal, Inverted
from pyrovae.distributions.foreign import Foreign
from pyrovae.distributions.gumbel import temperature_of
from pyrovae.distributions.hyperspherical_uniform import HypersphericalUniform, log_area, unit
from pyrovae.distributions.incomplete_beta import beta_quantile, incomplete_beta
from pyrovae.distributions.joined import Joined
from pyrovae.distributions.logits_multinomial import LogitsMultinomial
from pyrovae.distributions.low_rank_normal import LowRankNormal
from pyrovae.distributions.mean_beta import MeanBeta
from pyrovae.distributions.mean_gamma import MeanGamma
from pyrovae.distributions.negative_binomial import DispersedNegativeBinomial
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, mixture
from pyrovae.distributions.one_hot import OneHot, OneHotCodes, StraightThroughOneHot
from pyrovae.distributions.partly_known import PartlyKnown
from pyrovae.distributions.pathwise_mixture import PathwiseNormalMixture
from pyrovae.distributions.planar import Planar
from pyrovae.distributions.poisson import LogPoisson
from pyrovae.distributions.power_spherical import PowerSpherical
from pyrovae.distributions.relaxed import RelaxedBit, RelaxedOneHot
from pyrovae.distributions.softmax_normal import SoftmaxNormal, log_coordinates
from pyrovae.distributions.solving import least_count, root
from pyrovae.distributions.sound_student_t import SoundStudentT
from pyrovae.distributions.spiked_normal import SpikedNormal
from pyrovae.distributions.stretched import Stretched
from pyrovae.distributions.sylvester import Sylvester
from pyrovae.distributions.von_mises_fisher import VonMisesFisher
from pyrovae.distributions.weighted import Weighted
from pyrovae.distributions.zero_inflated import ZeroInflated

__all__ = [
    "OUTPUTS",
    "Affine",
    "Autoregressive",
    "Bijection",
    "BinaryCodes",
    "Codes",
    "Conditioner",
    "DiagonalNormalMixture",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "DispersedNegativeBinomial",
    "EdgeDirichlet",
    "Elementwise",
    "FiniteLogNormal",
    "FlowNormal",
    "Foreign",
    "HypersphericalUniform",
    "Inverted",
    "Joined",
    "LogPoisson",
    "LogitsBernoulli",
    "LogitsBinomial",
    "LogitsContinuousBernoulli",
    "LogitsMultinomial",
    "LowRankNormal",
    "MeanBeta",
    "MeanGamma",
    "OneHot",
    "OneHotCodes",
    "PartlyKnown",
    "PathwiseNormalMixture",
    "Planar",
    "PowerSpherical",
    "RelaxedBit",
    "RelaxedOneHot",
    "SoftmaxNormal",
    "SoundStudentT",
    "SpikedNormal",
    "StraightThroughOneHot",
    "Stretched",
    "Sylvester",
    "VonMisesFisher",
    "Weighted",
    "ZeroInflated",
    "bessel_i",
    "beta_quantile",
    "incomplete_beta",
    "least_count",
    "log_area",
    "log_coordinates",
    "log_gamma_draws",
    "mixture",
    "root",
    "temperature_of",
    "unit",
]

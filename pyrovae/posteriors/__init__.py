"""Posteriors: families of q(z | x)."""

from pyrovae.posteriors.bernoulli_code import BernoulliCode
from pyrovae.posteriors.categorical import Categorical
from pyrovae.posteriors.deterministic import Deterministic
from pyrovae.posteriors.full_rank_normal import FullRankNormal
from pyrovae.posteriors.inverse_autoregressive_flow import InverseAutoregressiveFlow
from pyrovae.posteriors.isotropic_normal import IsotropicNormal
from pyrovae.posteriors.laplace import Laplace
from pyrovae.posteriors.logistic_normal import LogisticNormal
from pyrovae.posteriors.low_rank_normal import LowRankNormal
from pyrovae.posteriors.mean_field_normal import MeanFieldNormal
from pyrovae.posteriors.normal_mixture import NormalMixture
from pyrovae.posteriors.per_datum import PerDatum
from pyrovae.posteriors.planar_flow import PlanarFlow
from pyrovae.posteriors.posterior import Posterior
from pyrovae.posteriors.power_spherical import PowerSpherical
from pyrovae.posteriors.relaxed_bernoulli import RelaxedBernoulli
from pyrovae.posteriors.relaxed_categorical import RelaxedCategorical
from pyrovae.posteriors.semi_amortized import SemiAmortized
from pyrovae.posteriors.spike_and_slab import SpikeAndSlab
from pyrovae.posteriors.spline_flow import SplineFlow
from pyrovae.posteriors.straight_through_categorical import StraightThroughCategorical
from pyrovae.posteriors.sylvester_flow import SylvesterFlow
from pyrovae.posteriors.von_mises_fisher import VonMisesFisher

__all__ = [
    "BernoulliCode",
    "Categorical",
    "Deterministic",
    "FullRankNormal",
    "InverseAutoregressiveFlow",
    "IsotropicNormal",
    "Laplace",
    "LogisticNormal",
    "LowRankNormal",
    "MeanFieldNormal",
    "NormalMixture",
    "PerDatum",
    "PlanarFlow",
    "Posterior",
    "PowerSpherical",
    "RelaxedBernoulli",
    "RelaxedCategorical",
    "SemiAmortized",
    "SpikeAndSlab",
    "SplineFlow",
    "StraightThroughCategorical",
    "SylvesterFlow",
    "VonMisesFisher",
]

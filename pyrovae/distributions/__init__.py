"""Distributions that torch and Pyro lack; mathematics only."""

from pyrovae.distributions.bernoulli import LogitsBernoulli
from pyrovae.distributions.binary_codes import BinaryCodes
from pyrovae.distributions.edge_dirichlet import EdgeDirichlet
from pyrovae.distributions.foreign import Foreign
from pyrovae.distributions.gumbel import temperature_of
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, mixture
from pyrovae.distributions.one_hot import OneHot, OneHotCodes, StraightThroughOneHot
from pyrovae.distributions.relaxed import RelaxedBit, RelaxedOneHot

__all__ = [
    "BinaryCodes",
    "DiagonalNormalMixture",
    "Foreign",
    "LogitsBernoulli",
    "OneHot",
    "OneHotCodes",
    "RelaxedBit",
    "RelaxedOneHot",
    "StraightThroughOneHot",
    "mixture",
    "temperature_of",
from pyrovae.distributions.pathwise_mixture import PathwiseNormalMixture
from pyrovae.distributions.softmax_normal import SoftmaxNormal, log_coordinates
from pyrovae.distributions.spiked_normal import SpikedNormal

__all__ = [
    "DiagonalNormalMixture",
    "EdgeDirichlet",
    "Foreign",
    "LogitsBernoulli",
    "PathwiseNormalMixture",
    "SoftmaxNormal",
    "SpikedNormal",
    "log_coordinates",
    "mixture",
from pyrovae.distributions.bessel import bessel_i
from pyrovae.distributions.foreign import Foreign
from pyrovae.distributions.hyperspherical_uniform import HypersphericalUniform, log_area, unit
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, mixture
from pyrovae.distributions.power_spherical import PowerSpherical
from pyrovae.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "DiagonalNormalMixture",
    "Foreign",
    "HypersphericalUniform",
    "LogitsBernoulli",
    "PowerSpherical",
    "VonMisesFisher",
    "bessel_i",
    "log_area",
    "mixture",
    "unit",
]

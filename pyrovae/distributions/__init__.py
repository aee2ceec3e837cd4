"""Distributions that torch and Pyro lack; mathematics only."""

from pyrovae.distributions.autoregressive import OUTPUTS, Autoregressive
from pyrovae.distributions.bernoulli import LogitsBernoulli
from pyrovae.distributions.bessel import bessel_i
from pyrovae.distributions.binary_codes import BinaryCodes
from pyrovae.distributions.conditioner import Conditioner
from pyrovae.distributions.edge_dirichlet import EdgeDirichlet
from pyrovae.distributions.flow import Affine, Bijection, FlowNormal, Inverted
from pyrovae.distributions.foreign import Foreign
from pyrovae.distributions.gumbel import temperature_of
from pyrovae.distributions.hyperspherical_uniform import HypersphericalUniform, log_area, unit
from pyrovae.distributions.joined import Joined
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, mixture
from pyrovae.distributions.one_hot import OneHot, OneHotCodes, StraightThroughOneHot
from pyrovae.distributions.pathwise_mixture import PathwiseNormalMixture
from pyrovae.distributions.planar import Planar
from pyrovae.distributions.power_spherical import PowerSpherical
from pyrovae.distributions.relaxed import RelaxedBit, RelaxedOneHot
from pyrovae.distributions.softmax_normal import SoftmaxNormal, log_coordinates
from pyrovae.distributions.spiked_normal import SpikedNormal
from pyrovae.distributions.stretched import Stretched
from pyrovae.distributions.sylvester import Sylvester
from pyrovae.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "OUTPUTS",
    "Affine",
    "Autoregressive",
    "Bijection",
    "BinaryCodes",
    "Conditioner",
    "DiagonalNormalMixture",
    "EdgeDirichlet",
    "FlowNormal",
    "Foreign",
    "HypersphericalUniform",
    "Inverted",
    "Joined",
    "LogitsBernoulli",
    "OneHot",
    "OneHotCodes",
    "PathwiseNormalMixture",
    "Planar",
    "PowerSpherical",
    "RelaxedBit",
    "RelaxedOneHot",
    "SoftmaxNormal",
    "SpikedNormal",
    "StraightThroughOneHot",
    "Stretched",
    "Sylvester",
    "VonMisesFisher",
    "bessel_i",
    "log_area",
    "log_coordinates",
    "mixture",
    "temperature_of",
    "unit",
]

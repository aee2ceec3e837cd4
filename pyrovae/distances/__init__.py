"""Distances between two samples of numbers: mathematics only, differentiable and without Pyro."""

from pyrovae.distances.distance import Distance
from pyrovae.distances.energy import Energy
from pyrovae.distances.inverse_multiquadratic import InverseMultiquadratic
from pyrovae.distances.kernel import Kernel
from pyrovae.distances.mmd import MMD
from pyrovae.distances.rbf import RBF
from pyrovae.distances.sinkhorn import Sinkhorn
from pyrovae.distances.sliced_wasserstein import SlicedWasserstein

__all__ = [
    "MMD",
    "RBF",
    "Distance",
    "Energy",
    "InverseMultiquadratic",
    "Kernel",
    "Sinkhorn",
    "SlicedWasserstein",
]

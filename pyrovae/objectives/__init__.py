"""Objectives: bounds on log p(x), each a short function of one record of terms."""

from pyrovae.objectives.elbo import ELBO
from pyrovae.objectives.gathering import gathered
from pyrovae.objectives.info_vae import InfoVAE
from pyrovae.objectives.iwae import IWAE
from pyrovae.objectives.kl import analytic_kl, is_point, kl_rule
from pyrovae.objectives.objective import Measurement, Objective, ObjectiveModule
from pyrovae.objectives.parameters import LocalParameters, is_local
from pyrovae.objectives.quantities import QUANTITIES, Quantity, unit_of
from pyrovae.objectives.terms import Site, Terms
from pyrovae.objectives.tracing import trace_terms
from pyrovae.objectives.wasserstein import Wasserstein

__all__ = [
    "ELBO",
    "IWAE",
    "QUANTITIES",
    "InfoVAE",
    "LocalParameters",
    "Measurement",
    "Objective",
    "ObjectiveModule",
    "Quantity",
    "Site",
    "Terms",
    "Wasserstein",
    "analytic_kl",
    "gathered",
    "is_local",
    "is_point",
    "kl_rule",
    "trace_terms",
    "unit_of",
]

"""Objectives: bounds on log p(x), each a short function of one record of terms."""

from pyrovae.objectives.adversarial import Adversarial
from pyrovae.objectives.capacity import Capacity
from pyrovae.objectives.cubo import CUBO
from pyrovae.objectives.elbo import ELBO
from pyrovae.objectives.factor_vae import FactorVAE
from pyrovae.objectives.geco import GECO
from pyrovae.objectives.iwae import IWAE
from pyrovae.objectives.kl import analytic_kl, is_point, kl_rule
from pyrovae.objectives.multiply_iwae import MultiplyIWAE
from pyrovae.objectives.objective import Measurement, Objective, ObjectiveModule
from pyrovae.objectives.opponents import Player, player_of
from pyrovae.objectives.parameters import LocalParameters, is_local
from pyrovae.objectives.quantities import QUANTITIES, Quantity, unit_of
from pyrovae.objectives.renyi import Renyi
from pyrovae.objectives.terms import Site, Terms
from pyrovae.objectives.tracing import trace_terms

__all__ = [
    "CUBO",
    "ELBO",
    "GECO",
    "IWAE",
    "QUANTITIES",
    "Adversarial",
    "Capacity",
    "FactorVAE",
    "LocalParameters",
    "Measurement",
    "MultiplyIWAE",
    "Objective",
    "ObjectiveModule",
    "Player",
    "Quantity",
    "Renyi",
    "Site",
    "Terms",
    "analytic_kl",
    "is_local",
    "is_point",
    "kl_rule",
    "player_of",
    "trace_terms",
    "unit_of",
]

"""Objectives: bounds on log p(x), each a short function of one record of terms."""

from pyrovae.objectives.adversarial import Adversarial
from pyrovae.objectives.aggregate import (
    aggregated_site,
    crossed,
    crossed_per_dimension,
    log_prior_per_dimension,
    log_weights,
    mixed,
)
from pyrovae.objectives.capacity import Capacity
from pyrovae.objectives.cubo import CUBO
from pyrovae.objectives.dip import DIP
from pyrovae.objectives.elbo import ELBO
from pyrovae.objectives.factor_vae import FactorVAE
from pyrovae.objectives.gathering import gathered
from pyrovae.objectives.geco import GECO
from pyrovae.objectives.info_vae import InfoVAE
from pyrovae.objectives.iwae import IWAE
from pyrovae.objectives.kl import analytic_kl, is_point, kl_rule
from pyrovae.objectives.module import ObjectiveModule
from pyrovae.objectives.multiply_iwae import MultiplyIWAE
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.opponents import Player, player_of
from pyrovae.objectives.parameters import LocalParameters, is_local
from pyrovae.objectives.quantities import QUANTITIES, Quantity, unit_of
from pyrovae.objectives.renyi import Renyi
from pyrovae.objectives.reweighted_wake_sleep import ReweightedWakeSleep
from pyrovae.objectives.terms import Site, Terms
from pyrovae.objectives.total_correlation import TotalCorrelation
from pyrovae.objectives.tracing import trace_terms
from pyrovae.objectives.wasserstein import Wasserstein

__all__ = [
    "CUBO",
    "DIP",
    "ELBO",
    "GECO",
    "IWAE",
    "QUANTITIES",
    "Adversarial",
    "Capacity",
    "FactorVAE",
    "InfoVAE",
    "LocalParameters",
    "Measurement",
    "MultiplyIWAE",
    "Objective",
    "ObjectiveModule",
    "Player",
    "Quantity",
    "Renyi",
    "ReweightedWakeSleep",
    "Site",
    "Terms",
    "TotalCorrelation",
    "Wasserstein",
    "aggregated_site",
    "analytic_kl",
    "crossed",
    "crossed_per_dimension",
    "gathered",
    "is_local",
    "is_point",
    "kl_rule",
    "log_prior_per_dimension",
    "log_weights",
    "mixed",
    "player_of",
    "trace_terms",
    "unit_of",
]

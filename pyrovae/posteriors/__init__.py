"""Posteriors: families of q(z | x)."""

from pyrovae.posteriors.full_rank_normal import FullRankNormal
from pyrovae.posteriors.mean_field_normal import MeanFieldNormal
from pyrovae.posteriors.posterior import Posterior

__all__ = ["FullRankNormal", "MeanFieldNormal", "Posterior"]

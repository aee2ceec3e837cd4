"""Models: pairs of a generative model and its guide, as Pyro programs."""

from pyrovae.models.auxiliary import AuxiliaryVAE
from pyrovae.models.classifier import Classifier
from pyrovae.models.cluster import ClusterVAE
from pyrovae.models.conditional import ConditionalVAE
from pyrovae.models.decoded import Decode, Score, plain
from pyrovae.models.model import Model
from pyrovae.models.pair import Pair, Programs
from pyrovae.models.program import Program, program
from pyrovae.models.semi_supervised import SemiSupervisedVAE
from pyrovae.models.stacked import StackedVAE
from pyrovae.models.vae import VAE

__all__ = [
    "VAE",
    "AuxiliaryVAE",
    "Classifier",
    "ClusterVAE",
    "ConditionalVAE",
    "Decode",
    "Model",
    "Pair",
    "Program",
    "Programs",
    "Score",
    "SemiSupervisedVAE",
    "StackedVAE",
    "plain",
    "program",
]

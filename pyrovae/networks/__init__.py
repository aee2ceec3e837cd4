"""Networks: descriptions that build a module from an input shape and an output shape."""

from pyrovae.networks.conditioned import Conditioned
from pyrovae.networks.conv import Conv
from pyrovae.networks.embedding import Embedding
from pyrovae.networks.folded import Folded, autocast, frozen_statistics, train_mode
from pyrovae.networks.gated_mlp import GatedMLP
from pyrovae.networks.mlp import MLP
from pyrovae.networks.network import Builder, Network
from pyrovae.networks.nothing import nothing
from pyrovae.networks.resnet import ResNet
from pyrovae.networks.set_encoder import SetEncoder

__all__ = [
    "MLP",
    "Builder",
    "Conditioned",
    "Conv",
    "Embedding",
    "Folded",
    "GatedMLP",
    "Network",
    "ResNet",
    "SetEncoder",
    "autocast",
    "frozen_statistics",
    "nothing",
    "train_mode",
]

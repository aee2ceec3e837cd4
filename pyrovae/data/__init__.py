"""Data: sources, transforms, splits and batches.

`load("digits")` reads a data set by name, `as_data` takes what a user has, and every `Data` is
read in batches, each a dict of tensors.
"""

from pyrovae.data.arrays import Arrays
from pyrovae.data.base import Data
from pyrovae.data.conversion import DataLike, as_data
from pyrovae.data.datasets import DatasetData
from pyrovae.data.digits import Digits
from pyrovae.data.hidden import Hidden, HiddenData
from pyrovae.data.image_folder import ImageFolder
from pyrovae.data.labelled import LabelledData
from pyrovae.data.labelling import choose_labels
from pyrovae.data.mapped import MappedData
from pyrovae.data.mnist import MNIST, FashionMNIST
from pyrovae.data.quadrants import Quadrants, QuadrantsData
from pyrovae.data.shift import Shift
from pyrovae.data.shorthand import NAMES, load, source_for
from pyrovae.data.source import LabelForm, Source, Splits, Suggestion
from pyrovae.data.sparse import SparseData
from pyrovae.data.sparse_counts import SparseCounts
from pyrovae.data.table import Table
from pyrovae.data.table_texts import TableForm
from pyrovae.data.tensors import TensorData
from pyrovae.data.torchvision_images import TorchvisionImages
from pyrovae.data.torchvision_import import torchvision
from pyrovae.data.transforms import Binarize, Compose, ToUnit, Transform, binarized

__all__ = [
    "MNIST",
    "NAMES",
    "Arrays",
    "Binarize",
    "Compose",
    "Data",
    "DataLike",
    "DatasetData",
    "Digits",
    "FashionMNIST",
    "Hidden",
    "HiddenData",
    "ImageFolder",
    "LabelForm",
    "LabelledData",
    "MappedData",
    "Quadrants",
    "QuadrantsData",
    "Shift",
    "Source",
    "SparseCounts",
    "SparseData",
    "Splits",
    "Suggestion",
    "Table",
    "TableForm",
    "TensorData",
    "ToUnit",
    "TorchvisionImages",
    "Transform",
    "as_data",
    "binarized",
    "choose_labels",
    "load",
    "source_for",
    "torchvision",
]

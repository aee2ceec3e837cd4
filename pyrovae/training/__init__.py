"""Training: `fit`, one loop for every model and every objective."""

from pyrovae.training.callbacks import Callback
from pyrovae.training.compiled import compile
from pyrovae.training.fitting import fit
from pyrovae.training.history import History
from pyrovae.training.trackers import TensorBoard

__all__ = ["Callback", "History", "TensorBoard", "compile", "fit"]

"""Training: `fit`, one loop for every model and every objective."""

from pyrovae.training.callbacks import Callback
from pyrovae.training.fitting import fit
from pyrovae.training.history import History

__all__ = ["Callback", "History", "fit"]

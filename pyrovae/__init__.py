"""pyrovae: variational autoencoders as three distributions and a bound, in Pyro.

The rooms: `priors`, `likelihoods`, `posteriors`, `networks`, `objectives`, `distances`,
`schedules`, `models`, `data`, `training`, `evaluation`, `report`. Parts are imported from their
rooms; the names below are found when they are first used, so that importing pyrovae costs nothing.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyrovae import (
        data,
        distances,
        distributions,
        evaluation,
        likelihoods,
        models,
        networks,
        objectives,
        posteriors,
        priors,
        report,
        schedules,
        training,
    )
    from pyrovae.evaluation import evaluate, impute, score
    from pyrovae.models import (
        VAE,
        AuxiliaryVAE,
        Classifier,
        ClusterVAE,
        ConditionalVAE,
        SemiSupervisedVAE,
        StackedVAE,
    )
    from pyrovae.saving import load, save
    from pyrovae.training import compile, fit

_ROOMS = (
    "data",
    "distances",
    "distributions",
    "evaluation",
    "likelihoods",
    "models",
    "networks",
    "objectives",
    "parts",
    "posteriors",
    "priors",
    "report",
    "schedules",
    "training",
)
_NAMES = {
    "AuxiliaryVAE": "pyrovae.models",
    "Classifier": "pyrovae.models",
    "ClusterVAE": "pyrovae.models",
    "ConditionalVAE": "pyrovae.models",
    "SemiSupervisedVAE": "pyrovae.models",
    "StackedVAE": "pyrovae.models",
    "VAE": "pyrovae.models",
    "compile": "pyrovae.training",
    "evaluate": "pyrovae.evaluation",
    "fit": "pyrovae.training",
    "impute": "pyrovae.evaluation",
    "load": "pyrovae.saving",
    "save": "pyrovae.saving",
    "score": "pyrovae.evaluation",
}

try:
    __version__ = version("pyrovae")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"pyrovae.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'pyrovae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


__all__ = [
    "VAE",
    "AuxiliaryVAE",
    "Classifier",
    "ClusterVAE",
    "ConditionalVAE",
    "SemiSupervisedVAE",
    "StackedVAE",
    "compile",
    "data",
    "distances",
    "distributions",
    "evaluate",
    "evaluation",
    "fit",
    "impute",
    "likelihoods",
    "load",
    "models",
    "networks",
    "objectives",
    "parts",
    "posteriors",
    "priors",
    "report",
    "save",
    "schedules",
    "score",
    "training",
]

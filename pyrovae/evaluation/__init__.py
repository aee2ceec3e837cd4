"""Evaluation: log p(x) and its parts, with errors; labels told; what is missing filled in."""

from pyrovae.evaluation.aggregation import surgery
from pyrovae.evaluation.classification import Calibration, Classification
from pyrovae.evaluation.classifying import classification
from pyrovae.evaluation.clustering import Clustering, cluster_agreement, clustering
from pyrovae.evaluation.decomposition import Surgery
from pyrovae.evaluation.evaluating import evaluate
from pyrovae.evaluation.features import feature_classification
from pyrovae.evaluation.imputation import Imputation
from pyrovae.evaluation.imputing import impute
from pyrovae.evaluation.result import Evaluation
from pyrovae.evaluation.scores import Scores, log_prob, score

__all__ = [
    "Calibration",
    "Classification",
    "Clustering",
    "Evaluation",
    "Imputation",
    "Scores",
    "Surgery",
    "classification",
    "cluster_agreement",
    "clustering",
    "evaluate",
    "feature_classification",
    "impute",
    "log_prob",
    "score",
    "surgery",
]

"""Evaluation: log p(x) with its errors, the ELBO and its parts, what is missing filled in."""

from pyrovae.evaluation.aggregation import surgery
from pyrovae.evaluation.clustering import Clustering, clustering
from pyrovae.evaluation.decomposition import Surgery
from pyrovae.evaluation.evaluating import evaluate
from pyrovae.evaluation.imputation import Imputation
from pyrovae.evaluation.imputing import impute
from pyrovae.evaluation.result import Evaluation
from pyrovae.evaluation.scores import Scores, log_prob, score

__all__ = [
    "Clustering",
    "Evaluation",
    "Imputation",
    "Scores",
    "Surgery",
    "clustering",
    "evaluate",
    "impute",
    "log_prob",
    "score",
    "surgery",
]

"""Evaluation: log p(x) with its errors, the ELBO and its split, what the latents do."""

from pyrovae.evaluation.evaluating import evaluate, log_prob
from pyrovae.evaluation.result import Evaluation

__all__ = [
    "Evaluation",
    "evaluate",
    "log_prob",
]

"""Comparison: one experiment over settings and seeds, its cells, its tables and its figure.

What is varied is a grid; each of its combinations, with a seed, is a cell, a run of its own. Rows
are summarised by means over seeds with their intervals. Nothing here starts a process.
"""

from pyrovae.comparison.baselines import MEANING, baselines, concerns
from pyrovae.comparison.figure import draw
from pyrovae.comparison.folder import Ended
from pyrovae.comparison.grid import Value, Varied, split, varied
from pyrovae.comparison.numbers import evaluated
from pyrovae.comparison.plan import Cell, Plan, Row, lay_out
from pyrovae.comparison.statistics import Mean, difference, mean_of
from pyrovae.comparison.summary import Summary, summarise
from pyrovae.comparison.tables import csv_text, markdown, plain_text

__all__ = [
    "MEANING",
    "Cell",
    "Ended",
    "Mean",
    "Plan",
    "Row",
    "Summary",
    "Value",
    "Varied",
    "baselines",
    "concerns",
    "csv_text",
    "difference",
    "draw",
    "evaluated",
    "lay_out",
    "markdown",
    "mean_of",
    "plain_text",
    "split",
    "summarise",
    "varied",
]

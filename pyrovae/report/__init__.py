"""The report: one page about one run or several, in a file that needs nothing beside it."""

from pyrovae.report.diagnosis import diagnose
from pyrovae.report.facts import Facts
from pyrovae.report.rules import Finding
from pyrovae.report.writing import Report, write

__all__ = ["Facts", "Finding", "Report", "diagnose", "write"]

"""Metrics of one's own: numbers of a row beside those that every record has. Plug-ins add to it."""

from collections.abc import Callable

from offramp.registry import Catalogue
from offramp_evaluation.metrics.outcomes import Outcomes

Metric = Callable[[Outcomes], float]
"""One number from what became of every sample of a row; NaN where there is none."""

METRICS: Catalogue[Metric] = Catalogue("metric", [])

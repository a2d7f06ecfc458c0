"""Metric objects that report each value as a line on standard output."""

from __future__ import annotations

import functools
import logging
import socket
import time
from typing import Any, Optional, Sequence

from ts.lines import OUTPUT
from ts.metrics.dimension import Dimension
from ts.metrics.metric_abstract import MetricAbstract
from ts.metrics.metric_type_enum import MetricTypes

logger = logging.getLogger(__name__)

_TYPES = {each: each.name for each in MetricTypes}


@functools.lru_cache(maxsize=None)
def host_name() -> str:
    """Return the name of this host."""
    return socket.gethostname()


class CachingMetric(MetricAbstract):
    """A metric that is kept in the worker's cache."""

    def __init__(
        self,
        metric_name: str,
        unit: Optional[str],
        dimension_names: Optional[Sequence[str]] = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> None:
        super().__init__(metric_name, unit, dimension_names, metric_type)
        self._prefix = "%s.%s:" % (metric_name, self.unit)
        self._suffix = "|#type:%s|#hostname:%s," % (_TYPES[metric_type], host_name())

    def add_or_update(self, value: Any, dimension_values: Optional[Sequence[Any]] = (), request_id: str = "") -> None:
        """Report a value.

        A value that is no number, a negative one of a counter, and dimension values that do not fit the names are
        logged, not raised.

        Args:
            value: a number, or what float() makes one
            dimension_values: one for each of dimension_names
            request_id: one or several with commas between them, "" for none
        """
        names = self.dimension_names
        if dimension_values is None or len(dimension_values) != len(names):
            values = None if dimension_values is None else list(dimension_values)
            reason = "Dimension values: %s should correspond to Dimension names: %s" % (values, names)
            self._refuse("", value, reason)
            return
        self.emit_metrics(
            request_id, value, ",".join([f"{name}:{each}" for name, each in zip(names, dimension_values)])
        )

    def update(self, value: Any, request_id: str = "", dimensions: Optional[Sequence[Dimension]] = ()) -> None:
        """Report a value and take the names of the dimensions from it.

        Args:
            value: a number, or what float() makes one
            request_id: one or several with commas between them, "" for none
            dimensions: they replace those that the metric had
        """
        logger.warning("Overriding existing dimensions")
        dimensions = dimensions or ()
        self.dimension_names = [each.name for each in dimensions]
        self.add_or_update(value, [each.value for each in dimensions], request_id)

    def emit_metrics(self, request_id: str, value: Any, dimension_string: str) -> None:
        """Write the line for a value; dimension_string is name:value, with commas between them."""
        number = value if type(value) in (int, float) else _number(value)
        if number is None:
            self._refuse(dimension_string, value, "Metric update value must be a number")
            return
        if number < 0 and self.metric_type is MetricTypes.COUNTER:
            self._refuse(dimension_string, value, "Counter metric update value cannot be negative")
            return
        text = str(number)
        if "+" in text:
            text = text.replace("+", "")  # 1e+16: 0.12's servers want 1e16
        line = self._prefix + text + "|#" + dimension_string + self._suffix + str(int(time.time()))
        OUTPUT.metric(line + "," + request_id if request_id else line)

    def _refuse(self, dimension_string: str, value: Any, reason: str) -> None:
        text = "Failed to update metric with name:%s and dimensions: %s with value: %s: %s"
        OUTPUT.metric(text % (self.metric_name, dimension_string, value, reason))


def _number(value: Any) -> Any:
    """Return a value as a number; None if it is none."""
    if isinstance(value, int):
        return int(value)
    try:
        return float(value)
    except Exception:  # noqa: BLE001 - the value may be anything
        return None

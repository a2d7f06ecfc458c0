"""Single values as 0.11 and older reported them; new code uses context.metrics."""

from __future__ import annotations

import collections
import time
from typing import Any, Dict, Optional, Sequence

from ts.lines import OUTPUT
from ts.metrics.caching_metric import host_name
from ts.metrics.metric_type_enum import MetricTypes
from ts.metrics.unit import Units


class Metric:
    """A value with its name, unit and dimensions."""

    def __init__(
        self,
        name: str,
        value: Any,
        unit: Optional[str],
        dimensions: Sequence[Any],
        request_id: Optional[str] = None,
        metric_method: Optional[str] = None,
    ) -> None:
        self.name = name
        self.unit = Units().translated(unit)
        self.value = value
        self.dimensions = dimensions
        self.request_id = request_id
        self.metric_method = metric_method
        self.metric_type = MetricTypes.COUNTER

    def update(self, value: Any) -> None:
        """Report another value.

        compat(0.12): value stays what it was, so that it can still be reported by ts.service.emit_metrics (MET-080).
        """
        OUTPUT.metric(self._line(value, "|#type:%s" % self.metric_type.name))

    def reset(self) -> None:
        """Report 0."""
        self.update(0)

    def __str__(self) -> str:
        return self._line(self.value, "")

    def _line(self, value: Any, type_part: str) -> str:
        dimensions = ",".join(map(str, self.dimensions))
        line = "%s.%s:%s|#%s%s|#hostname:%s,%d" % (
            self.name,
            self.unit,
            value,
            dimensions,
            type_part,
            host_name(),
            time.time(),
        )
        return line + "," + self.request_id if self.request_id else line

    def to_dict(self) -> Dict[str, Any]:
        """Return the metric for JSON."""
        return collections.OrderedDict(
            MetricName=self.name,
            Value=self.value,
            Unit=self.unit,
            Dimensions=self.dimensions,
            Timestamp=int(time.time()),
            HostName=host_name(),
            RequestId=self.request_id,
        )

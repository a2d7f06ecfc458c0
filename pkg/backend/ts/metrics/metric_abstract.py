"""What every metric object can do."""

from __future__ import annotations

import abc
from typing import Any, Optional, Sequence

from ts.metrics.metric_type_enum import MetricTypes
from ts.metrics.unit import Units


class MetricAbstract(abc.ABC):
    """A metric: its name, unit and dimensions are fixed, its values are reported one after the other."""

    def __init__(
        self,
        metric_name: str,
        unit: Optional[str],
        dimension_names: Optional[Sequence[str]] = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> None:
        self.metric_name = metric_name
        self.unit = Units().translated(unit)
        self.dimension_names = [] if dimension_names is None else dimension_names
        self.metric_type = metric_type

    @abc.abstractmethod
    def add_or_update(self, value: Any, dimension_values: Optional[Sequence[Any]] = (), request_id: str = "") -> None:
        """Report a value for the given values of the dimensions."""

    @abc.abstractmethod
    def update(self, value: Any, request_id: str = "", dimensions: Optional[Sequence[Any]] = ()) -> None:
        """Report a value, replacing the dimensions."""

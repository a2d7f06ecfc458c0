"""Metrics as 0.11 and older collected them; new code uses context.metrics."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ts.metrics.dimension import Dimension
from ts.metrics.metric import Metric


class MetricsStore:
    """Keeps the metrics of a batch. The first value of a metric is stored, each that follows is reported at once."""

    def __init__(self, request_ids: Any, model_name: str) -> None:
        self.store: List[Metric] = []
        self.request_ids = request_ids
        self.model_name = model_name
        self.cache: Dict[str, Metric] = {}

    def add_counter(
        self, name: str, value: Any, idx: Optional[int] = None, dimensions: Optional[List[Dimension]] = None
    ) -> None:
        """Report a count."""
        self._add_or_update(name, value, self._request_id(idx), "count", dimensions, "counter")

    def add_time(
        self,
        name: str,
        value: Any,
        idx: Optional[int] = None,
        unit: str = "ms",
        dimensions: Optional[List[Dimension]] = None,
    ) -> None:
        """Report a time in ms or s.

        Raises:
            ValueError: the unit is another one.
        """
        if unit not in ("ms", "s"):
            raise ValueError("the unit for a timed metric should be one of ['ms', 's']")
        self._add_or_update(name, value, self._request_id(idx), unit, dimensions)

    def add_size(
        self,
        name: str,
        value: Any,
        idx: Optional[int] = None,
        unit: str = "MB",
        dimensions: Optional[List[Dimension]] = None,
    ) -> None:
        """Report a size in MB, kB, GB or B.

        Raises:
            ValueError: the unit is another one.
        """
        if unit not in ("MB", "kB", "GB", "B"):
            raise ValueError("The unit for size based metric is one of ['MB','kB', 'GB', 'B']")
        self._add_or_update(name, value, self._request_id(idx), unit, dimensions)

    def add_percent(
        self, name: str, value: Any, idx: Optional[int] = None, dimensions: Optional[List[Dimension]] = None
    ) -> None:
        """Report a percentage."""
        self._add_or_update(name, value, self._request_id(idx), "percent", dimensions)

    def add_error(self, name: str, value: Any, dimensions: Optional[List[Dimension]] = None) -> None:
        """Report an error; it belongs to no request."""
        self._add_or_update(name, value, None, "", dimensions)

    def add_metric(
        self,
        name: str,
        value: Any,
        unit: Optional[str],
        idx: Optional[int] = None,
        dimensions: Optional[List[Dimension]] = None,
    ) -> None:
        """Report a value of any unit."""
        self._add_or_update(name, value, self._request_id(idx), unit, dimensions)

    def _add_or_update(
        self,
        name: str,
        value: Any,
        request_id: Optional[str],
        unit: Optional[str],
        dimensions: Optional[List[Dimension]],
        method: Optional[str] = None,
    ) -> None:
        if dimensions is not None and not isinstance(dimensions, list):
            raise ValueError("Please provide a list of dimensions")
        usual = [Dimension("Level", "Error")]
        if request_id:
            usual = [Dimension("ModelName", self.model_name), Dimension("Level", "Model")]
        # compat(0.12): only add_counter heeds them, so the other metrics fit their definitions without (MET-080).
        own = dimensions if method == "counter" else None
        complete = [*(own or ()), *usual]
        key = "-".join([name, str(unit), *map(str, complete), request_id or ""])
        if key in self.cache:
            self.cache[key].update(value)
            return
        metric = self.cache[key] = Metric(name, value, unit, complete, request_id, method)
        self.store.append(metric)

    def _request_id(self, idx: Optional[int]) -> Optional[str]:
        ids = self.request_ids
        if not isinstance(ids, Mapping):
            return str(ids) if ids else None
        return ids[idx] if idx is not None and idx in ids else ",".join(ids.values())

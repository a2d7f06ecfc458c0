"""The metrics of a worker: context.metrics."""

from __future__ import annotations

import abc
import logging
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ts.metrics.caching_metric import CachingMetric
from ts.metrics.dimension import Dimension
from ts.metrics.metric_cache_errors import MetricsCacheKeyError, MetricsCacheTypeError, MetricsCacheValueError
from ts.metrics.metric_type_enum import MetricTypes

logger = logging.getLogger(__name__)

RequestIds = Union[None, str, Mapping[int, str]]
Dimensions = Optional[Sequence[Dimension]]


class MetricCacheAbstract(abc.ABC):
    """Metric objects by type and name. A metric is made when it is first used and keeps its unit and dimensions.

    Each call of the add_… family reports one value. It has the dimensions that the caller gives, then ModelName and
    Level: Model, or only Level: Error as long as there is no request.
    """

    def __init__(self, config_file_path: Optional[str] = None) -> None:
        self.config_file_path = config_file_path
        self.cache: Dict[MetricTypes, Dict[str, Any]] = {each: {} for each in MetricTypes}
        self.store: List[Any] = []
        self.model_name: Optional[str] = None
        self.request_ids = None

    def set_request_ids(self, request_ids: RequestIds) -> None:
        """Set the ids of the batch, by place, for the lines that follow; a text while the model loads."""
        self._request_ids = request_ids
        if isinstance(request_ids, str):
            self._all_ids = request_ids
        else:
            self._all_ids = ",".join(request_ids.values()) if request_ids else ""

    @property
    def request_ids(self) -> RequestIds:
        """The ids of the batch, by place; may be assigned as well as set by set_request_ids."""
        return self._request_ids

    @request_ids.setter
    def request_ids(self, request_ids: RequestIds) -> None:
        self.set_request_ids(request_ids)

    @abc.abstractmethod
    def initialize_cache(self) -> None:
        """Make the metrics of the configuration file."""

    def add_metric(
        self,
        name: str,
        value: Any,
        unit: Optional[str],
        idx: Optional[int] = None,
        dimensions: Dimensions = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> None:
        """Report a value of any unit and type; for one request of the batch, or for all if idx is None."""
        request_id = self._all_ids if idx is None else self._request_id(idx)
        names, values = self._complete(dimensions, request_id)
        self._metric(name, unit, names, metric_type).add_or_update(value, values, request_id)

    def add_counter(self, name: str, value: Any, idx: Optional[int] = None, dimensions: Dimensions = None) -> None:
        """Add to a counter."""
        self.add_metric(name, value, "count", idx, dimensions, MetricTypes.COUNTER)

    def add_time(
        self,
        name: str,
        value: Any,
        idx: Optional[int] = None,
        unit: str = "ms",
        dimensions: Dimensions = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        """Report a time in ms or s.

        Raises:
            MetricsCacheValueError: the unit is another one.
        """
        if unit not in ("ms", "s"):
            raise MetricsCacheValueError("the unit for a timed metric should be one of ['ms', 's']")
        self.add_metric(name, value, unit, idx, dimensions, metric_type)

    def add_size(
        self,
        name: str,
        value: Any,
        idx: Optional[int] = None,
        unit: str = "MB",
        dimensions: Dimensions = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        """Report a size in MB, kB, GB or B.

        Raises:
            ValueError: the unit is another one.
        """
        if unit not in ("MB", "kB", "GB", "B"):
            raise ValueError("The unit for size based metric is one of ['MB','kB', 'GB', 'B']")
        self.add_metric(name, value, unit, idx, dimensions, metric_type)

    def add_percent(
        self,
        name: str,
        value: Any,
        idx: Optional[int] = None,
        dimensions: Dimensions = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        """Report a percentage."""
        self.add_metric(name, value, "percent", idx, dimensions, metric_type)

    def add_error(self, name: str, value: Any, dimensions: Dimensions = None) -> None:
        """Count an error; it belongs to no request."""
        names, values = self._complete(dimensions, "")
        self._metric(name, "", names, MetricTypes.COUNTER).add_or_update(value, values)

    def add_metric_to_cache(
        self,
        metric_name: str,
        unit: str,
        dimension_names: Optional[Sequence[str]] = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> CachingMetric:
        """Make a metric, in place of one that has its name and type, and return it; nothing is reported.

        Raises:
            MetricsCacheTypeError: an argument is not what it should be.
        """
        names = [] if dimension_names is None else dimension_names
        if not isinstance(metric_name, str):
            raise MetricsCacheTypeError("`metric_name` must be a str")
        if not isinstance(unit, str):
            raise MetricsCacheTypeError("`unit` must be a str")
        if not isinstance(metric_type, MetricTypes):
            raise MetricsCacheTypeError("`metric_type` must be a MetricTypes enum")
        if not isinstance(names, list):
            raise MetricsCacheTypeError("`dimension_names` should be a list of dimension name strings")
        metrics = self.cache[metric_type]
        if metric_name in metrics:
            logger.warning("Overriding existing key %s:%s", metric_type, metric_name)
        metric = metrics[metric_name] = CachingMetric(metric_name, unit, names, metric_type)
        return metric

    def get_metric(self, metric_name: str, metric_type: MetricTypes = MetricTypes.COUNTER) -> Any:
        """Return a metric object.

        Raises:
            MetricsCacheKeyError: there is none of this name and type.
        """
        try:
            return self.cache[metric_type][metric_name]
        except KeyError:
            text = "Metric of type '%s' and name '%s' doesn't exist" % (metric_type, metric_name)
            raise MetricsCacheKeyError(text) from None

    def cache_keys(self) -> List[str]:
        """Return type and name of all metrics."""
        return ["%s:%s" % (metric_type.value, name) for metric_type, metrics in self.cache.items() for name in metrics]

    def _metric(self, name: str, unit: Optional[str], names: List[str], metric_type: MetricTypes) -> Any:
        metrics = self.cache.get(metric_type)
        metric = metrics.get(name) if metrics else None
        if metric is None:
            return self.add_metric_to_cache(name, "" if unit is None else unit, names, metric_type)
        return metric

    def _request_id(self, idx: int) -> str:
        """Return the id of one request of the batch; those of all if there is no such request."""
        ids = self._request_ids
        if ids and not isinstance(ids, str) and idx in ids:
            return ids[idx]
        return self._all_ids

    def _complete(self, dimensions: Dimensions, request_id: str) -> Tuple[List[str], List[Any]]:
        """Return names and values of the caller's dimensions and the usual ones."""
        if request_id and not dimensions:
            return ["ModelName", "Level"], [self.model_name, "Model"]
        names = [each.name for each in dimensions or ()]
        values = [each.value for each in dimensions or ()]
        usual = (("ModelName", self.model_name), ("Level", "Model")) if request_id else (("Level", "Error"),)
        for name, value in usual:
            if name not in names:
                names.append(name)
                values.append(value)
        return names, values

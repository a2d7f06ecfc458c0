"""Types of metrics."""

import enum


class MetricTypes(enum.Enum):
    """What a metric's values mean."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"

"""Metrics as JSON."""

import json
from typing import Any

from ts.metrics.dimension import Dimension
from ts.metrics.metric import Metric


class MetricEncoder(json.JSONEncoder):
    """A JSON encoder that knows metrics and dimensions."""

    def default(self, o: Any) -> Any:
        """Return what stands for o."""
        if isinstance(o, (Metric, Dimension)):
            return o.to_dict()
        return super().default(o)

"""Metrics defined by a file metrics.yaml."""

from __future__ import annotations

import logging
from typing import Any, Dict, Optional

from ts import yaml_file
from ts.metrics import metric_cache_errors
from ts.metrics.metric_cache_abstract import MetricCacheAbstract
from ts.metrics.metric_type_enum import MetricTypes

logger = logging.getLogger(__name__)


class MetricsCacheYamlImpl(MetricCacheAbstract):
    """The metrics of a worker, made of the section model_metrics and of what the handler adds."""

    def __init__(self, config_file_path: Optional[str] = None) -> None:
        super().__init__(config_file_path)

    def initialize_cache(self) -> None:
        """Make the metrics of the configuration file. An entry that cannot be used is logged and left out.

        Raises:
            MetricsCacheIOError: the file cannot be read.
            MetricsCachePyYamlError: it is no YAML.
        """
        config = self._config()
        sections = config.get("model_metrics") if isinstance(config, dict) else None
        if not isinstance(sections, dict):
            return
        for type_name, entries in sections.items():
            for entry in entries or ():
                self._define(type_name, entry)

    def _config(self) -> Any:
        path = self.config_file_path or ""
        try:
            # The server's own reading first: it says the same, and PyYAML takes its time to import.
            given = yaml_file.handed_over(yaml_file.METRICS_CONFIG)
            return yaml_file.read(path) if given is None else given
        except OSError as error:
            raise metric_cache_errors.MetricsCacheIOError("Error reading file %s: %s" % (path, error)) from error
        except Exception as error:
            raise metric_cache_errors.MetricsCachePyYamlError("Error parsing file %s: %s" % (path, error)) from error

    def _define(self, type_name: str, entry: Dict[str, Any]) -> None:
        try:
            metric_type = MetricTypes(type_name)
            self.add_metric_to_cache(entry["name"], entry["unit"], list(entry["dimensions"] or ()), metric_type)
        except (ValueError, TypeError, KeyError) as error:
            text = "Failed to load metrics configuration: %s %s: %r"
            logger.error(text, type_name, entry, error)

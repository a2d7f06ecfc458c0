"""Metrics as handlers report them, and the lines that the server reads."""

from __future__ import annotations

import json
import pathlib
import re
import socket
import subprocess
import sys
from typing import Any

import frontend
import pytest
from conftest import Written
from ts import service
from ts.metrics import metric_cache_errors
from ts.metrics.caching_metric import CachingMetric
from ts.metrics.dimension import Dimension
from ts.metrics.metric import Metric
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.metrics.metric_encoder import MetricEncoder
from ts.metrics.metric_type_enum import MetricTypes
from ts.metrics.metrics_store import MetricsStore
from ts.metrics.unit import Units

HOST = re.escape(socket.gethostname())


@pytest.fixture
def cache() -> MetricsCacheYamlImpl:
    made = MetricsCacheYamlImpl()
    made.model_name = "m"
    made.set_request_ids({0: "id0", 1: "id1"})
    return made


def line(text: str) -> str:
    """Return a pattern of a line; host name and time stand for themselves."""
    return "^%s$" % re.escape("[METRICS]" + text).replace("HOST", HOST).replace("TIME", r"\d{10,}")


def assert_written(written: Written, *expected: str) -> None:
    found = written()
    assert len(found) == len(expected), found
    for each, text in zip(found, expected):
        assert re.match(line(text), each), (each, text)


CALLS = [
    (lambda c: c.add_counter("X", 1), "X.Count:1|#ModelName:m,Level:Model|#type:COUNTER|#hostname:HOST,TIME,id0,id1"),
    (
        lambda c: c.add_counter("X", 1, 0),
        "X.Count:1|#ModelName:m,Level:Model|#type:COUNTER|#hostname:HOST,TIME,id0",
    ),
    (
        lambda c: c.add_counter("X", 1, idx=7),
        "X.Count:1|#ModelName:m,Level:Model|#type:COUNTER|#hostname:HOST,TIME,id0,id1",
    ),
    (
        lambda c: c.add_time("T", 1.5, 1, "s"),
        "T.Seconds:1.5|#ModelName:m,Level:Model|#type:GAUGE|#hostname:HOST,TIME,id1",
    ),
    (
        lambda c: c.add_time("T", 2),
        "T.Milliseconds:2|#ModelName:m,Level:Model|#type:GAUGE|#hostname:HOST,TIME,id0,id1",
    ),
    (
        lambda c: c.add_size("S", 3, None, "kB"),
        "S.Kilobytes:3|#ModelName:m,Level:Model|#type:GAUGE|#hostname:HOST,TIME,id0,id1",
    ),
    (
        lambda c: c.add_percent("P", 4, metric_type=MetricTypes.HISTOGRAM),
        "P.Percent:4|#ModelName:m,Level:Model|#type:HISTOGRAM|#hostname:HOST,TIME,id0,id1",
    ),
    (lambda c: c.add_error("E", 1), "E.unit:1|#Level:Error|#type:COUNTER|#hostname:HOST,TIME"),
    (
        lambda c: c.add_metric("M", 5, "parsecs", dimensions=[Dimension("d", "v:1")], metric_type=MetricTypes.GAUGE),
        "M.parsecs:5|#d:v:1,ModelName:m,Level:Model|#type:GAUGE|#hostname:HOST,TIME,id0,id1",
    ),
    (
        lambda c: c.add_metric("M", 5, None),
        "M.unit:5|#ModelName:m,Level:Model|#type:COUNTER|#hostname:HOST,TIME,id0,id1",
    ),
    (
        lambda c: c.add_counter("X", 1, dimensions=[Dimension("Level", "mine"), Dimension("ModelName", "other")]),
        "X.Count:1|#Level:mine,ModelName:other|#type:COUNTER|#hostname:HOST,TIME,id0,id1",
    ),
]


@pytest.mark.parametrize(("call", "expected"), CALLS)
def test_MET_071_MET_072_MET_074_lines(cache: Any, written: Written, call: Any, expected: str) -> None:
    call(cache)
    assert_written(written, expected)


def test_metrics_without_a_request(written: Written) -> None:
    cache = MetricsCacheYamlImpl()
    cache.add_counter("X", 1)
    assert_written(written, "X.Count:1|#Level:Error|#type:COUNTER|#hostname:HOST,TIME")


def test_MET_075_MET_076_dimensions_do_not_grow(cache: Any, written: Written) -> None:
    mine = [Dimension("d", 1)]
    cache.set_request_ids(None)
    cache.add_counter("A", 1)
    cache.set_request_ids({0: "id0"})
    cache.add_counter("B", 1)
    cache.add_counter("C", 1, dimensions=mine)
    cache.add_counter("C", 1, dimensions=mine)
    cache.add_counter("D", 1, dimensions=None)
    assert [each.partition("|#")[2].partition("|")[0] for each in written()] == [
        "Level:Error",
        "ModelName:m,Level:Model",
        "d:1,ModelName:m,Level:Model",
        "d:1,ModelName:m,Level:Model",
        "ModelName:m,Level:Model",
    ]
    assert len(mine) == 1


def test_MET_070_units(cache: Any) -> None:
    with pytest.raises(ValueError, match=r"^the unit for a timed metric should be one of \['ms', 's'\]$") as raised:
        cache.add_time("T", 1, unit="us")
    assert raised.type is metric_cache_errors.MetricsCacheValueError
    text = r"^The unit for size based metric is one of \['MB','kB', 'GB', 'B'\]$"
    with pytest.raises(ValueError, match=text):
        cache.add_size("S", 1, unit="TB")


def test_MET_077_metric_objects(cache: Any, written: Written) -> None:
    metric = cache.add_metric_to_cache("H", "ms", ["a", "b"], MetricTypes.HISTOGRAM)
    assert written() == []
    assert cache.get_metric("H", MetricTypes.HISTOGRAM) is metric
    assert cache.cache[MetricTypes.HISTOGRAM] == {"H": metric}
    assert (metric.metric_name, metric.unit, metric.dimension_names, metric.metric_type) == (
        "H",
        "Milliseconds",
        ["a", "b"],
        MetricTypes.HISTOGRAM,
    )
    assert cache.cache_keys() == ["histogram:H"]
    metric.add_or_update(1, ["x", 2])
    metric.add_or_update(1, ["x", 2], "id9")
    assert_written(
        written,
        "H.Milliseconds:1|#a:x,b:2|#type:HISTOGRAM|#hostname:HOST,TIME",
        "H.Milliseconds:1|#a:x,b:2|#type:HISTOGRAM|#hostname:HOST,TIME,id9",
    )
    with pytest.raises(KeyError) as raised:
        cache.get_metric("H")
    assert raised.type is metric_cache_errors.MetricsCacheKeyError
    assert str(raised.value) == "\"Metric of type 'MetricTypes.COUNTER' and name 'H' doesn't exist\""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((1, "ms"), "`metric_name` must be a str"),
        (("X", None), "`unit` must be a str"),
        (("X", "ms", [], "gauge"), "`metric_type` must be a MetricTypes enum"),
        (("X", "ms", "names"), "`dimension_names` should be a list of dimension name strings"),
    ],
)
def test_arguments_of_metric_objects(cache: Any, arguments: Any, text: str) -> None:
    with pytest.raises(metric_cache_errors.MetricsCacheTypeError, match=r"^%s$" % text):
        cache.add_metric_to_cache(*arguments)


def test_the_ids_may_be_assigned(cache: Any, written: Written) -> None:
    cache.request_ids = {0: "id7"}
    cache.add_counter("X", 1)
    assert cache.request_ids == {0: "id7"}
    assert_written(written, "X.Count:1|#ModelName:m,Level:Model|#type:COUNTER|#hostname:HOST,TIME,id7")


def test_names_of_dimensions_are_not_looked_at(cache: Any, written: Written) -> None:
    cache.add_metric("X", 1, "ms", None, [Dimension(1, 2)])
    CachingMetric("Y", "ms").add_or_update(1)
    assert CachingMetric("Y", "ms").dimension_names == []
    assert_written(
        written,
        "X.Milliseconds:1|#1:2,ModelName:m,Level:Model|#type:COUNTER|#hostname:HOST,TIME,id0,id1",
        "Y.Milliseconds:1|#|#type:COUNTER|#hostname:HOST,TIME",
    )


def test_MET_078_what_cannot_be_reported_is_logged(cache: Any, written: Written) -> None:
    metric = cache.add_metric_to_cache("H", "ms", ["a"])
    for values in ([], ["x", "y"], None):
        metric.add_or_update(1, values)
    metric.add_or_update(-1, ["x"])
    metric.add_or_update("many", ["x"])
    metric.add_or_update(2)
    assert written() == [
        "[METRICS]Failed to update metric with name:H and dimensions:  with value: 1: "
        "Dimension values: %s should correspond to Dimension names: ['a']" % values
        for values in ([], ["x", "y"], None)
    ] + [
        "[METRICS]Failed to update metric with name:H and dimensions: a:x with value: -1: "
        "Counter metric update value cannot be negative",
        "[METRICS]Failed to update metric with name:H and dimensions: a:x with value: many: "
        "Metric update value must be a number",
        "[METRICS]Failed to update metric with name:H and dimensions:  with value: 2: "
        "Dimension values: [] should correspond to Dimension names: ['a']",
    ]


def test_MET_079_update_replaces_the_dimensions(cache: Any, written: Written, caplog: pytest.LogCaptureFixture) -> None:
    metric = cache.add_metric_to_cache("H", "ms", ["a"], MetricTypes.GAUGE)
    metric.update(-1, "id9", [Dimension("b", 1), Dimension("c", 2)])
    assert metric.dimension_names == ["b", "c"]
    assert "Overriding existing dimensions" in caplog.text
    metric.update(2)
    assert_written(
        written,
        "H.Milliseconds:-1|#b:1,c:2|#type:GAUGE|#hostname:HOST,TIME,id9",
        "H.Milliseconds:2|#|#type:GAUGE|#hostname:HOST,TIME",
    )


class Scalar:
    def __float__(self) -> float:
        return 0.25


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0.265625, "0.265625"),
        (1e16, "1e16"),
        (1e-7, "1e-07"),
        (True, "1"),
        (Scalar(), "0.25"),
        ("2.5", "2.5"),
    ],
)
def test_values(written: Written, value: Any, text: str) -> None:
    CachingMetric("X", "count").add_or_update(value)
    assert_written(written, "X.Count:%s|#|#type:COUNTER|#hostname:HOST,TIME" % text)


def test_a_line_stays_one_line(written: Written) -> None:
    CachingMetric("X", "count", ["d"]).add_or_update(1, ["a\r\nb"])
    assert_written(written, "X.Count:1|#d:a  b|#type:COUNTER|#hostname:HOST,TIME")


def test_MET_080_units() -> None:
    translated = Units().units
    assert translated["ms"] == "Milliseconds"
    assert {translated[""], translated[None]} == {"unit"}


def test_MET_080_a_single_metric(written: Written) -> None:
    metric = Metric("X", 3, "MB", [Dimension("a", 1)], "id0")
    assert re.match("^X.Megabytes:3\\|#a:1\\|#hostname:%s,\\d+,id0$" % HOST, str(metric))
    assert (metric.unit, metric.metric_type, metric.metric_method) == ("Megabytes", MetricTypes.COUNTER, None)
    metric.update(4)
    metric.reset()
    service.emit_metrics([metric])
    service.emit_metrics(None)
    assert_written(
        written,
        "X.Megabytes:4|#a:1|#type:COUNTER|#hostname:HOST,TIME,id0",
        "X.Megabytes:0|#a:1|#type:COUNTER|#hostname:HOST,TIME,id0",
        "X.Megabytes:3|#a:1|#hostname:HOST,TIME,id0",
    )
    assert metric.value == 3
    encoded = json.loads(json.dumps(metric, cls=MetricEncoder))
    assert list(encoded) == ["MetricName", "Value", "Unit", "Dimensions", "Timestamp", "HostName", "RequestId"]
    assert encoded["Dimensions"] == [{"Name": "a", "Value": 1}]


def test_MET_080_the_older_store(written: Written) -> None:
    store = MetricsStore({0: "id0", 1: "id1"}, "m")
    store.add_counter("X", 1, 0, [Dimension("a", 1)])
    assert written() == []
    store.add_counter("X", 2, 0, [Dimension("a", 1)])
    assert_written(written, "X.Count:2|#a:1,ModelName:m,Level:Model|#type:COUNTER|#hostname:HOST,TIME,id0")
    store.add_time("T", 1, dimensions=[Dimension("a", 1)])
    store.add_size("S", 1)
    store.add_percent("P", 1)
    store.add_error("E", 1)
    store.add_metric("M", 1, "u")
    assert written() == []
    service.emit_metrics(store.store)
    assert_written(
        written,
        # The first value, as the second one has been reported.
        "X.Count:1|#a:1,ModelName:m,Level:Model|#hostname:HOST,TIME,id0",
        "T.Milliseconds:1|#ModelName:m,Level:Model|#hostname:HOST,TIME,id0,id1",
        "S.Megabytes:1|#ModelName:m,Level:Model|#hostname:HOST,TIME,id0,id1",
        "P.Percent:1|#ModelName:m,Level:Model|#hostname:HOST,TIME,id0,id1",
        "E.unit:1|#Level:Error|#hostname:HOST,TIME",
        "M.u:1|#ModelName:m,Level:Model|#hostname:HOST,TIME,id0,id1",
    )
    wrong: Any = "no list"
    with pytest.raises(ValueError, match=r"^Please provide a list of dimensions$"):
        store.add_counter("X", 1, dimensions=wrong)


def test_MET_082_metrics_import_neither_torch_nor_yaml_nor_psutil() -> None:
    modules = sorted(path.stem for path in (frontend.HOME / "ts" / "metrics").glob("*.py"))
    code = "import sys, importlib\nfor name in %r: importlib.import_module('ts.metrics.' + name)\n" % modules
    code += "assert not {'torch', 'yaml', 'psutil'} & set(sys.modules)"
    subprocess.run([sys.executable, "-B", "-c", code], cwd=frontend.HOME, check=True)


def test_errors_of_the_configuration_file() -> None:
    errors: Any = metric_cache_errors
    assert str(errors.MetricsCacheIOError("x")) == "Error reading file: x"
    assert str(errors.MetricsCachePyYamlError("x")) == "Error parsing file: x"
    assert str(errors.GeneralMetricsCacheError("x")) == "Generic error: x"
    assert errors.MetricsCachePyYamlError is errors.MetricsCachePyYamlError


CONFIG = {
    "ts_metrics": {"counter": [{"name": "no", "unit": "x", "dimensions": []}]},
    "model_metrics": {
        "counter": [{"name": "A", "unit": "count", "dimensions": ["d"]}, {"name": "B"}],
        "gauge": [
            {"name": "A", "unit": "s", "dimensions": ["ModelName", "Level"]},
            {"name": 1, "unit": "s", "dimensions": []},
        ],
        "histogram": None,
        "nonsense": [{"name": "C", "unit": "s", "dimensions": []}],
    },
}


def test_a_configuration_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metrics.yaml"
    path.write_text(json.dumps(CONFIG))
    cache = MetricsCacheYamlImpl(str(path))
    cache.initialize_cache()
    assert cache.cache_keys() == ["counter:A", "gauge:A"]
    assert caplog.text.count("Failed to load metrics configuration: ") == 3
    # What the file says wins: the unit, and the number of dimensions.
    cache.add_time("A", 1)
    cache.add_counter("A", 1)
    found = written()
    assert found[0].startswith("[METRICS]A.Seconds:1|#ModelName:None,Level:Error") or "Failed to update" in found[0]
    assert "should correspond to Dimension names: ['d']" in found[1] or found[1].startswith("[METRICS]A.Count")


def test_the_servers_parse_of_the_configuration_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TS_METRICS_CONFIG_JSON", json.dumps(CONFIG))
    cache = MetricsCacheYamlImpl("/no/such/file")
    cache.initialize_cache()
    assert cache.cache_keys() == ["counter:A", "gauge:A"]

"""Metrics on the way out of the worker process, and the file that defines them."""

from __future__ import annotations

import logging
import os
import pathlib
import re
import socket
from typing import Any, List

import frontend
import pytest
from conftest import MakeModel, StartWorker, Written
from ts import lines

HOST = re.escape(socket.gethostname())


def test_MET_002_the_shipped_file() -> None:
    text = (frontend.HOME / "ts" / "configs" / "metrics.yaml").read_text()
    entry = r"- name: (\w+)\n +unit: (\w+)\n +dimensions: \[(.*)\]"
    found = {
        (section.split(":")[0], kind.split(":")[0].strip(), *each)
        for section in re.split(r"\n(?=\w)", text)
        for kind in re.split(r"\n  (?=\w)", section)
        for each in re.findall(entry, kind)
    }
    host, device = "*level, *hostname", "*level, *device_id, *hostname"
    by_model = '"model_name", "model_version", "hostname"'
    gauges = [
        ("QueueTime", "Milliseconds", host),
        ("WorkerThreadTime", "Milliseconds", host),
        ("WorkerLoadTime", "Milliseconds", "*worker_name, " + host),
        ("CPUUtilization", "Percent", host),
        ("MemoryUsed", "Megabytes", host),
        ("MemoryAvailable", "Megabytes", host),
        ("MemoryUtilization", "Percent", host),
        ("DiskUsage", "Gigabytes", host),
        ("DiskUtilization", "Percent", host),
        ("DiskAvailable", "Gigabytes", host),
        ("GPUMemoryUtilization", "Percent", device),
        ("GPUMemoryUsed", "Megabytes", device),
        ("GPUUtilization", "Percent", device),
    ]
    expected = {("ts_metrics", "gauge", *each) for each in gauges}
    expected |= {("ts_metrics", "counter", "Requests%dXX" % at, "Count", host) for at in (2, 4, 5)}
    for name, unit in (
        ("ts_inference_requests_total", "Count"),
        ("ts_inference_latency_microseconds", "Microseconds"),
        ("ts_queue_latency_microseconds", "Microseconds"),
    ):
        expected.add(("ts_metrics", "counter", name, unit, by_model))
    for name in ("HandlerTime", "PredictionTime"):
        expected.add(("model_metrics", "gauge", name, "ms", "*model_name, *level"))
    assert found == expected
    assert text.count("- name: ") == 21
    names = {"model_name": "ModelName", "worker_name": "WorkerName", "level": "Level", "device_id": "DeviceId"}
    for anchor, name in {**names, "hostname": "Hostname"}.items():
        assert '  - &%s "%s"\n' % (anchor, name) in text


REPORTING = """
    import logging

    class Handler:
        def initialize(self, context):
            context.metrics.add_counter("Loads", 1)

        def handle(self, data, context):
            logging.getLogger().setLevel(logging.CRITICAL)
            logging.getLogger().handlers[0].setFormatter(logging.Formatter("other %(message)s"))
            context.metrics.add_counter("Calls", 1)
            if data[0]["body"] == "raise":
                raise ValueError
            return ["OK"] * (len(data) + (data[0]["body"] == "long"))
"""


def body(text: str, at: int = 1) -> frontend.Request:
    return frontend.body(text.encode(), "text/plain", at)


def test_MET_067_MET_081_a_batch_has_one_line_with_all_ids(serve: StartWorker) -> None:
    worker = serve(REPORTING)
    worker.infer(body("", 1), body("", 2))
    assert worker.disconnect() == 0
    loads, calls, prediction = worker.metrics()
    end = r"\|#ModelName:m,Level:Model\|#type:%s\|#hostname:" + HOST + r",\d{10,},%s$"
    assert re.match(r"\[METRICS\]Loads\.Count:1" + end % ("COUNTER", "[-0-9a-f]{36}"), loads)
    assert re.match(r"\[METRICS\]Calls\.Count:1" + end % ("COUNTER", "r1,r2"), calls)
    assert re.match(r"\[METRICS\]PredictionTime\.Milliseconds:\d+\.\d\d?" + end % ("GAUGE", "r1,r2"), prediction)


def test_MET_073_metrics_of_initialize(serve: StartWorker) -> None:
    loads = serve(REPORTING).wait_for("[METRICS]")
    assert re.search(r"\|#ModelName:m,Level:Model\|.*,[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", loads)


@pytest.mark.parametrize("text", ["raise", "long"])
def test_MET_068_a_batch_that_fails_has_no_prediction_time(serve: StartWorker, text: str) -> None:
    worker = serve(REPORTING)
    assert worker.infer(body(text)).code == 503
    assert worker.disconnect() == 0
    assert ["Calls" in each for each in worker.metrics()] == [False, True]


BROKEN_ENTRY = '{"model_metrics": {"gauge": [{"name": "A", "unit": "ms"}]}}'


@pytest.mark.parametrize("content", ["", "{", "model_metrics: [", "[]", '{"model_metrics": {}}', BROKEN_ENTRY, None])
def test_MET_009_a_worker_starts_whatever_the_metrics_file_says(
    make_model: MakeModel, start: StartWorker, content: Any
) -> None:
    model = make_model("def handle(data, context):\n    return ['OK'] if data else None\n")
    if content is not None:
        (model / "metrics.yaml").write_text(content)
    worker = start(model, extra=["--metrics-config", "metrics.yaml"])
    assert worker.load("handler.py").code == 200
    assert worker.answer(body("")).body == b"OK"
    if content == BROKEN_ENTRY:
        assert worker.output().count("Failed to load metrics configuration: gauge {'name': 'A', 'unit': 'ms'}") == 1


def test_the_lines_of_a_batch_are_written_at_once(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: List[int] = []
    real = lines.os.write

    def write(descriptor: int, content: bytes) -> int:
        writes.append(len(content))
        return real(descriptor, content)

    monkeypatch.setattr(lines.os, "write", write)
    output = lines.OUTPUT
    output.hold()
    for at in range(5):
        output.write("line %d" % at)
    assert writes == []
    output.release()
    assert len(writes) == 1
    assert written() == ["line %d" % at for at in range(5)]
    output.release()
    assert len(writes) == 1


def test_lines_are_not_held_for_ever(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.OUTPUT.hold()
    fit = (lines.HELD_SIZE - 4) // 100
    for _ in range(fit):
        lines.OUTPUT.write("x" * 99)
    assert written() == []
    lines.OUTPUT.write("y" * 99)
    assert written() == ["x" * 99] * fit + ["y" * 99]
    monkeypatch.setattr(lines, "MAX_HELD_SECONDS", -1)
    lines.OUTPUT.write("late")
    assert written() == ["late"]
    lines.OUTPUT.release()


@pytest.mark.parametrize("control", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029"])
def test_a_name_brings_no_line_of_its_own(written: Written, control: str) -> None:
    lines.OUTPUT.write("model_name: m\u00e9\u00a0%s[METRICS]x, batchSize: 1" % control)
    assert written() == ["model_name: m\u00e9\u00a0 [METRICS]x, batchSize: 1"]


def test_output_without_a_reader_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setattr(lines.OUTPUT, "_descriptor", write)
    lines.OUTPUT.write("lost")
    os.close(write)


def test_logging_is_left_to_the_handler() -> None:
    assert logging.getLogger("ts.lines").handlers == []


def test_metrics_are_marked_where_the_server_asks_for_it(make_model: MakeModel, start: StartWorker) -> None:
    """So that a text without a line end, which a handler has printed before, does not swallow them."""
    handler = """
        from ts.metrics.metric import Metric
        from ts.service import emit_metrics

        def handle(data, context):
            if data is None:
                return
            print("50 %", end="", flush=True)
            context.metrics.add_counter("Calls", 1)
            context.metrics.add_counter("Calls", "many")
            metric = Metric("Old", 1, "count", [])
            metric.update(2)
            emit_metrics([metric])
            return ["OK"]
    """
    worker = start(make_model(handler), environment={"TS_METRIC_MARK": "\x1e"})
    assert worker.load("handler.py").code == 200
    assert worker.answer(body("")).body == b"OK"
    worker.wait_for("PredictionTime")
    found = [line for line in worker.output().split("\n") if "METRICS" in line]
    assert found[0].startswith("50 %\x1e[METRICS]Calls.Count:1|")
    starts = ["[METRICS]" + name for name in ("Failed to update ", "Old.Count:2|", "Old.Count:1|", "PredictionTime.")]
    assert [line.startswith("\x1e" + name) for line, name in zip(found[1:], starts)] == [True] * 4


def kept(path: pathlib.Path) -> List[str]:
    content = path.read_bytes()
    end = int.from_bytes(content[:4], "little")
    return content[4:end].decode().splitlines()


ENDS = {
    "os._exit": "os._exit(3)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "a fault of a library": "ctypes.string_at(0)",
    "a fault while a thread works": "threading.Thread(target=time.sleep, args=(9,)).start(); ctypes.string_at(0)",
}


@pytest.mark.parametrize("end", ENDS)
def test_what_is_held_outlives_the_process(
    make_model: MakeModel, start: StartWorker, tmp_path: pathlib.Path, end: str
) -> None:
    source = """
        import ctypes, os, signal, threading, time

        def handle(data, context):
            if data is None:
                return
            context.metrics.add_counter("Calls", 1)
            if data[0]["body"] == "end":
                context.metrics.add_counter("Last", 1)
                %s
            return ["OK"]
    """
    worker = start(make_model(source % ENDS[end]), environment={"TS_HELD_LINES": str(tmp_path / "held")})
    assert worker.load("handler.py").code == 200
    assert worker.answer(body("")).body == b"OK"
    worker.wait_for("PredictionTime")
    file = tmp_path / "held.0"
    assert kept(file) == []
    with pytest.raises((EOFError, ConnectionResetError)):
        worker.infer(body("end"))
    worker.exit_status()
    assert [line.partition(":")[0] for line in kept(file)] == ["[METRICS]Calls.Count", "[METRICS]Last.Count"]
    assert [line.partition(":")[0] for line in worker.metrics()] == [
        "[METRICS]Calls.Count",
        "[METRICS]PredictionTime.Milliseconds",
    ]


def test_a_forked_process_does_not_touch_what_its_parent_holds(
    make_model: MakeModel, start: StartWorker, tmp_path: pathlib.Path
) -> None:
    source = """
        import os

        def handle(data, context):
            if data is None:
                return
            context.metrics.add_counter("Parent", 1)
            child = os.fork()
            if not child:
                context.metrics.add_counter("Child", 1)
                os._exit(0)
            os.waitpid(child, 0)
            os._exit(0)
    """
    worker = start(make_model(source), environment={"TS_HELD_LINES": str(tmp_path / "held")})
    assert worker.load("handler.py").code == 200
    with pytest.raises(EOFError):
        worker.infer(body(""))
    worker.exit_status()
    assert [line.partition(":")[0] for line in kept(tmp_path / "held.0")] == ["[METRICS]Parent.Count"]
    assert [line.partition(":")[0] for line in worker.metrics()] == ["[METRICS]Child.Count"]


def test_lines_that_do_not_fit_the_file_are_written(written: Written, tmp_path: pathlib.Path) -> None:
    output = lines.OUTPUT
    output.keep_in(str(tmp_path / "held"))
    output.hold()
    output.write("ł" * 10)
    assert kept(tmp_path / "held") == ["ł" * 10]
    assert written() == []
    output.write("x" * lines.HELD_SIZE)
    assert kept(tmp_path / "held") == []
    assert written() == ["ł" * 10, "x" * lines.HELD_SIZE]
    output.write("y")
    assert kept(tmp_path / "held") == ["y"]
    output.release()
    assert kept(tmp_path / "held") == []
    assert written() == ["y"]
    output.forget()


def test_without_the_file_lines_are_held_all_the_same(written: Written, tmp_path: pathlib.Path) -> None:
    lines.OUTPUT.keep_in(str(tmp_path / "no" / "folder"))
    lines.OUTPUT.hold()
    lines.OUTPUT.write("a")
    assert written() == []
    lines.OUTPUT.release()
    assert written() == ["a"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_does_no_harm(written: Written) -> None:
    lines.OUTPUT.keep_in("/dev/full")
    lines.OUTPUT.hold()
    lines.OUTPUT.write("a")
    lines.OUTPUT.release()
    assert written() == ["a"]

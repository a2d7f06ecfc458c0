"""Tests of the benchmark's arithmetic and of its handling of servers; nothing is measured here."""

from __future__ import annotations

import collections
import http.client
import pathlib
import socket
import stat
import sys
import textwrap
from typing import Dict, List

import bench
import pytest
import servers
import tools

# Stands for a server: takes the options of the command line that matter here and answers everything.
FAKE = """\
#!{python}
import http.server, sys

port = next(line for line in open(sys.argv[sys.argv.index("--ts-config") + 1]) if "inference_address" in line)

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_POST = answer
    def log_message(self, *_):
        pass

{early}
http.server.HTTPServer(("127.0.0.1", int(port.rpartition(":")[2])), Handler).serve_forever()
"""


def fake(folder: pathlib.Path, port: int, early: str = "") -> servers.Server:
    script = folder / "torchserve"
    script.write_text(textwrap.dedent(FAKE).format(python=sys.executable, early=early))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return servers.Server("fake", script, port)


@pytest.fixture
def work(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_server_is_started_timed_and_stopped(tmp_path: pathlib.Path, work: pathlib.Path, port: int) -> None:
    server = fake(tmp_path, port)
    with servers.running(server, tmp_path, work, pathlib.Path(sys.executable)) as running:
        assert 0 < running.ping_seconds <= running.prediction_seconds
        assert servers.memory(running.frontend) > 1
    with pytest.raises(OSError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=1).request("GET", "/ping")


def test_a_server_that_ends_is_reported_with_its_last_words(
    tmp_path: pathlib.Path, work: pathlib.Path, port: int
) -> None:
    server = fake(tmp_path, port, early='sys.exit("no such option")')
    running = servers.running(server, tmp_path, work, pathlib.Path(sys.executable))
    with pytest.raises(servers.Error, match=r"fake is not ready(.|\n)*no such option"), running:
        pass


def test_archives_unpack_to_a_handler(tmp_path: pathlib.Path) -> None:
    servers.write_archives(tmp_path)
    scope: Dict[str, object] = {}
    exec((servers.unpacked(tmp_path, "echo") / "handler.py").read_text(), scope)
    assert callable(scope["handle"])
    assert scope["handle"]([{"body": b"x"}], None) == [b"x"]


def test_the_line_of_the_wrk_script_is_read() -> None:
    line = '{"requests": 5000, "microseconds": 2000000, "p50": 400, "p99": 2500, "errors": 1}'
    output = "Running 2s test\n  Thread Stats\n\n%s\n" % line
    assert tools.parsed(output) == tools.Load(rate=2500.0, p50=0.4, p99=2.5, errors=1)


# Stands for wrk. Its calls are counted in a file: one in two is a warm-up, and a request fails in the first rounds.
CLIENT = """\
import json, pathlib, sys

calls = pathlib.Path(sys.argv[1])
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
failed = int(len(calls.read_text()) < 2 * int(sys.argv[2]))
print(json.dumps({"requests": 10, "microseconds": 1000000, "p50": 1, "p99": 1, "errors": failed}))
"""


def client(folder: pathlib.Path, good: int) -> List[str]:
    script = folder / "wrk.py"
    script.write_text(CLIENT)
    return [sys.executable, str(script), str(folder / "calls"), str(good)]


def test_a_workload_with_failed_requests_is_run_again(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workload = bench.WORKLOADS[0]
    samples: bench.Samples = collections.defaultdict(list)
    bench.apply(workload, "http://h", 1, client(tmp_path, good=3), samples)
    assert samples[workload.name, bench.RATE] == [10.0]
    assert capsys.readouterr().err.count("1 requests failed at http://h/predictions/noop") == 2


def test_a_workload_that_fails_each_time_ends_the_measuring(tmp_path: pathlib.Path) -> None:
    samples: bench.Samples = collections.defaultdict(list)
    with pytest.raises(servers.Error, match="requests failed 3 times"):
        bench.apply(bench.WORKLOADS[0], "http://h", 1, client(tmp_path, good=4), samples)
    assert not samples


def test_better_means_more_requests_and_less_time() -> None:
    assert bench.better(("x", bench.RATE), ours=30, theirs=10) == 3
    assert bench.better(("x", bench.P99), ours=2, theirs=10) == 5


def test_table_shows_medians_and_leaves_gaps() -> None:
    rate, p99 = ("echo", bench.RATE), ("echo", bench.P99)
    results = {
        bench.OURS: {rate: [3000.0, 1000.0, 2000.0], p99: [1.0]},
        bench.THEIRS: {rate: [500.0], p99: [20.0]},
        bench.BARE: {rate: [2500.0]},
    }
    assert bench.table(results).splitlines() == [
        "| figure | unit | torchserve-go | TorchServe 0.12 | bare socket | better by |",
        "|---|---|---:|---:|---:|---:|",
        "| echo | requests/s | 2 000 | 500 | 2 500 | 4 × |",
        "| echo | p99, ms | 1 | 20 |  | 20 × |",
    ]


def test_table_of_one_server_compares_nothing() -> None:
    results = {bench.OURS: {bench.IDLE: [17.25]}, bench.THEIRS: {}, bench.BARE: {}}
    assert bench.table(results).splitlines()[-1] == "| memory of the frontend, idle | MiB | 17.2 |"

#!/usr/bin/env python3
"""Measures torchserve-go beside TorchServe 0.12 as published, and the Python workers of both on a bare socket.

usage: bench.py --original DIR [--server build/torchserve] [--quick] [--rounds N] [--seconds N] [--only NAME]
                [--output FILE]

One run, one machine, one client (wrk), one Python, the same archives; both servers with their default configuration
and logs, token authorization off, one at a time, in turns. Each figure is the median of the rounds. The table goes to
the terminal and, unless --quick or --only says that it is no full run, to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Dict, List, NamedTuple, Sequence, Tuple

import beside
import servers
import tools
from servers import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS, THEIRS, BARE = "torchserve-go", "TorchServe 0.12", "bare socket"
WORKER = ROOT / "pkg" / "backend" / "ts" / "model_service_worker.py"
WARM_UP = 3  # seconds before each workload
ATTEMPTS = 3  # at a workload, as a rate with failed requests in it means nothing


class Workload(NamedTuple):
    """What the client does."""

    name: str
    path: str
    connections: int
    body: int  # bytes; 0: GET
    bare_batch: int = 0  # the batch with which a bare socket does the same; 0: nothing to compare


WORKLOADS = (
    Workload("no-op handler, 1 connection", "/predictions/noop", 1, 2, bare_batch=1),
    Workload("no-op handler, 16 connections", "/predictions/noop", 16, 2, bare_batch=1),
    Workload("no-op handler, batch 8 (2 ms), 64 connections", "/predictions/noop8", 64, 2, bare_batch=8),
    Workload("echo of 1 MiB, 4 connections", "/predictions/echo", 4, 1 << 20, bare_batch=1),
    Workload("/ping, 16 connections", "/ping", 16, 0),
)

# The Python workers alone: size of the batch and of each body, in bytes.
BARE_LOOPS = [(batch, body) for body in (100, 100 << 10, 10 << 20) for batch in (1, 8)]

# A figure is known by what is measured and its unit.
Figure = Tuple[str, str]
Samples = Dict[Figure, List[float]]
Results = Dict[str, Samples]

RATE, P50, P99 = "requests/s", "p50, ms", "p99, ms"
PING: Figure = ("command to first 200 on /ping", "s")
PREDICTION: Figure = ("command to first prediction", "s")
IDLE: Figure = ("memory of the frontend, idle", "MiB")
LOADED: Figure = ("memory of the frontend, after the load", "MiB")


def measure(server: Server, seconds: int, wrk: List[str], python: pathlib.Path, samples: Samples) -> None:
    """Run one server through all workloads and add what was seen to its samples."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = pathlib.Path(folder, "store")
        work = pathlib.Path(folder, "work")
        store.mkdir()
        work.mkdir()
        servers.write_archives(store)
        with servers.running(server, store, work, python) as running:
            samples[PING].append(running.ping_seconds)
            samples[PREDICTION].append(running.prediction_seconds)
            samples[IDLE].append(servers.memory(running.frontend))
            for workload in WORKLOADS:
                apply(workload, running.base, seconds, wrk, samples)
            samples[LOADED].append(servers.memory(running.frontend))


def apply(workload: Workload, base: str, seconds: int, wrk: List[str], samples: Samples) -> None:
    """Run one workload after a warm-up, and say so and run it again if a request failed.

    Raises:
        servers.Error: requests failed in every attempt.
    """
    for _ in range(ATTEMPTS):
        for duration in (min(WARM_UP, seconds), seconds):
            load = tools.load(wrk, base + workload.path, workload.connections, duration, workload.body)
        if not load.errors:
            break
        print("%s: %d requests failed at %s" % (workload.name, load.errors, base + workload.path), file=sys.stderr)
    else:
        raise servers.Error("%s: requests failed %d times at %s" % (workload.name, ATTEMPTS, base + workload.path))
    for unit, value in ((RATE, load.rate), (P50, load.p50), (P99, load.p99)):
        samples[workload.name, unit].append(value)


def measure_bare(seconds: int, python: pathlib.Path, samples: Samples) -> None:
    """Run the bare socket loop of the Python worker for the workloads that it can do."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = pathlib.Path(folder)
        servers.write_archives(store)
        done: Dict[Tuple[str, int, int], float] = {}
        for workload in WORKLOADS:
            if not workload.bare_batch:
                continue
            model = workload.path.rpartition("/")[2]
            case = (servers.MODELS[model], workload.bare_batch, workload.body)
            if case not in done:
                unpacked = servers.unpacked(store, model)
                done[case] = tools.bare_loop(WORKER, python, unpacked, seconds, workload.bare_batch, workload.body)
            samples[workload.name, RATE].append(done[case])


def measure_workers(workers: Dict[str, pathlib.Path], seconds: int, python: pathlib.Path, results: Results) -> None:
    """Run the Python workers alone, in turns, with batches and bodies of several sizes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = pathlib.Path(folder)
        servers.write_archives(store)
        model = servers.unpacked(store, "noop")
        for batch, body in BARE_LOOPS:
            figure = "worker alone, batch %d, bodies of %s" % (batch, size(body)), RATE
            for name, worker in workers.items():
                results[name][figure].append(tools.bare_loop(worker, python, model, seconds, batch, body))


def size(count: int) -> str:
    """Return a number of bytes for people."""
    unit = max(0, (count.bit_length() - 1) // 10)
    return "%d %s" % (count >> 10 * unit, ("B", "KiB", "MiB")[unit])


def better(figure: Figure, ours: float, theirs: float) -> float:
    """Return how many times better ours is: rates shall be high, times and memory low."""
    return ours / theirs if figure[1] == RATE else theirs / ours


def table(results: Results) -> str:
    """Return the medians of all as a Markdown table."""
    names = [name for name in (OURS, THEIRS, BARE) if results.get(name)]
    figures = list(dict.fromkeys(figure for name in names for figure in results[name]))
    compared = OURS in names and THEIRS in names
    heads = ["figure", "unit", *names, *(["better by"] if compared else [])]
    lines = ["| %s |" % " | ".join(heads), "|---|---|%s" % ("---:|" * (len(heads) - 2))]
    for figure in figures:
        medians = {name: statistics.median(results[name][figure]) for name in names if results[name].get(figure)}
        cells = [*figure, *(number(medians[name]) if name in medians else "" for name in names)]
        if compared:
            both = OURS in medians and THEIRS in medians
            cells.append("%s ×" % number(better(figure, medians[OURS], medians[THEIRS])) if both else "")
        lines.append("| %s |" % " | ".join(cells))
    return "\n".join(lines)


def number(value: float) -> str:
    """Return three digits that say something."""
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else "%.3g" % value


def circumstances(options: argparse.Namespace, python: pathlib.Path) -> str:
    """Say where and how it was measured."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = int(_lines("/proc/meminfo")[0].split()[1]) / (1 << 20)
    facts = [
        ("date", time.strftime("%Y-%m-%d")),
        ("commit", _said("git", "-C", str(ROOT), "describe", "--always", "--dirty")),
        ("machine", "%s, %d cores, %.0f GiB, Linux %s" % (cpu, os.cpu_count() or 0, memory, platform.release())),
        ("Go", _said("go", "env", "GOVERSION")),
        ("Java", _said("java", "-version").splitlines()[0]),
        ("Python of both servers", _said(str(python), "--version")),
        ("rounds", "%d of %d s per workload, after %d s" % (options.rounds, options.seconds, WARM_UP)),
    ]
    return "\n".join("- %s: %s" % fact for fact in facts)


def _lines(path: str) -> List[str]:
    return pathlib.Path(path).read_text().splitlines()


def _said(*command: str) -> str:
    try:
        return (
            subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.strip() or "?"
        )
    except OSError:
        return "?"


PAGE = """\
# Benchmarks

`make bench` writes this page: torchserve-go beside TorchServe 0.12 as published (its own Java frontend and Python
worker), in one run on one machine that the client (wrk, one thread) shares with the server. Same archives, one worker
per model, the default configuration and logs of each, token authorization off. The servers run one at a time, in
turns; each figure is the median of the rounds. The bare socket is the same Python worker of torchserve-go, fed by a
loop over a socket that does nothing else: what no server around it can exceed. In the rows "worker alone" that loop
feeds the Python worker of each, with the no-op handler.

{circumstances}

{table}
"""


def main(argv: Sequence[str]) -> int:
    """Measure and report; argv is the command line without the program's name."""
    parser = argparse.ArgumentParser(description="Measures torchserve-go beside TorchServe 0.12.")
    parser.add_argument("--original", type=pathlib.Path, required=True, help="environment with TorchServe 0.12")
    parser.add_argument("--server", type=pathlib.Path, default=ROOT / "build" / "torchserve")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s per workload; writes no page")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="per workload and round")
    parser.add_argument("--only", choices=[OURS, THEIRS, BARE], help="measure this alone; writes no page")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds, options.seconds = 1, 2

    try:
        wrk = tools.wrk()
        upstream = beside.torchserve(options.original)
        contenders = [Server(OURS, options.server.resolve(), 18080), Server(THEIRS, upstream, 18180)]
        python = upstream.parent / "python"
        workers = {OURS: WORKER, THEIRS: tools.original_worker(options.original)}
        results: Results = {name: collections.defaultdict(list) for name in (OURS, THEIRS, BARE)}
        for turn in range(options.rounds):
            for server in contenders:
                if options.only in (None, server.name):
                    print("round %d of %d: %s" % (turn + 1, options.rounds, server.name), file=sys.stderr)
                    measure(server, options.seconds, wrk, python, results[server.name])
            if options.only in (None, BARE):
                measure_bare(options.seconds, python, results[BARE])
                measure_workers(workers, max(1, options.seconds // 2), python, results)
            contenders.reverse()
    except (servers.Error, beside.Missing) as error:
        print("bench: %s" % error, file=sys.stderr)
        return 1

    page = PAGE.format(circumstances=circumstances(options, python), table=table(results))
    print(page)
    if not options.quick and not options.only:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The collector of the host's figures that is run as a command."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import types
from typing import List

import frontend
import pytest
from conftest import Written
from ts.metrics import process_memory_metric, system_metrics

HOST_FIGURES = [
    "CPUUtilization.Percent",
    "DiskAvailable.Gigabytes",
    "DiskUsage.Gigabytes",
    "DiskUtilization.Percent",
    "MemoryAvailable.Megabytes",
    "MemoryUsed.Megabytes",
    "MemoryUtilization.Percent",
]
SCRIPT = frontend.HOME / "ts" / "metrics" / "metric_collector.py"


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "system_metrics", [])


def collected(*arguments: str, path: str = "") -> List[str]:
    environment = {**os.environ, "PATH": path + os.pathsep + os.environ["PATH"]}
    command = [sys.executable, "-B", str(SCRIPT), *arguments]
    pids = "%d,0\n" % os.getpid()
    output = subprocess.run(command, input=pids, stdout=subprocess.PIPE, env=environment, check=True, text=True).stdout
    return output.splitlines()


def test_MET_037_the_command_without_gpu() -> None:
    found = collected("--gpu", "0")
    empty_line = found.index("")
    pattern = r"([A-Za-z.]+):(\d+(?:\.\d+)?)\|#Level:Host\|#hostname:[^,|]+,\d{10}"
    matches = [re.fullmatch(pattern, line) for line in found[:empty_line]]
    assert [match.group(1) for match in matches if match] == HOST_FIGURES
    own, nobody = found[empty_line + 1 :]
    pid, _, size = own.partition(":")
    assert pid == str(os.getpid())
    assert int(size) > 1 << 20
    assert nobody == "0:0"


def test_gpus_come_first(tmp_path: pathlib.Path) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho '11, 5225, 42'\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    found = collected("--gpu", "2", path=str(tmp_path))
    figures = [line.partition("|#hostname")[0] for line in found[:6]]
    assert figures == [
        "%s|#Level:Host,device_id:%d" % (figure, at)
        for at in (0, 1)
        for figure in ("GPUMemoryUtilization.Percent:11", "GPUMemoryUsed.Megabytes:5225", "GPUUtilization.Percent:42")
    ]
    assert [line.partition(":")[0] for line in found[6:13]] == HOST_FIGURES


def test_a_source_that_fails_takes_nothing_with_it(
    written: Written, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # without nvidia-smi
    system_metrics.collect_all(system_metrics, 1)
    assert [line.partition(":")[0] for line in written()] == [*HOST_FIGURES, ""]


def test_figures_of_a_module_of_ones_own(written: Written) -> None:
    module = types.ModuleType("module")
    code = """
from ts.metrics import system_metrics
from ts.metrics.metric import Metric

def mine():
    system_metrics.system_metrics.append(Metric("Mine", 1, "count", system_metrics.dimension))

def collect_nothing():
    raise ValueError

def _private():
    raise ValueError
"""
    exec(code, module.__dict__)
    system_metrics.collect_all(module, 0)
    (mine, rest) = written()
    assert mine.startswith("Mine.Count:1|#Level:Host|#hostname:")
    assert rest == ""


def test_figures_of_the_disk() -> None:
    system_metrics.disk_used()
    system_metrics.disk_available()
    used, free = (metric.value for metric in system_metrics.system_metrics)
    disk = shutil.disk_usage("/")
    assert used == pytest.approx(disk.used / (1 << 30), rel=0.1)
    assert free == pytest.approx(disk.free / (1 << 30), rel=0.1)


def test_no_processes(written: Written) -> None:
    process_memory_metric.check_process_mem_usage([])
    process_memory_metric.check_process_mem_usage(["\n"])
    assert written() == []

"""Figures of the host, for collectors that are run as a command; the server itself collects without Python.

Each function without arguments appends its metrics to the list system_metrics. What a host does not tell is left out.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time
import types
from typing import Any, Dict, List, Tuple

from ts.lines import OUTPUT
from ts.metrics.dimension import Dimension
from ts.metrics.metric import Metric

logger = logging.getLogger(__name__)

system_metrics: List[Metric] = []
dimension = [Dimension("Level", "Host")]

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
_CPU_SECONDS = 0.1
_GPU_QUERY = ["--query-gpu=utilization.memory,memory.used,utilization.gpu", "--format=csv,noheader,nounits"]


def cpu_utilization() -> None:
    """Measure for a moment how busy the processors are."""
    busy, total = _cpu_times()
    time.sleep(_CPU_SECONDS)
    busy_later, total_later = _cpu_times()
    share = (busy_later - busy) / max(total_later - total, 1)
    _add("CPUUtilization", round(share * 100, 1), "percent")


def memory_used() -> None:
    """Read how much memory is in use."""
    memory = _memory()
    cached = memory["Cached"] + memory.get("SReclaimable", 0)
    _add("MemoryUsed", (memory["MemTotal"] - memory["MemFree"] - memory["Buffers"] - cached) / _MIB, "MB")


def memory_available() -> None:
    """Read how much memory programs may still have."""
    _add("MemoryAvailable", _memory()["MemAvailable"] / _MIB, "MB")


def memory_utilization() -> None:
    """Read which share of the memory is not available."""
    memory = _memory()
    used = memory["MemTotal"] - memory["MemAvailable"]
    _add("MemoryUtilization", round(used / memory["MemTotal"] * 100, 1), "percent")


def disk_used() -> None:
    """Read how much of the root file system is in use."""
    _add("DiskUsage", shutil.disk_usage("/").used / _GIB, "GB")


def disk_utilization() -> None:
    """Read which share of the root file system is in use."""
    disk = shutil.disk_usage("/")
    _add("DiskUtilization", round(disk.used / (disk.used + disk.free) * 100, 1), "percent")


def disk_available() -> None:
    """Read how much of the root file system users may still have."""
    _add("DiskAvailable", shutil.disk_usage("/").free / _GIB, "GB")


def collect_gpu_metrics(num_of_gpus: int) -> None:
    """Ask NVIDIA's driver about the first GPUs of those that are visible."""
    visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    for index in range(num_of_gpus):
        name = visible[index] if index < len(visible) else str(index)
        command = ["nvidia-smi", "-i", name, *_GPU_QUERY]
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout.decode()
        figures = [int(figure) for figure in answer.split(",")]
        where = [*dimension, Dimension("device_id", index)]
        for name, value, unit in zip(
            ("GPUMemoryUtilization", "GPUMemoryUsed", "GPUUtilization"), figures, ("percent", "MB", "percent")
        ):
            system_metrics.append(Metric(name, value, unit, where))


def collect_all(mod: types.ModuleType, num_of_gpus: int) -> None:
    """Call the functions of a module that collect, and write what is in system_metrics then, and an empty line.

    Args:
        mod: this module, or one like it
        num_of_gpus: 0 for none
    """
    calls = [(collect_gpu_metrics, (num_of_gpus,))] if num_of_gpus > 0 else []
    collectors: List[Tuple[Any, Tuple[Any, ...]]] = [*calls, *((each, ()) for each in _collectors(mod))]
    for collector, arguments in collectors:
        try:
            collector(*arguments)
        except Exception as error:  # noqa: BLE001 - one that fails must not take the others with it
            logger.warning("%s: %s", collector.__name__, error)
    for metric in system_metrics:
        OUTPUT.write(str(metric))
    OUTPUT.write("")


def _collectors(mod: types.ModuleType) -> List[Any]:
    """Return the functions of a module that are its own and public, without those that are called collect…."""
    named = sorted(vars(mod).items())
    return [
        member
        for name, member in named
        if isinstance(member, types.FunctionType)
        and member.__module__ == mod.__name__
        and not name.startswith(("_", "collect_"))
    ]


def _add(name: str, value: float, unit: str) -> None:
    system_metrics.append(Metric(name, value, unit, dimension))


def _cpu_times() -> Tuple[int, int]:
    """Return what all processors have spent busy, and altogether."""
    with open("/proc/stat", encoding="ascii") as file:
        times = [int(each) for each in file.readline().split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)


def _memory() -> Dict[str, int]:
    """Return the figures of /proc/meminfo in bytes."""
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = [line.split() for line in file]
    return {name.rstrip(":"): int(value) * _KIB for name, value, *_ in fields}

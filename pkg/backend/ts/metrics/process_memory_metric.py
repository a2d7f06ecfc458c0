"""The memory of processes, for collectors that are run as a command."""

from __future__ import annotations

import logging
import os
from typing import Iterable

from ts.lines import OUTPUT

logger = logging.getLogger(__name__)


def get_cpu_usage(pid: str) -> int:
    """Return the resident memory of a process in bytes; 0 if there is no such process."""
    try:
        with open("/proc/%d/statm" % int(pid), encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        logger.warning("no process has the id %s", pid)
        return 0


def check_process_mem_usage(stdin: Iterable[str]) -> None:
    """Write <pid>:<bytes> for each of the process ids on the first line, which has commas between them."""
    for pid in next(iter(stdin), "").strip().split(","):
        if pid:
            OUTPUT.write("%s:%d" % (pid, get_cpu_usage(pid)))

"""Writes the figures of the host, an empty line, and the memory of the processes whose ids are on standard input.

usage: metric_collector.py [--gpu NUMBER]
"""

# ruff: noqa: E402 - the path comes first

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.realpath(__file__))
if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != _HERE]
    sys.path.append(os.path.dirname(os.path.dirname(_HERE)))

import argparse
from typing import List, Optional

from ts.metrics import system_metrics
from ts.metrics.process_memory_metric import check_process_mem_usage


def main(argv: Optional[List[str]] = None) -> int:
    """Collect once and return the exit status."""
    parser = argparse.ArgumentParser(description="Model Server system metrics")
    parser.add_argument("--gpu", type=int, default=0, help="how many GPUs there are")
    system_metrics.collect_all(system_metrics, parser.parse_args(argv).gpu)
    check_process_mem_usage(sys.stdin)
    return 0


if __name__ == "__main__":
    sys.exit(main())

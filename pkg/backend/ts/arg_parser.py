"""Command line arguments."""

from __future__ import annotations

import argparse
from typing import List, Optional


class ArgParser:
    """Makes argument parsers."""

    @staticmethod
    def model_service_worker_args() -> argparse.ArgumentParser:
        """Return the parser of the worker's arguments."""
        parser = argparse.ArgumentParser(prog="model-server-worker", description="Model Server Worker")
        parser.add_argument("--sock-type", required=True, choices=["unix", "tcp"], help="type of the socket")
        parser.add_argument("--sock-name", help="path of the unix socket; it ends with a dot and a number")
        parser.add_argument("--host", default="127.0.0.1", help="where to listen with tcp")
        parser.add_argument("--port", type=int, help="where to listen with tcp")
        parser.add_argument("--metrics-config", help="YAML file that defines the metrics")
        parser.add_argument("--async", dest="async_comm", action="store_true", help="work on batches concurrently")
        return parser

    @staticmethod
    def extract_args(args: Optional[List[str]] = None) -> argparse.Namespace:
        """Return the worker's arguments; a fault ends the process with the usage and status 2."""
        parser = ArgParser.model_service_worker_args()
        found = parser.parse_args(args)
        if found.sock_type == "unix" and not found.sock_name:
            parser.error("--sock-type unix needs --sock-name")
        if found.sock_type == "tcp" and found.port is None:
            parser.error("--sock-type tcp needs --port")
        return found

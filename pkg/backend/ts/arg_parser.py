"""Command line arguments."""

from __future__ import annotations

import argparse
from typing import List, Optional


class ArgParser:
    """Makes argument parsers."""

    @staticmethod
    def ts_parser() -> argparse.ArgumentParser:
        """Return the parser of the command torchserve, for scripts that take over its options.

        The names under which it stores two options are those of 0.12: token_auth is what --disable-token-auth sets,
        model_mode what --enable-model-api sets.
        """
        parser = argparse.ArgumentParser(prog="torchserve", description="Serve PyTorch and other Python models.")
        action = parser.add_mutually_exclusive_group()
        action.add_argument("-v", "--version", action="store_true", help="print the version and exit")
        action.add_argument("--start", action="store_true", help="start the server, the default")
        action.add_argument("--stop", action="store_true", help="stop the server")
        parser.add_argument("--ts-config", metavar="FILE", help="configuration, such as config.properties")
        parser.add_argument("--model-store", metavar="DIR", help="folder of the model archives")
        parser.add_argument("--workflow-store", metavar="DIR", help="folder of the workflow archives")
        models = "models to load, or all; a location is an archive or folder of the model store, or a URL"
        parser.add_argument("--models", nargs="+", metavar="[NAME=]LOCATION", help=models)
        parser.add_argument("--log-config", metavar="FILE", help="log4j2 configuration")
        parser.add_argument("--cpp-log-config", metavar="FILE", help="log configuration of C++ workers")
        parser.add_argument("--foreground", action="store_true", help="stay until the server ends")
        snapshots = "neither write nor restore configuration snapshots"
        parser.add_argument("--no-config-snapshots", "--ncs", action="store_true", help=snapshots)
        parser.add_argument("--plugins-path", "--ppath", metavar="PATH", help="folder, file or pattern of plugins")
        tokens = "serve without keys"
        parser.add_argument("--disable-token-auth", "--dt", dest="token_auth", action="store_true", help=tokens)
        registration = "let clients register and unregister models"
        parser.add_argument("--enable-model-api", dest="model_mode", action="store_true", help=registration)
        parser.add_argument("--python", metavar="PATH", help="Python interpreter of the workers")
        return parser

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

"""A place where a server lives that is started by a launcher: folders, ports, models, and the program itself."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import textwrap
import urllib.error
import urllib.request
import zipfile
from typing import Dict, Optional, Tuple

import frontend

PROGRAM = os.environ.get("TORCHSERVE_BIN") or str(frontend.ROOT / "build" / "torchserve")

ECHO = """
    def handle(data, context):
        return [row["body"] for row in data] if data else None
"""


class Site:
    """Folders below root, whose path must be short: sockets lie there."""

    def __init__(self, root: pathlib.Path) -> None:
        self.work, self.store, self.temp = root / "w", root / "s", root / "t"
        for folder in (self.work, self.store, self.temp):
            folder.mkdir()
        names = ["inference_address", "management_address", "metrics_address"]
        self.ports = dict(zip([*names, "grpc_inference_port", "grpc_management_port"], _free_ports(5)))
        self.config = self.work / "config.properties"
        addresses = ["%s=http://127.0.0.1:%d\n" % (name, self.ports[name]) for name in names]
        grpc = ["%s=%d\n" % (name, port) for name, port in self.ports.items() if name not in names]
        self.config.write_text("".join([*addresses, *grpc, "default_workers_per_model=1\n"]))

    def environment(self) -> Dict[str, str]:
        """Return the variables of the server and of what starts it, without any of TorchServe's of this process."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TS_", "TORCHSERVE"))}
        here = {"TMPDIR": str(self.temp), "TEMP": str(self.temp), "TORCHSERVE_BIN": PROGRAM}
        return {**inherited, **here, "PYTHONPATH": str(frontend.HOME), "PYTHONDONTWRITEBYTECODE": "1"}

    def url(self, listener: str, path: str = "") -> str:
        return "http://127.0.0.1:%d%s" % (self.ports[listener + "_address"], path)

    def get(self, listener: str, path: str, body: Optional[bytes] = None) -> Tuple[int, bytes]:
        """Return status and body; the method is POST if there is a body."""
        request = urllib.request.Request(self.url(listener, path), data=body)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=frontend.PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read()

    def runs(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.ports["inference_address"])) == 0

    def keys(self) -> Dict[str, str]:
        """Return the keys of the server by their kind."""
        written = json.loads((self.work / "key_file.json").read_text())
        return {kind: entry["key"] for kind, entry in written.items()}

    def add_folder(self, name: str, handler: str = ECHO) -> None:
        """Put a model into the store that is a directory."""
        folder = self.store / name
        (folder / "MAR-INF").mkdir(parents=True)
        (folder / "MAR-INF" / "MANIFEST.json").write_text(_manifest(name))
        (folder / "handler.py").write_text(textwrap.dedent(handler))

    def add_archive(self, name: str, handler: str = ECHO) -> None:
        """Put a model into the store that is an archive."""
        with zipfile.ZipFile(self.store / (name + ".mar"), "w") as archive:
            archive.writestr("MAR-INF/MANIFEST.json", _manifest(name))
            archive.writestr("handler.py", textwrap.dedent(handler))


def _manifest(name: str) -> str:
    return json.dumps(
        {"runtime": "python", "model": {"modelName": name, "modelVersion": "1.0", "handler": "handler.py"}}
    )


def _free_ports(count: int) -> Tuple[int, ...]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = tuple(each.getsockname()[1] for each in held)
    for each in held:
        each.close()
    return ports

"""Starts and stops the two servers that are compared, each with folders and ports of its own."""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import time
from typing import Dict, Iterator, List, NamedTuple, Tuple

import beside

START_LIMIT = 120.0  # seconds

APIS = ("inference", "management", "metrics")
PASSWORD = "changeit"

CONFIGURATION = """\
inference_address={scheme}://127.0.0.1:{inference}
management_address={scheme}://127.0.0.1:{management}
metrics_address=http://127.0.0.1:{metrics}
grpc_inference_port={grpc}
grpc_management_port={grpc_management}
metrics_mode=prometheus
enable_model_api=true
disable_token_authorization={open}
"""
KEYSTORE = """\
keystore={path}
keystore_pass={password}
keystore_type=PKCS12
"""

Address = Tuple[str, int]


class Error(Exception):
    """A server did not do its part; the text says which and what."""


class Server(NamedTuple):
    """A program to be compared."""

    name: str
    binary: pathlib.Path
    python: pathlib.Path  # its workers run on this one


class Setting(NamedTuple):
    """How both servers are configured for one round."""

    tokens: bool = False
    tls: bool = False  # of inference and management
    more: str = ""  # lines of config.properties


class Running(NamedTuple):
    """A server that answers."""

    name: str
    addresses: Dict[str, Address]  # one for each of APIS
    keys: Dict[str, str]  # of inference, management and token; empty without tokens
    key_file: pathlib.Path
    tls: bool


def write_keystore(path: pathlib.Path) -> None:
    """Write an RSA key and its certificate, both as TorchServe 0.12 can use them."""
    command = ["keytool", "-genkeypair", "-alias", "parity", "-keyalg", "RSA", "-keysize", "2048", "-validity", "2"]
    options = ["-dname", "CN=localhost", "-keystore", str(path), "-storetype", "PKCS12", "-storepass", PASSWORD]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def running(server: Server, store: pathlib.Path, folder: pathlib.Path, setting: Setting) -> Iterator[Running]:
    """Start a server without models in an empty folder, with a copy of the store; stop it at the end.

    Raises:
        Error: it ended or did not answer within START_LIMIT.
    """
    own = folder / "store"
    shutil.copytree(store, own)
    ports = _free_ports(5)
    started = Running(
        server.name,
        {api: ("127.0.0.1", port) for api, port in zip(APIS, ports)},
        {},
        folder / "key_file.json",
        setting.tls,
    )
    configuration = folder / "config.properties"
    configuration.write_text(_configuration(setting, ports, store))
    options = ["--start", "--foreground", "--ncs", "--ts-config", str(configuration), "--model-store", str(own)]
    process = subprocess.Popen(
        [str(server.binary), *options],
        cwd=folder,
        env={**beside.variables(folder, server.python), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=(folder / "out.log").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + START_LIMIT
        while not all(accepts(address) for address in started.addresses.values()):
            if process.poll() is not None or time.monotonic() > deadline:
                log = (folder / "out.log").read_text(errors="replace").splitlines()
                raise Error("\n".join(["%s is not ready; its last words:" % server.name, *log[-20:]]))
            time.sleep(0.05)
        yield started._replace(keys=keys(started.key_file) if setting.tokens else {})
    finally:
        beside.stop(process)


def _configuration(setting: Setting, ports: List[int], store: pathlib.Path) -> str:
    names = (*APIS, "grpc", "grpc_management")
    text = CONFIGURATION.format(
        scheme="https" if setting.tls else "http",
        open="false" if setting.tokens else "true",
        **dict(zip(names, map(str, ports))),
    )
    if setting.tls:
        text += KEYSTORE.format(path=store.with_name("keystore.p12"), password=PASSWORD)
    return text + setting.more


def _free_ports(count: int) -> List[int]:
    """Return ports that were free a moment ago: TorchServe 0.12 cannot be told to choose them itself."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def accepts(address: Address) -> bool:
    """Tell whether somebody listens."""
    try:
        with socket.create_connection(address, START_LIMIT):
            return True
    except OSError:
        return False


def keys(path: pathlib.Path) -> Dict[str, str]:
    """Read a key_file.json: the keys of inference and management, and that of renewals, which is called token."""
    names = {"inference": "inference", "management": "management", "API": "token"}
    content = json.loads(path.read_text())
    return {name: content[key]["key"] for key, name in names.items()}

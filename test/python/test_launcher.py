"""Starting the server from Python, with the real program, and the command torchserve of a Python environment."""

from __future__ import annotations

import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
from typing import Any, Dict, Iterator, List, Optional

import frontend
import pytest
from site_of_server import PROGRAM, Site


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Work in a folder of its own; a server that is left there is stopped."""
    from ts import launcher

    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        made = Site(pathlib.Path(os.path.realpath(folder)))
        for name in [name for name in os.environ if name.startswith(("TS_", "TORCHSERVE"))]:
            monkeypatch.delenv(name)
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(made.work)
        yield made
        launcher.stop()


def start(site: Site, **options: Any) -> queue.Queue[Optional[str]]:
    from ts import launcher

    fixed = {"model_store": str(site.store), "snapshot_file": str(site.config), "no_config_snapshots": True}
    return launcher.start(**{**fixed, **options})


def wait_for(lines: queue.Queue[Optional[str]], part: str) -> str:
    while True:
        line = lines.get(timeout=frontend.PATIENCE)
        assert line is not None, "the server ended without " + part
        if part in line:
            return line


def to_the_end(lines: queue.Queue[Optional[str]]) -> List[str]:
    return [str(line) for line in iter(lambda: lines.get(timeout=frontend.PATIENCE), None)]


def test_CLI_046_start_register_stop(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    from ts import launcher

    site.add_folder("hello")
    site.add_archive("echo")
    lines = start(site, models="hello", disable_token=True, enable_model_api=True)
    assert "Model server started." in capsys.readouterr().out.splitlines()[-1]
    assert site.get("inference", "/ping")[0] == 200
    management = site.url("management")
    answer = launcher.register_model("mine", "echo.mar", management=management)
    assert (answer.status_code, answer.ok) == (200, True)
    assert answer.json()["status"] == 'Model "mine" Version: 1.0 registered with 1 initial workers'
    assert json.loads(answer.text) == answer.json()
    assert "mine" in wait_for(lines, "mine")
    assert site.get("inference", "/predictions/mine", b"[1]") == (200, b"[\n  1\n]")
    refused = launcher.register_model_with_params([("url", "none.mar")], management=management + "/")
    assert (refused.status_code, refused.ok, refused.json()["code"]) == (404, False, 404)
    launcher.stop()
    assert not site.runs()
    rest = to_the_end(lines)
    assert all(line.endswith("\n") for line in rest)
    assert rest[-1].rstrip().endswith("Torchserve stopped.")
    shown = capsys.readouterr().out
    assert all(line.rstrip() in shown for line in rest)


def test_a_server_with_keys_shows_none_of_them(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    from ts import launcher

    site.add_archive("echo")
    lines = start(site, enable_model_api=True)
    keys = site.keys()
    management = site.url("management")
    assert launcher.register_model("m", "echo.mar", management=management).status_code == 400
    answer = launcher.register_model("m", "echo.mar", management=management, token=keys["management"])
    assert answer.status_code == 200
    launcher.stop()
    shown = "".join(to_the_end(lines)) + "".join(capfd.readouterr())
    assert "Model server started" in shown
    assert [kind for kind, key in keys.items() if key in shown] == []


def test_start_ends_a_server_that_runs(site: Site) -> None:
    from ts import launcher

    first = start(site, disable_token=True)
    second = start(site, disable_token=True)
    to_the_end(first)
    assert site.get("inference", "/ping")[0] == 200
    launcher.stop(wait=False)
    to_the_end(second)


def test_a_server_that_does_not_start(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert to_the_end(start(site, model_store="nowhere")) == []
    assert "--model-store directory not found: nowhere" in capsys.readouterr().out
    assert not site.runs()


def test_every_option_reaches_the_command(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from ts import launcher

    program = site.work / "torchserve"
    program.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("TORCHSERVE_BIN", str(program))
    shown: List[str] = []
    monkeypatch.setattr(launcher, "_show", lambda line: shown.append(line.rstrip()))
    lines = launcher.start("store", "file.cfg", True, "plugins", True, "a=b.mar", True)
    assert to_the_end(lines) == []
    python = ["--python", sys.executable]
    given = ["--start", "--model-store", "store", "--plugins-path", "plugins", "--ts-config", "file.cfg"]
    switches = ["--no-config-snapshots", "--disable-token-auth", "--models", "a=b.mar", "--enable-model-api"]
    assert shown == [*python, *given, *switches]
    to_the_end(launcher.start())
    assert shown[len([*python, *given, *switches]) :] == [*python, "--start"]


def test_lines_that_nobody_reads_are_dropped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from ts import launcher

    program = site.work / "torchserve"
    program.write_text('#!/bin/sh\n[ "$1" != --stop ] && seq 5 && echo "Model server started." && seq 20\n')
    program.chmod(0o755)
    monkeypatch.setenv("TORCHSERVE_BIN", str(program))
    monkeypatch.setattr(launcher, "MAX_LINES", 3)
    shown: List[str] = []
    monkeypatch.setattr(launcher, "_show", shown.append)
    lines = launcher.start()
    for thread in [each for each in threading.enumerate() if each.name == "server output"]:
        thread.join(frontend.PATIENCE)
    assert to_the_end(lines) == ["1\n", "2\n", "3\n"]
    assert shown[-1] == "20\n"


def test_requests_is_used_where_it_is_installed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from ts import launcher

    (site.work / "requests.py").write_text("def post(url, **options):\n    return url, options\n")
    monkeypatch.syspath_prepend(str(site.work))
    monkeypatch.setitem(sys.modules, "requests", None)
    monkeypatch.delitem(sys.modules, "requests")
    params = {"model_name": "m", "url": "m.mar", "initial_workers": "1", "synchronous": "true"}
    assert launcher.register_model("m", "m.mar") == ("http://localhost:8081/models", {"params": params, "headers": {}})


def command(site: Site, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run what the console script torchserve runs."""
    words = [sys.executable, "-c", "from ts import model_server; model_server.start()", *arguments]
    environment = {**site.environment(), **changes}
    return subprocess.run(words, env=environment, cwd=site.work, capture_output=True, text=True, timeout=60)


def test_the_command_becomes_the_program(site: Site) -> None:
    done = command(site, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "TorchServe Version is 0.12.0\n", "")
    done = command(site, "--start", "--stop")
    assert done.returncode == 2
    assert "torchserve: error: " in done.stderr
    done = command(site, "--stop")
    assert (done.returncode, done.stdout) == (0, "TorchServe is not currently running.\n")


def test_the_command_is_replaced_by_the_program(site: Site) -> None:
    program = site.work / "named"
    program.write_text('#!/bin/sh\necho "$$" "$@"\n')
    program.chmod(0o755)
    words = [sys.executable, "-m", "ts.model_server", "--models", "a b", "c"]
    environment = {**site.environment(), "TORCHSERVE_BIN": str(program)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        shown = process.communicate(timeout=60)[0].split()
    # It gets the signals, and workers run on this interpreter unless an argument says otherwise.
    assert shown == [str(process.pid), "--python", sys.executable, "--models", "a", "b", "c"]


@pytest.mark.parametrize(
    "changes", [{"TORCHSERVE_BIN": "/nowhere/torchserve"}, {"TORCHSERVE_BIN": "", "PATH": "/nowhere"}]
)
def test_without_the_program_the_command_says_what_to_do(site: Site, changes: Dict[str, str]) -> None:
    done = command(site, "--start", **changes)
    assert done.returncode == 1
    assert done.stderr.startswith("torchserve: error: the program torchserve is not found: ")
    assert "export TORCHSERVE_BIN=/path/to/torchserve" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_program_is_looked_for_on_path(site: Site) -> None:
    own, other = site.work / "own", site.work / "other"
    for folder in (own, other):
        folder.mkdir()
    script = own / "torchserve"
    script.write_text("#!%s\nfrom ts.model_server import start\nstart()\n" % sys.executable)
    script.chmod(0o755)
    (other / "torchserve").symlink_to(PROGRAM)
    changes = {"TORCHSERVE_BIN": "", "PATH": os.pathsep.join([str(own), str(other)])}
    done = subprocess.run(
        [str(script), "--version"], env={**site.environment(), **changes}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "TorchServe Version is 0.12.0\n")


def test_the_program_is_looked_for_beside_python(site: Site) -> None:
    (site.work / "python").symlink_to(sys.executable)
    (site.work / "torchserve").symlink_to(PROGRAM)
    words = [str(site.work / "python"), "-m", "ts.model_server", "--version"]
    environment = {**site.environment(), "TORCHSERVE_BIN": "", "PATH": "/nowhere"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "TorchServe Version is 0.12.0\n")

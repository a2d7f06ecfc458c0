"""Fixtures: archives, and worker processes that do not outlive their test."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import textwrap
from typing import Any, Callable, Dict, Iterator, List

import frontend
import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(frontend.HOME))

Files = Dict[str, str]
MakeModel = Callable[..., pathlib.Path]
StartWorker = Callable[..., frontend.Worker]
Written = Callable[[], List[str]]


def write_model(folder: pathlib.Path, handler: str, files: Files, manifest: Any) -> pathlib.Path:
    folder.mkdir(parents=True)
    (folder / "handler.py").write_text(textwrap.dedent(handler))
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(content))
    if manifest is not None:
        (folder / "MAR-INF").mkdir()
        (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def make_model(tmp_path: pathlib.Path) -> MakeModel:
    """Write an unpacked archive whose handler.py has the given source; more files by name."""

    def make(handler: str = "", files: Files = {}, manifest: Any = None) -> pathlib.Path:  # noqa: B006
        return write_model(tmp_path / "model", handler, files, manifest)

    return make


@pytest.fixture
def start() -> Iterator[StartWorker]:
    """Start worker processes. Their sockets have short names, as a unix socket needs."""
    workers: List[frontend.Worker] = []
    with tempfile.TemporaryDirectory(prefix="ts-") as sockets:

        def start_worker(model: pathlib.Path, **options: Any) -> frontend.Worker:
            workers.append(frontend.Worker(model, pathlib.Path(sockets), **options))
            return workers[-1]

        yield start_worker
        for worker in workers:
            worker.kill()


@pytest.fixture
def serve(make_model: MakeModel, start: StartWorker) -> StartWorker:
    """Start a worker with a handler's source and load it."""

    def serve_source(handler: str, name: str = "handler.py", files: Files = {}, **options: Any) -> frontend.Worker:  # noqa: B006
        load = options.pop("load", {})
        worker = start(make_model(handler, files, options.pop("manifest", None)), **options)
        response = worker.load(name, **load)
        assert (response.code, response.message) == (200, "loaded model m"), worker.output()
        return worker

    return serve_source


@pytest.fixture
def written(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Return the lines that were written since the last call."""
    from ts import lines

    with open(tmp_path / "output", "wb+", buffering=0) as file:
        monkeypatch.setattr(lines.OUTPUT, "_descriptor", file.fileno())

        def since_last_call() -> List[str]:
            file.seek(0)
            found = file.read().decode().splitlines()
            file.seek(0)
            file.truncate()
            return found

        yield since_last_call

"""What the tests of the built-in handlers share: archives with real models, and the workers that serve them."""

from __future__ import annotations

import contextlib
import json
import pathlib
import tempfile
import textwrap
from typing import Any, Dict, Iterator

import conftest
import frontend
import pytest
import torch

torch.set_num_threads(1)  # as the workers have

# An explanation needs captum. What a worker imports before anything else may hide it as if it were not installed.
WITHOUT_CAPTUM = """
    import importlib.machinery
    import sys

    class Without(importlib.machinery.PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name.partition(".")[0] == "captum" else super().find_spec(name, path, target)

    sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Without
"""


def network(source: str, seed: int = 1) -> Any:
    """Return what a model file defines, with random weights: the test computes with it what is right."""
    torch.manual_seed(seed)
    names: Dict[str, Any] = {"__name__": "model"}
    exec(textwrap.dedent(source), names)
    (made,) = (each for each in names.values() if isinstance(each, type) and each.__module__ == "model")
    return made().eval()


class Archive:
    """An unpacked archive of a built-in handler."""

    def __init__(self, folder: pathlib.Path, files: Dict[str, str], handler: str = "", **named: str) -> None:
        named = {"modelName": "m", **named}
        self.folder = conftest.write_model(folder / "model", handler, files, {"model": named})

    def with_weights(self, model: torch.nn.Module) -> Archive:
        torch.save(model.state_dict(), self.folder / "model.pt")
        return self

    def with_script(self, model: torch.nn.Module, *inputs: Any) -> Archive:
        torch.jit.trace(model, inputs).save(str(self.folder / "model.pt"))
        return self

    @contextlib.contextmanager
    def served(self, handler: str, **load: Any) -> Iterator[frontend.Worker]:
        """Serve it: a module's tests share a worker, as torch takes seconds to load."""
        with tempfile.TemporaryDirectory(prefix="ts-") as sockets:
            worker = frontend.Worker(self.folder, pathlib.Path(sockets), environment={"OMP_NUM_THREADS": "1"})
            try:
                response = worker.load(handler, **load)
                assert (response.code, response.message) == (200, "loaded model m"), worker.output()
                yield worker
            finally:
                worker.kill()


def eager(folder: pathlib.Path, source: str, files: Dict[str, str] = {}, handler: str = "", **named: str) -> Archive:  # noqa: B006
    """Return an archive with a model file; its weights are to be added."""
    files = {"model.py": source, **files}
    return Archive(folder, files, handler, modelFile="model.py", serializedFile="model.pt", **named)


def answer(worker: frontend.Worker, request: frontend.Request) -> Any:
    """Return the answer to a batch of one."""
    return json.loads(worker.answer(request).body)


def close(value: Any) -> Any:
    """Return what equals value but for the rounding of another process."""
    return pytest.approx(value, rel=1e-4, abs=1e-6)


def refused(worker: frontend.Worker, *requests: frontend.Request) -> None:
    """Assert that a batch fails as one that the handler cannot process, and that the worker lives."""
    response = worker.infer(*requests)
    assert (response.code, response.message) == (503, "Prediction failed"), response
    assert worker.process.poll() is None

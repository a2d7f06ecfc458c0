"""Tests of scripts/gotest, which decides what a person sees of a test run."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import json
import pathlib
import sys
from typing import Any

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "gotest"


def load() -> Any:
    loader = importlib.machinery.SourceFileLoader("gotest", str(SCRIPT))
    spec = importlib.util.spec_from_loader("gotest", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no cache file beside the script
    loader.exec_module(module)
    sys.dont_write_bytecode = written
    return module


gotest = load()


def event(action: str, test: str = "", **more: object) -> str:
    return json.dumps({"Action": action, "Package": "p", "Test": test, **more}) + "\n"


def shown(*lines: str) -> Any:
    report = gotest.Report(io.StringIO())
    gotest.follow(lines, io.StringIO(), report)
    return report


def test_a_passing_package_is_one_line() -> None:
    report = shown(event("run", "T"), event("output", "T", Output="chatter\n"), event("pass", "T"), event("pass"))
    assert report.out.getvalue().split() == ["ok", "p", "0.00s"]
    assert report.summary() == "1 passed, 0 failed, 0 skipped"


def test_a_failure_is_shown_in_full_and_its_neighbour_is_not() -> None:
    report = shown(
        *(event("run", "T"), event("output", "T", Output="good\n"), event("pass", "T")),
        *(event("run", "U"), event("output", "U", Output="bad\n"), event("fail", "U"), event("fail")),
    )
    assert report.out.getvalue().splitlines()[0] == "bad"
    assert "good" not in report.out.getvalue()
    assert report.summary() == "1 passed, 1 failed, 0 skipped"


def test_a_skipped_test_says_why() -> None:
    report = shown(event("run", "T"), event("output", "T", Output="    a_test.go:3: no GPU\n"), event("skip", "T"))
    assert report.out.getvalue() == "SKIP  T: a_test.go:3: no GPU\n"


def test_a_test_that_a_panic_cut_off_has_failed() -> None:
    report = shown(event("run", "T"), event("output", "T", Output="panic: ouch\n"), event("fail"))
    assert report.out.getvalue().startswith("panic: ouch\nFAIL")
    assert report.summary() == "0 passed, 1 failed, 0 skipped"


def test_what_does_not_compile_is_shown() -> None:
    report = shown(json.dumps({"Action": "build-output", "ImportPath": "p", "Output": "undefined: x\n"}) + "\n")
    assert report.out.getvalue() == "undefined: x\n"


@pytest.mark.parametrize("status", [0, 3])
def test_the_exit_status_is_the_commands(tmp_path: pathlib.Path, status: int) -> None:
    events = tmp_path / "build" / "unit.jsonl"
    program = "import sys; print(%r, end=''); sys.exit(%d)" % (event("run", "T"), status)
    assert gotest.main([str(events), sys.executable, "-c", program]) == status
    assert events.read_text() == event("run", "T")

"""The entry point of the image: which command each of its argument lists runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import List

import pytest

ENTRYPOINT = Path(__file__).parents[2] / "scripts" / "docker-entrypoint"
CONFIG = ["--ts-config", "/home/model-server/config.properties"]

# Shows how it was called: its process id, its name, and its arguments, one a line.
FAKE = '#!/bin/sh\nprintf "%s\\n" "$$" "${0##*/}" "$@"\n'


def run(folder: Path, words: List[str]) -> List[str]:
    """Return what the fake programs, torchserve and bash, show when the image is given these words."""
    for name in ("torchserve", "bash"):
        program = folder / name
        program.write_text(FAKE)
        program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [str(ENTRYPOINT), *words], env={"PATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        shown = process.communicate(timeout=10)[0].splitlines()
    assert process.returncode == 0, shown
    assert shown[0] == str(process.pid), "the program takes the place of the script, so that it gets the signals"
    return shown[1:]


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ([], ["--start", *CONFIG]),
        (["serve"], ["--start", *CONFIG]),
        (["serve", "--models", "all"], ["--start", *CONFIG, "--models", "all"]),
        (["--start", "--model-store", "/m"], ["--start", "--model-store", "/m"]),
        (["torchserve", "--version"], ["--version"]),
        (["torchserve", "--start", "--models", "a b=c d.mar"], ["--start", "--models", "a b=c d.mar"]),
        # A predictor of KServe.
        (
            [
                "torchserve",
                "--start",
                "--model-store=/mnt/models/model-store",
                "--ts-config=/mnt/models/config/config.properties",
            ],
            ["--start", "--model-store=/mnt/models/model-store", "--ts-config=/mnt/models/config/config.properties"],
        ),
    ],
)
def test_serves_in_the_foreground(tmp_path: Path, words: List[str], arguments: List[str]) -> None:
    assert run(tmp_path, words) == ["torchserve", *arguments, "--foreground"]


def test_runs_any_other_command(tmp_path: Path) -> None:
    assert run(tmp_path, ["bash", "-c", "torchserve --start && sleep 1"]) == [
        "bash",
        "-c",
        "torchserve --start && sleep 1",
    ]

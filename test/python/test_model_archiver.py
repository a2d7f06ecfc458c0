"""Making archives from Python, with the real program."""

from __future__ import annotations

import argparse
import logging
import os
import pathlib
import subprocess
import sys
import zipfile
from typing import Any, Dict

import frontend
import pytest
from site_of_server import PROGRAM

ARCHIVER = str(pathlib.Path(PROGRAM).with_name("torch-model-archiver"))


@pytest.fixture(autouse=True)
def work(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Work in a folder that has the files of a model."""
    for name in ("h.py", "w.pt", "model.py", "r.txt", "c.yaml", "x/sub/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHSERVE_BIN", PROGRAM)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return tmp_path


def make(**changes: Any) -> None:
    from model_archiver import ModelArchiver, ModelArchiverConfig

    config: Dict[str, Any] = {"model_name": "m", "handler": "h.py", "version": "1.0", "export_path": "out"}
    ModelArchiver.generate_model_archive(ModelArchiverConfig(**{**config, **changes}))


def names(path: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_MAR_150_the_archive_of_the_command(work: pathlib.Path) -> None:
    (work / "by-command").mkdir()
    options = {
        "serialized_file": "w.pt",
        "model_file": "model.py",
        "extra_files": "x,*.nope",
        "runtime": "python3",
        "archive_format": "zip-store",
        "requirements_file": "r.txt",
        "config_file": "c.yaml",
    }
    make(**options)
    words = ["--%s=%s" % (name.replace("_", "-"), value) for name, value in options.items()]
    fixed = ["--model-name=m", "--handler=h.py", "-v1.0", "--export-path=by-command"]
    subprocess.run([ARCHIVER, *fixed, *words], check=True, timeout=60)
    made = (work / "out" / "m.mar").read_bytes()
    assert made == (work / "by-command" / "m.mar").read_bytes()
    assert names("out/m.mar")[-1] == "MAR-INF/MANIFEST.json"


def test_MAR_150_over_one_that_is_there(caplog: pytest.LogCaptureFixture) -> None:
    make()
    with caplog.at_level(logging.WARNING):
        make(force=True, extra_files="x", keep_tree=True)
    assert [(r.name, r.getMessage()) for r in caplog.records] == [("model_archiver", "Overwriting out/m.mar ...")]
    assert names("out/m.mar") == ["h.py", "x/sub/y", "MAR-INF/MANIFEST.json"]


def test_MAR_150_by_default_the_archive_is_made_where_the_package_was_imported(work: pathlib.Path) -> None:
    code = (
        "import os, model_archiver; os.mkdir('elsewhere'); os.chdir('elsewhere');"
        "model_archiver.ModelArchiver.generate_model_archive("
        "model_archiver.ModelArchiverConfig('d', 'base_handler', 2))"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, timeout=60)
    assert names(str(work / "d.mar")) == ["MAR-INF/MANIFEST.json"]


def test_MAR_150_what_is_refused() -> None:
    from model_archiver.model_archiver_error import ModelArchiverError

    make()
    exists = "out/m.mar already exists.\nPlease specify --force/-f option to overwrite the model archive output file."
    for changes, text in (
        ({"model_name": "a b"}, "Model name contains special characters.\nThe allowed regular expression filter"),
        ({"export_path": "h.py"}, "Given export-path h.py is not a directory. Point to a valid export-path directory."),
        ({}, exists + "\nSee -h/--help for more details."),
        ({"runtime": "perl"}, "argument --runtime: invalid choice: 'perl' (choose from 'python', 'python3', 'LSP')"),
        ({"force": True, "serialized_file": "x"}, "Not a file: x"),
    ):
        with pytest.raises(ModelArchiverError) as refusal:
            make(**changes)
        assert str(refusal.value).startswith(text)


def test_MAR_150_files_that_are_not_there() -> None:
    for changes in ({"handler": "-é nowhere"}, {"extra_files": "-é nowhere.py"}):
        with pytest.raises(FileNotFoundError) as missing:
            make(**changes)
        assert missing.value.filename == "-é nowhere.py"
    with pytest.raises(ValueError, match="Invalid extra file given /dev/null"):
        make(extra_files="/dev/null")
    assert os.listdir("out") == []


def test_MAR_150_a_parsed_command_line() -> None:
    from model_archiver import ModelArchiverConfig

    arguments = argparse.Namespace(model_name="m", handler="h.py", version="1", force=True, export_path="out", more=1)
    config = ModelArchiverConfig.from_args(arguments)
    assert config == ModelArchiverConfig("m", "h.py", "1", force=True, export_path="out")


def environment(**changes: str) -> Dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(frontend.HOME), "PYTHONDONTWRITEBYTECODE": "1", **changes}


def script(folder: pathlib.Path) -> pathlib.Path:
    """Write the console script that comes with 0.12's package."""
    path = folder / "torch-model-archiver"
    path.parent.mkdir(exist_ok=True)
    text = "#!%s\nfrom model_archiver.model_packaging import generate_model_archive\ngenerate_model_archive()\n"
    path.write_text(text % sys.executable)
    path.chmod(0o755)
    return path


def test_MAR_150_a_console_script(work: pathlib.Path) -> None:
    own = script(work / "bin")

    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [str(own), *words]
        env = environment(**changes)
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    fixed = ("--model-name", "m", "-v", "1.0", "--handler", "h.py", "--export-path", "out")
    # The script comes before the program, which is beside another torchserve.
    path = os.pathsep.join([str(own.parent), os.path.dirname(ARCHIVER), os.environ["PATH"]])
    done = run(*fixed, TORCHSERVE_BIN="", PATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("out/m.mar: 2 files, ")
    again = run(*fixed)
    assert again.returncode == 1
    assert again.stderr.startswith("ERROR - out/m.mar already exists.\n")
    assert "model_archiver.model_archiver_error.ModelArchiverError: out/m.mar already exists.\n" in again.stderr
    usage = run("--model-name", "m")
    assert (usage.returncode, usage.stdout) == (2, "")
    assert usage.stderr.endswith(": error: the following arguments are required: --handler, -v/--version\n")
    assert run("--help").stdout.startswith("Make a model archive")


def test_MAR_150_no_program(work: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHSERVE_BIN", "")
    monkeypatch.setenv("PATH", str(script(work / "bin").parent))
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(FileNotFoundError, match=r"torch-model-archiver is not found: .*export TORCHSERVE_BIN="):
        make()

"""What a load says about a module that is missing."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from typing import Optional

import pytest
from conftest import MakeModel, StartWorker
from ts import missing


@pytest.mark.parametrize(
    ("source", "package", "distribution"),
    [
        ("def handle(data, context):\n    import PIL.Image\n", "PIL", "Pillow"),
        (
            "from ts.torch_handler.base_handler import BaseHandler\n\nclass H(BaseHandler):\n    pass\n",
            "torch",
            "torch",
        ),
    ],
)
def test_PYB_013_a_missing_package_and_how_to_install_it(
    make_model: MakeModel, start: StartWorker, source: str, package: str, distribution: str
) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip("%s is installed here" % package)
    worker = start(make_model(source, manifest={"model": {}}))
    assert worker.load("handler.py").code == 500
    last = worker.wait_for("ModuleNotFoundError: No module named '%s" % package)
    advice = "%s is not installed: run `%s -m pip install %s`, or put it into the archive's requirements.txt and set "
    advice += "install_py_dep_per_model=true"
    assert last.endswith("; " + advice % (package, sys.executable, distribution))
    assert worker.exit_status() == 1


def test_nothing_is_installed_by_the_name_of_an_unknown_module(make_model: MakeModel, start: StartWorker) -> None:
    """It may be a file that was forgotten; anybody can register its name in a package index."""
    worker = start(make_model("import no_such_package.part\n", manifest={"model": {}}))
    assert worker.load("handler.py").code == 500
    last = worker.wait_for(
        "ModuleNotFoundError: No module named 'no_such_package'; no_such_package is neither installed "
    )
    assert "pip" not in last
    assert last.endswith(
        ": pack it with --extra-files if it is a file of yours, or put the package that it comes from into the "
        "archive's requirements.txt and set install_py_dep_per_model=true"
    )
    assert worker.exit_status() == 1


FILES = {"my_utils.py": "", "package/__init__.py": "missing_part = 1", "package/tokens.py": "", "loose/layers.py": ""}


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("import my_utlis", "'my_utlis'; did you mean my_utils, which the archive has?"),
        ("import My_Utils", "'My_Utils'; did you mean my_utils, which the archive has?"),
        ("import pakage.tokens", "'pakage'; did you mean package, which the archive has?"),
        ("import lose.layers", "'lose'; did you mean loose, which the archive has?"),
        ("import package.token", "'package.token'; did you mean package.tokens?"),
        ("import loose.layer", "'loose.layer'; did you mean loose.layers?"),
        ("from package import missing_part\nimport package.part", "'package.part'"),
    ],
)
def test_a_module_of_the_archive_that_is_misspelt(
    make_model: MakeModel, start: StartWorker, statement: str, told: str
) -> None:
    worker = start(make_model(statement + "\n", FILES))
    assert worker.load("handler.py").code == 500
    assert worker.wait_for("ModuleNotFoundError: ") == "ModuleNotFoundError: No module named " + told
    assert worker.exit_status() == 1


@pytest.mark.parametrize(
    ("handler", "meant"),
    [("handlr.py:handle", "handler"), ("image_clasifier", "image_classifier"), ("nothing_like_that", None)],
)
def test_a_handler_that_is_misspelt(
    make_model: MakeModel, start: StartWorker, handler: str, meant: Optional[str]
) -> None:
    worker = start(make_model("def handle(data, context):\n    return None\n"))
    assert worker.load(handler).code == 500
    name = handler.partition(".")[0]
    told = "%s is neither a module of the archive nor a built-in handler" % name
    told += "; did you mean %s?" % meant if meant else ""
    line = worker.wait_for("ModuleNotFoundError: No module named 'ts.")
    assert line == "ModuleNotFoundError: No module named 'ts.torch_handler.%s'; %s" % (name, told)


def test_a_misspelt_module_in_a_working_directory_that_is_gone(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    error = ModuleNotFoundError("No module named 'my_utlis'", name="my_utlis")
    missing.explain(error)
    assert error.msg.startswith("No module named 'my_utlis'; my_utlis is neither installed nor in the archive: ")

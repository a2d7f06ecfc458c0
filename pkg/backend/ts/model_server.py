"""The command torchserve of a Python environment: it becomes the program torchserve, which is no Python."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Iterator, List, NoReturn, Optional

PROGRAM = "TORCHSERVE_BIN"
"""The environment variable that names the program; unset or empty: it is looked for."""

_NAME = "torchserve"
_OWN = b"ts.model_server"
_HEAD = 4096
"""Bytes at the beginning of a file in which a console script names what it calls."""

_NOT_FOUND = """\
the program torchserve is not found: %s.
Build it (`make build` in its repository), then put its folder on PATH or name it: export %s=/path/to/torchserve"""


def start() -> NoReturn:
    """Run the program torchserve with the arguments of this process, in its place: it gets the signals.

    Workers run on this interpreter, as with 0.12, unless the arguments name another by --python.

    Raises:
        SystemExit: with a message; there is no such program, or it cannot be executed.
    """
    try:
        words = command(sys.argv[1:])
        os.execv(words[0], words)
    except OSError as error:
        sys.exit("torchserve: error: %s" % error)


def command(arguments: List[str]) -> List[str]:
    """Return the command line that runs the program torchserve with arguments.

    Raises:
        FileNotFoundError: there is no such program; the message says what to do.
    """
    # Of two options --python the last one counts.
    interpreter = ["--python", sys.executable] if sys.executable else []
    return [program(), *interpreter, *arguments]


def program() -> str:
    """Return the path of the program torchserve: that of TORCHSERVE_BIN, else the first on PATH or beside Python.

    A console script of this package, which has the same name, does not count.

    Raises:
        FileNotFoundError: there is none; the message says what to do.
    """
    named = os.environ.get(PROGRAM)
    if named:
        found = shutil.which(named)
        if found is None:
            raise FileNotFoundError(_NOT_FOUND % ("%s=%s is no program" % (PROGRAM, named), PROGRAM))
        return os.path.abspath(found)
    found = find(_NAME, _OWN)
    if found is None:
        raise FileNotFoundError(_NOT_FOUND % ("neither on PATH nor beside %s" % sys.executable, PROGRAM))
    return found


def find(name: str, own: bytes) -> Optional[str]:
    """Return the path of the first program of a name on PATH or beside Python; None: there is none.

    Args:
        name: of the program
        own: what console scripts of our own, which call the program, have at their beginning: they do not count
    """
    for folder in _folders():
        found = shutil.which(name, path=folder)
        if found is not None and not _begins_with(found, own):
            return os.path.abspath(found)
    return None


def _folders() -> Iterator[str]:
    yield from filter(None, os.environ.get("PATH", os.defpath).split(os.pathsep))
    if sys.executable:
        yield os.path.dirname(sys.executable)


def _begins_with(path: str, own: bytes) -> bool:
    """Tell whether a file is a console script of our own: executing it would never end."""
    with open(path, "rb") as file:
        return own in file.read(_HEAD)


if __name__ == "__main__":
    start()

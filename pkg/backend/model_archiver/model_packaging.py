"""Finds and runs the program torch-model-archiver."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from typing import List, Optional

from ts import model_server

from model_archiver.model_archiver_config import ModelArchiverConfig
from model_archiver.model_archiver_error import ModelArchiverError

NAME = "torch-model-archiver"

_log = logging.getLogger("model_archiver")
_ERROR, _WARNING = "ERROR - ", "WARNING - "
_MISSING, _INVALID = "No such file: ", "Invalid extra file given"
_USAGE = NAME + ": error: "
_USAGE_CODE = 2


def generate_model_archive(config: Optional[ModelArchiverConfig] = None) -> None:
    """Make an archive; it is complete, or as it was.

    Warnings of the archiver go to the logger model_archiver.

    Args:
        config: what goes into it; None: what the command line of this process says, for a console script

    Raises:
        ModelArchiverError: the archiver refused; the text says why
        FileNotFoundError: a file that config names is not there, or the program torch-model-archiver is not
        ValueError: an extra file is neither file nor directory
        SystemExit: the command line of this process makes no sense, or asked for help
    """
    if config is not None:
        _run(config.words(), subprocess.PIPE)
        return
    try:
        _run(sys.argv[1:], None)
    except _UsageError:
        sys.exit(_USAGE_CODE)


def program() -> str:
    """Return the path of the program: beside torchserve, else the first on PATH or beside Python.

    A console script of this package, which has the same name, does not count.

    Raises:
        FileNotFoundError: there is none; the message says what to do.
    """
    try:
        beside = os.path.join(os.path.dirname(os.path.realpath(model_server.program())), NAME)
        if os.access(beside, os.X_OK):
            return beside
    except FileNotFoundError:
        pass
    found = model_server.find(NAME, b"model_archiver")
    if found is None:
        advice = "put the folder that has it and torchserve on PATH, or name torchserve: export %s=/path/to/torchserve"
        raise FileNotFoundError("the program %s is not found: %s" % (NAME, advice % model_server.PROGRAM))
    return found


class _UsageError(ModelArchiverError):
    """A command line that makes no sense."""


def _run(words: List[str], stdout: Optional[int]) -> None:
    """Run the program, and raise what it says; with a stdout of None it speaks to the user of this process."""
    done = subprocess.run(
        [program(), *words],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    if stdout is None:
        sys.stderr.write(done.stderr)
    else:
        for line in done.stderr.splitlines():
            if line.startswith(_WARNING):
                _log.warning("%s", line[len(_WARNING) :])
    if done.returncode == _USAGE_CODE:
        raise _UsageError(done.stderr.rpartition(_USAGE)[2].strip())
    if done.returncode != 0:
        raise _error(done.stderr, done.returncode)


def _error(said: str, code: int) -> Exception:
    """Return the exception for what the program said when it failed."""
    _, marked, text = ("\n" + said).rpartition("\n" + _ERROR)
    text = text.strip() if marked else "%s ended with code %d: %s" % (NAME, code, said.strip())
    if text.startswith(_MISSING):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), text[len(_MISSING) :])
    if text.startswith(_INVALID):
        return ValueError(text)
    return ModelArchiverError(text)

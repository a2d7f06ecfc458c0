"""Makes the Python environment of a model with useVenv; the server runs this as a script.

What is installed where the server's Python is can be imported in it, but what the model installs comes first
(reference: model-archive.md, section 8.2).
"""

from __future__ import annotations

import argparse
import os
import site
import subprocess
import sys
import sysconfig
import venv
from typing import List, Optional

INHERITED = "inherited-site-packages.pth"


def create_venv(venv_path: str) -> None:
    """Make an environment with pip; what was there before is gone.

    Raises:
        OSError, subprocess.CalledProcessError: it cannot be made.
    """
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt", with_pip=True).create(venv_path)


def inherit_site_packages(venv_path: str) -> None:
    """Let an environment see the packages of the Python that runs this: the user's and those for all users.

    Raises:
        OSError: the file that does so cannot be written.
    """
    folders = [site.getusersitepackages(), *site.getsitepackages()]
    variables = {"base": venv_path, "platbase": venv_path}
    own = sysconfig.get_path("purelib", "nt" if os.name == "nt" else "posix_prefix", variables)
    with open(os.path.join(own, INHERITED), "w", encoding="utf-8") as file:
        file.writelines(folder + "\n" for folder in folders if os.path.isdir(folder))


def main(argv: Optional[List[str]] = None) -> int:
    """Make the environment that the arguments name and return the exit status.

    Args:
        argv: arguments, those of the process if None
    """
    parser = argparse.ArgumentParser(description="Make the Python environment of a model.")
    parser.add_argument("venv_path", help="its folder, which is emptied if it exists")
    path = parser.parse_args(argv).venv_path
    try:
        create_venv(path)
        inherit_site_packages(path)
    except (OSError, subprocess.CalledProcessError) as error:
        output = getattr(error, "output", None) or b""
        sys.stderr.write("%s\n%s" % (error, output.decode(errors="replace")))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

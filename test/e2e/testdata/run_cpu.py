"""As much of PyTorch's launcher for CPUs as a server sees of it: it starts a program in a session of its own."""

import os
import subprocess
import sys
from typing import List


def main(arguments: List[str]) -> int:
    if "--unknown" in arguments:
        sys.stderr.write("run_cpu.py: error: unrecognized arguments: --unknown\n")
        return 2
    if arguments[-2:] == ["--no_python", "hostname"]:
        return 1 if "NOT_FOR_WORKERS" in os.environ else 0
    script = next(at for at, word in enumerate(arguments) if word.endswith(".py"))
    status = subprocess.Popen([sys.executable, "-u", *arguments[script:]], start_new_session=True).wait()
    if status:
        raise RuntimeError("instance 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

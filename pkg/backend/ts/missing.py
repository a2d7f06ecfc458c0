"""Says what to install when a third-party package is missing (reference: python-backend.md, section 12)."""

from __future__ import annotations

import importlib.util
import sys

_DISTRIBUTIONS = {
    "PIL": "Pillow",
    "cv2": "opencv-python-headless",
    "nvidia": "nvidia-dali-cuda120",
    "pippy": "torchpippy==0.1.1",  # newer ones have no driver
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""What pip calls packages that are imported by another name."""


def sentence(module: str) -> str:
    """Return how to install the package that a module belongs to."""
    package = module.partition(".")[0]
    advice = "run `%s -m pip install %s`" % (sys.executable, _DISTRIBUTIONS.get(package, package))
    return "%s is not installed: %s, or put it into the archive's requirements.txt" % (package, advice)


def explain(error: BaseException) -> None:
    """Add to the text of an error what to install, if that is what it is about."""
    if not isinstance(error, ModuleNotFoundError) or not error.name or not isinstance(error.msg, str):
        return
    package = error.name.partition(".")[0]
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        error.msg = "%s; %s" % (error.msg, sentence(package))

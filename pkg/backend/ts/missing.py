"""Says what to do when a module is missing: what to install, or how its name is spelt (PYB section 12)."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from typing import Iterable, List

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

_NAMESAKES = [
    "accelerate",
    "captum",
    "deepspeed",
    "diffusers",
    "huggingface_hub",
    "numpy",
    "onnx",
    "onnxruntime",
    "openai",
    "optimum",
    "pandas",
    "peft",
    "pydantic",
    "requests",
    "safetensors",
    "scipy",
    "sentencepiece",
    "tensorrt_llm",
    "tokenizers",
    "torch",
    "torch_tensorrt",
    "torchao",
    "torchaudio",
    "torchdata",
    "torchtext",
    "torchvision",
    "transformers",
    "triton",
    "uvicorn",
    "fastapi",
    "vllm",
    "xgboost",
]
"""Packages that handlers use, which pip knows by the name of the import."""


_REQUIRED = "into the archive's requirements.txt and set install_py_dep_per_model=true"

_BUILT_IN = "ts.torch_handler"
"""Where handlers are looked for that the archive does not have."""

_SIMILAR = 0.75
"""From this likeness on, from 0 to 1, a name is taken for another one misspelt."""


def sentence(module: str) -> str:
    """Return how to install the package that a module belongs to.

    Only packages that are known are advised: whoever likes can register the name of a misspelt import, or of a file
    that was forgotten in an archive, in a package index.
    """
    package = module.partition(".")[0]
    distribution = _DISTRIBUTIONS.get(package, package if package in _NAMESAKES else None)
    if distribution is None:
        return (
            "%s is neither installed nor in the archive: pack it with --extra-files if it is a file of yours, or put "
            "the package that it comes from %s" % (package, _REQUIRED)
        )
    advice = "run `%s -m pip install %s`" % (sys.executable, distribution)
    return "%s is not installed: %s, or put it %s" % (package, advice, _REQUIRED)


def explain(error: BaseException) -> None:
    """Add to the text of an error what to do, if it is about a module that is missing.

    The archive is taken to be the working directory, as it is unless a handler leaves it.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name or not isinstance(error.msg, str):
        return
    advice = _advice(error.name)
    if advice:
        error.msg = "%s; %s" % (error.msg, advice)


def _advice(module: str) -> str:
    parent, _, name = module.rpartition(".")
    if not parent:
        if module in sys.modules or importlib.util.find_spec(module) is not None:
            return ""
        meant = "" if module in _DISTRIBUTIONS or module in _NAMESAKES else _similar(name, ["."])
        return "did you mean %s, which the archive has?" % meant if meant else sentence(module)
    folders = list(getattr(sys.modules.get(parent), "__path__", ()))
    if parent != _BUILT_IN:
        meant = _similar(name, folders)
        return "did you mean %s.%s?" % (parent, meant) if meant else ""
    meant = _similar(name, [".", *folders])
    unknown = "%s is neither a module of the archive nor a built-in handler" % name
    return "%s; did you mean %s?" % (unknown, meant) if meant else unknown


def _similar(name: str, folders: Iterable[str]) -> str:
    """Return the name of the module of these folders that is written most nearly like name; "" if none is."""
    import difflib

    names = {each.lower(): each for folder in folders for each in _modules(folder) if each != name}
    closest = difflib.get_close_matches(name.lower(), names, 1, _SIMILAR)
    return names[closest[0]] if closest else ""


def _modules(folder: str) -> List[str]:
    """Return the names of the modules and packages of a folder; of none if it cannot be read."""
    suffixes = tuple(importlib.machinery.all_suffixes())
    try:
        with os.scandir(folder) as entries:
            found = [
                entry.name.partition(".")[0] for entry in entries if entry.is_dir() or entry.name.endswith(suffixes)
            ]
    except OSError:
        return []
    return [name for name in found if name.isidentifier()]

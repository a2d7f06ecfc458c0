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
            "the package that it comes from into the archive's requirements.txt" % package
        )
    advice = "run `%s -m pip install %s`" % (sys.executable, distribution)
    return "%s is not installed: %s, or put it into the archive's requirements.txt" % (package, advice)


def explain(error: BaseException) -> None:
    """Add to the text of an error what to install, if that is what it is about."""
    if not isinstance(error, ModuleNotFoundError) or not error.name or not isinstance(error.msg, str):
        return
    package = error.name.partition(".")[0]
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        error.msg = "%s; %s" % (error.msg, sentence(package))

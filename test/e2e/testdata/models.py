"""Writes archives of small models with random weights: models.py FOLDER NAME..., each of the names of MAKERS.

It runs in the environment of TorchServe 0.12, which has torch.
"""

from __future__ import annotations

import io
import json
import pathlib
import sys
import types
import zipfile
from typing import Any, Callable, Dict, Mapping, Sequence

import torch

# What archives bring along as model.py: one class each.
LINEAR = """
import torch
class Linear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
    def forward(self, x):
        return self.layer(x)
"""
PICTURES = """
import torch
class Pictures(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 7, 5, stride=16)
    def forward(self, x):
        return self.layer(x).mean((2, 3)) * 4
"""
SEGMENTS = """
import torch
class Segments(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 4, 3, stride=28)
    def forward(self, x):
        return {"out": self.layer(x)}
"""
BOXES = """
import torch
class Boxes(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = torch.nn.Parameter(torch.tensor([0.9, 0.5, 0.25]))
    def forward(self, images):
        height, width = images[0].shape[-2:]
        box = torch.tensor([0.0, 0.5, float(width), float(height)])
        labels = torch.tensor([1, 2, 1])
        return [{"boxes": torch.stack([box, box + 1, box]), "labels": labels, "scores": self.scores} for _ in images]
"""
TEXT = """
import torch
class Text(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.EmbeddingBag(64, 8)
        self.layer = torch.nn.Linear(8, 3)
    def forward(self, text, offsets):
        return self.layer(self.embedding(text, offsets))
"""
# A handler whose requests are lists of numbers.
TENSORS = """
import torch
from ts.torch_handler.base_handler import BaseHandler
class Tensors(BaseHandler):
    def preprocess(self, data):
        return torch.tensor([row.get("data") or row.get("body") for row in data], dtype=torch.float32)
"""
NAMES = {str(i): ["n%02d" % i, "class %d" % i] for i in range(7)}
WORDS = ["a", "fine", "day", "is", "not", "bad"]

Files = Dict[str, Any]  # by name: text or bytes


def network(source: str) -> torch.nn.Module:
    """Return an instance of the class that a model.py defines, with weights that are the same each time."""
    module = types.ModuleType("model")
    exec(source, module.__dict__)
    torch.manual_seed(7)
    kinds = (kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == "model")
    return next(kinds)().eval()


def saved(value: Any) -> bytes:
    target = io.BytesIO()
    torch.save(value, target)
    return target.getvalue()


def eager(source: str) -> Files:
    return {"model.py": source, "weights.pt": saved(network(source).state_dict())}


def scripted(source: str) -> Files:
    target = io.BytesIO()
    torch.jit.save(torch.jit.trace(network(source), torch.ones(1, 3)), target)
    return {"weights.pt": target.getvalue()}


def vocabulary() -> Dict[str, int]:
    pairs = [first + " " + second for first in WORDS for second in WORDS]
    return {token: at for at, token in enumerate(WORDS + pairs)}


MAKERS: Dict[str, Callable[[], Files]] = {
    "eager": lambda: {**eager(LINEAR), "tensors.py": TENSORS},
    "script": lambda: {**scripted(LINEAR), "tensors.py": TENSORS},
    "classifier": lambda: {**eager(PICTURES), "index_to_name.json": json.dumps(NAMES)},
    "segmenter": lambda: eager(SEGMENTS),
    "detector": lambda: {**eager(BOXES), "index_to_name.json": json.dumps({"1": "cat", "2": "dog"})},
    "text": lambda: {
        **eager(TEXT),
        "index_to_name.json": json.dumps({"0": "good", "1": "bad", "2": "so so"}),
        "source_vocab.pt": saved(vocabulary()),
    },
}
HANDLERS = {
    "eager": "tensors.py",
    "script": "tensors.py",
    "classifier": "image_classifier",
    "segmenter": "image_segmenter",
    "detector": "object_detector",
    "text": "text_classifier",
}


def write(folder: pathlib.Path, name: str, files: Mapping[str, Any]) -> None:
    model = {"modelName": name, "modelVersion": "1.0", "handler": HANDLERS[name], "serializedFile": "weights.pt"}
    if "model.py" in files:
        model["modelFile"] = "model.py"
    manifest = {"createdOn": "24/11/2025 00:00:00", "runtime": "python", "archiverVersion": "0.12.0", "model": model}
    with zipfile.ZipFile(folder / (name + ".mar"), "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        for path, content in files.items():
            archive.writestr(path, content)


def main(argv: Sequence[str]) -> int:
    torch.set_num_threads(1)
    folder, *names = argv
    for name in names:
        write(pathlib.Path(folder), name, MAKERS[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

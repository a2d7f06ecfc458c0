"""Handlers with DALI: torch, numpy and Pillow are real, DALI, which cannot be had here, is a module of the model."""

from __future__ import annotations

import base64
import io
import json
from typing import Any, Iterator, List

import frontend
import numpy as np
import pytest
import torch
from PIL import Image
from serving import Archive, close, eager, network

# The images come out 2 × 2, with values from 0 to 1.
DALI = """
    import io
    import numpy
    from PIL import Image

    class Pipeline:
        def __init__(self, batch_size, **options):
            self.batch_size = batch_size

        @classmethod
        def deserialize(cls, filename, **options):
            return cls(**options)

        def run(self, source):
            assert len(source) <= self.batch_size
            assert all(each.dtype == numpy.uint8 for each in source)
            images = [Image.open(io.BytesIO(each.tobytes())).resize((2, 2)) for each in source]
            return (List([numpy.asarray(image).transpose(2, 0, 1) / 255 for image in images]),)

    class List:
        def __init__(self, images):
            self.images = images

        def as_tensor(self):
            return Tensor(numpy.stack(self.images))

    class Tensor:
        def __init__(self, array):
            self.array = array

        def shape(self):
            return list(self.array.shape)
"""
FEED = """
    import torch

    def feed_ndarray(tensor, array):
        array.copy_(torch.from_numpy(tensor.array))
"""
NETWORK = """
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.classes = torch.nn.Linear(12, 3)

        def forward(self, images):
            return self.classes(images.flatten(1))
"""
FILES = {
    "nvidia/dali/__init__.py": "",
    "nvidia/dali/pipeline.py": DALI,
    "nvidia/dali/plugin/__init__.py": "",
    "nvidia/dali/plugin/pytorch.py": FEED,
    "images.dali": "",
    "config.yaml": "dali: {batch_size: 4, num_threads: 1, device_id: 0, seed: 1, pipeline_file: images.dali}",
    "index_to_name.json": '{"0": "cat", "1": "dog", "2": "cow"}',
}


def picture(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (red, 50, 100)).save(file, "PNG")
    return file.getvalue()


def classes(red: int) -> Any:
    image = torch.from_numpy(np.asarray(Image.open(io.BytesIO(picture(red)))).transpose(2, 0, 1) / 255)
    with torch.inference_mode():
        shares: List[float] = network(NETWORK)(image[None].float()).softmax(1)[0].tolist()
    return close(dict(zip(("cat", "dog", "cow"), shares)))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    made = eager(tmp_path_factory.mktemp("dali"), NETWORK, FILES, configFile="config.yaml")
    return made.with_weights(network(NETWORK))


@pytest.fixture(scope="module")
def classifier(archive: Archive) -> Iterator[frontend.Worker]:
    with archive.served("dali_image_classifier") as worker:
        yield worker


def test_images_are_classified(classifier: frontend.Worker) -> None:
    text = base64.b64encode(picture(200))
    response = classifier.infer(
        frontend.body(picture(10), "image/png"), frontend.Request("r2", [], [("data", "text/plain", text)])
    )
    assert response.code == 200, classifier.output()
    answers = [json.loads(item.body) for item in response.items]
    assert answers == [classes(10), classes(200)]
    assert [list(each.values()) for each in answers] == [sorted(each.values(), reverse=True) for each in answers]


def test_what_is_no_image(classifier: frontend.Worker) -> None:
    assert classifier.infer(frontend.body([1, 2])).message == "Prediction failed"
    classifier.wait_for("DALI takes the bytes of an image, or base64 of them, not list")
    assert classifier.infer(frontend.body(b"no image", "image/png")).message == "Prediction failed"
    assert json.loads(classifier.answer(frontend.body(picture(10), "image/png")).body) == classes(10)

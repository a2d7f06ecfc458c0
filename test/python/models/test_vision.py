"""The handlers of images with networks of torchvision and real images, through real workers."""

from __future__ import annotations

import base64
import io
import json
import pathlib
import struct
import zlib
from typing import Any, Callable, Dict, Iterator, List

import frontend
import pytest
import torch
from captum.attr import IntegratedGradients
from PIL import Image
from serving import WITHOUT_CAPTUM, Archive, answer, close, eager, network, refused
from torchvision import transforms
from ts.torch_handler.image_classifier import ImageClassifier
from ts.torch_handler.image_segmenter import ImageSegmenter
from ts.torch_handler.object_detector import ObjectDetector
from ts.torch_handler.unit_tests.test_utils.mock_context import MockContext

CLASSIFIER = """
    from torchvision.models.resnet import BasicBlock, ResNet

    class Classifier(ResNet):
        def __init__(self):
            super().__init__(BasicBlock, [1, 1, 1, 1], num_classes=10)
"""
NAMES = {str(number): "name %d" % number for number in range(10)}
IMAGENET = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


def picture(seed: int = 1, kind: str = "PNG", mode: str = "RGB", size: int = 60) -> bytes:
    """Return a file with a picture of coarse noise."""
    torch.manual_seed(seed)
    file = io.BytesIO()
    noise = transforms.ToPILImage()(torch.rand(3, 6, 5)).convert(mode)
    noise.resize((5 * size, 6 * size)).save(file, kind)
    return file.getvalue()


def tensor(file: bytes) -> torch.Tensor:
    made: torch.Tensor = IMAGENET(Image.open(io.BytesIO(file)))
    return made


def likely(model: Any, images: torch.Tensor, count: int = 5) -> List[Dict[str, float]]:
    """Return the classes of images in the order in which the handler should name them."""
    with torch.inference_mode():
        rows = model(images).softmax(dim=1).tolist()
    ordered = [sorted(enumerate(row), key=lambda pair: -pair[1])[:count] for row in rows]
    return [{str(number): share for number, share in row} for row in ordered]


def named(classes: Dict[str, float]) -> Dict[str, float]:
    return {NAMES[number]: share for number, share in classes.items()}


def same(classes: Dict[str, float], expected: Dict[str, float]) -> bool:
    """Tell whether an answer has the expected classes in their order with their probabilities."""
    return list(classes) == list(expected) and classes == close(expected)


@pytest.fixture(scope="module")
def resnet() -> Any:
    made = network(CLASSIFIER)
    made.fc.weight.data *= 5  # so that images differ in their classes
    return made


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory, resnet: Any) -> Iterator[frontend.Worker]:
    archive = eager(tmp_path_factory.mktemp("classifier"), CLASSIFIER, {"index_to_name.json": json.dumps(NAMES)})
    with archive.with_weights(resnet).served("image_classifier", batch_size=4) as worker:
        yield worker


def test_MAR_120_PYB_071_the_five_likeliest_classes(classifier: frontend.Worker, resnet: Any) -> None:
    classes = answer(classifier, frontend.body(picture(), "image/png"))
    (expected,) = likely(resnet, tensor(picture()).unsqueeze(0))
    assert same(classes, named(expected))
    assert len(classes) == 5
    assert list(classes.values()) == sorted(classes.values(), reverse=True)


def test_PYB_071_a_batch(classifier: frontend.Worker, resnet: Any) -> None:
    files = [picture(seed) for seed in (1, 2, 3)]
    response = classifier.infer(*(frontend.body(file, "image/png", at) for at, file in enumerate(files)))
    answers = [json.loads(item.body) for item in response.items]
    expected = likely(resnet, torch.stack([tensor(file) for file in files]))
    assert not same(*expected[:2])
    assert all(same(each, named(classes)) for each, classes in zip(answers, expected))


def form(name: str, kind: str) -> Callable[[bytes], frontend.Request]:
    return lambda value: frontend.Request("r1", (), [(name, kind, value)])


FORMS = {
    "raw bytes": (form("body", "image/png"), picture()),
    "raw bytes of a JPEG": (form("body", "image/jpeg"), picture(kind="JPEG")),
    "multipart": (form("data", "image/png"), picture()),
    "multipart without a type": (form("data", ""), picture()),
    "base64 as text": (lambda file: form("body", "text/plain")(base64.b64encode(file)), picture()),
    "base64 as JSON": (lambda file: frontend.body(base64.b64encode(file).decode()), picture()),
    "nested list": (lambda file: frontend.body(tensor(file).tolist()), picture()),
}


@pytest.mark.parametrize("name", FORMS)
def test_PYB_072_forms_of_an_image(classifier: frontend.Worker, resnet: Any, name: str) -> None:
    request, file = FORMS[name]
    (expected,) = likely(resnet, tensor(file).unsqueeze(0))
    assert same(answer(classifier, request(file)), named(expected))


BROKEN = {
    "no image": b"no image at all",
    "nothing": b"",
    "half an image": picture()[:2000],
    "without colours": picture(mode="L"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_fails_alone(classifier: frontend.Worker, resnet: Any, name: str) -> None:
    refused(classifier, frontend.body(BROKEN[name], "image/png"))
    classifier.wait_for("Invoking custom service failed.")
    (expected,) = likely(resnet, tensor(picture()).unsqueeze(0))
    assert same(answer(classifier, frontend.body(picture(), "image/png")), named(expected))


def explain(image: torch.Tensor, target: Any = None) -> frontend.Request:
    parameters = [("body", "application/json", json.dumps(image.tolist()).encode())]
    if target is not None:
        parameters.append(("target", "", target))
    return frontend.Request("r1", [("explain", "True")], parameters)


@pytest.mark.parametrize(("target", "number"), [(None, 0), (b"3", 3)])
def test_an_explanation(classifier: frontend.Worker, resnet: Any, target: Any, number: int) -> None:
    torch.manual_seed(4)
    image = torch.rand(3, 32, 32)
    expected = IntegratedGradients(resnet).attribute(image.unsqueeze(0), target=number, n_steps=15)
    made = torch.tensor(answer(classifier, explain(image, target)))
    assert made.shape == image.shape
    assert torch.allclose(made, expected[0].float(), rtol=1e-3, atol=1e-6)
    classifier.wait_for("input shape torch.Size([1, 3, 32, 32])")


SMALL = """
    import torch

    class Small(torch.nn.Sequential):
        def __init__(self):
            super().__init__(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 3))
"""


def test_PYB_071_PYB_078_TorchScript_without_names_and_without_captum(tmp_path: pathlib.Path) -> None:
    model = network(SMALL)
    archive = Archive(tmp_path, {"sitecustomize.py": WITHOUT_CAPTUM}, serializedFile="model.pt")
    image = frontend.body(picture(), "image/png")
    with archive.with_script(model, torch.rand(1, 3, 8, 8)).served("image_classifier") as worker:
        # Three classes are all it has: 0.12 fails where there are fewer than five.
        (expected,) = likely(model, tensor(picture()).unsqueeze(0))
        assert same(answer(worker, image), expected)
        assert len(expected) == 3
        refused(worker, explain(torch.rand(3, 8, 8)))
        worker.wait_for("captum is not installed: run `")
        assert same(answer(worker, image), expected)


OWN = """
    import torch
    from ts.torch_handler.image_classifier import ImageClassifier

    def size(image):
        return torch.tensor(image.size)

    class Handler(ImageClassifier):
        image_processing = staticmethod(size)

        def inference(self, data):
            return data

        def postprocess(self, data):
            return data.tolist()
"""


def huge() -> bytes:
    """Return the beginning of an image with more pixels than Pillow opens."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 14000, 15000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_PYB_073_PYB_079_the_limit_is_lifted(tmp_path: pathlib.Path, classifier: frontend.Worker) -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert 2 * Image.MAX_IMAGE_PIXELS < 14000 * 15000
    refused(classifier, frontend.body(huge(), "image/png"))
    classifier.wait_for("DecompressionBombError")
    archive = eager(
        tmp_path, SMALL, {"model-config.yaml": "handler: {profile: true}"}, OWN, configFile="model-config.yaml"
    )
    with archive.with_weights(network(SMALL)).served("handler.py", limit=False) as worker:
        assert answer(worker, frontend.body(huge(), "image/png")) == [14000, 15000]
        assert worker.disconnect() == 0
        assert worker.metrics()[0].startswith("[METRICS]ts_handler_preprocess.")


def test_PYB_079_the_processing_of_torchvision() -> None:
    image = Image.open(io.BytesIO(picture(size=90)))
    for handler in (ImageClassifier, ImageSegmenter):
        steps = handler.image_processing
        assert isinstance(steps, transforms.Compose)
        assert handler().image_processing is steps
        assert torch.equal(steps(image), IMAGENET(image))
    assert torch.equal(ObjectDetector.image_processing(image), transforms.ToTensor()(image))


def test_PYB_102_a_handler_with_the_mock_of_a_context(
    tmp_path: pathlib.Path, resnet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    Archive(tmp_path, {}).with_script(resnet, torch.rand(1, 3, 64, 64))
    handler = ImageClassifier()
    handler.initialize(MockContext(model_dir=str(tmp_path / "model"), model_file=None))
    assert handler.initialized
    prepared = handler.preprocess([{"data": picture()}])
    (classes,) = handler.postprocess(handler.inference(prepared))
    (expected,) = likely(resnet, tensor(picture()).unsqueeze(0))
    assert same(classes, expected)


# Objects.

FOUND = """
    import torch

    class Found(torch.nn.Module):
        def forward(self, images):
            boxes = torch.tensor([[1.0, 2.0, 3.5, 4.0], [5.0, 6.0, 7.0, 8.0], [0.0, 0.0, 9.0, 9.0]])
            first = {"boxes": boxes, "labels": torch.tensor([2, 1, 1]), "scores": torch.tensor([0.5, 0.49, 0.75])}
            second = {"boxes": boxes, "labels": torch.tensor([1, 1, 1]), "scores": torch.zeros(3)}
            return [first, second][: len(images)]
"""
DETECTOR = """
    import torch
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    class Detector(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.detector = fasterrcnn_mobilenet_v3_large_320_fpn(
                weights=None, weights_backbone=None, num_classes=2, box_score_thresh=0.0, box_nms_thresh=0.1
            )

        def forward(self, images):
            return self.detector(images)
"""


def test_MAR_120_PYB_074_objects(tmp_path: pathlib.Path) -> None:
    archive = eager(tmp_path, FOUND, {"index_to_name.json": '{"1": "cat", "2": "dog"}'})
    with archive.with_weights(network(FOUND)).served("object_detector", batch_size=2) as worker:
        response = worker.infer(*(frontend.body(picture(), "image/png", at) for at in (1, 2)))
        first, second = (json.loads(item.body) for item in response.items)
        assert [list(each.items()) for each in first] == [
            [("dog", [1.0, 2.0, 3.5, 4.0]), ("score", 0.5)],
            [("cat", [0.0, 0.0, 9.0, 9.0]), ("score", 0.75)],
        ]
        assert second == []


def objects(model: Any, file: bytes) -> Dict[str, torch.Tensor]:
    image = transforms.ToTensor()(Image.open(io.BytesIO(file)))
    with torch.inference_mode():
        (found,) = model(image.unsqueeze(0))
    return {name: value.clone() for name, value in found.items()}


@pytest.fixture
def detector() -> Any:
    """Make a detector, untrained as it is, that is sure of one half of what it finds."""
    model = network(DETECTOR)
    for layer in model.detector.backbone.body.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data *= 2
    score = model.detector.roi_heads.box_predictor.cls_score
    score.weight.data *= 100
    score.bias.data[1] -= objects(model, picture())["scores"].logit().median()
    return model


def test_PYB_074_a_detector_of_torchvision(tmp_path: pathlib.Path, detector: Any) -> None:
    found = objects(detector, picture())
    kept = [at for at, score in enumerate(found["scores"].tolist()) if score >= 0.5]
    assert 1 < len(kept) < len(found["scores"])
    with eager(tmp_path, DETECTOR).with_weights(detector).served("object_detector") as worker:
        things = answer(worker, frontend.body(picture(), "image/png"))
    assert [list(each) for each in things] == [["1", "score"]] * len(kept)
    assert torch.allclose(torch.tensor([each["1"] for each in things]), found["boxes"][kept], atol=1e-2)
    assert [each["score"] for each in things] == close(found["scores"][kept].tolist())


# Segments.

SEGMENTER = """
    import torch
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    class Segmenter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.segmenter = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)

        def forward(self, images):
            return self.segmenter(images)
"""


def test_MAR_120_PYB_075_segments(tmp_path: pathlib.Path) -> None:
    model, image = network(SEGMENTER), tensor(picture()).unsqueeze(0)
    with torch.no_grad():
        # So that no class has all pixels.
        model.segmenter.classifier.low_classifier.bias -= model(image)["out"].mean(dim=(0, 2, 3))
        shares = model(image)["out"][0].softmax(dim=0)
    with eager(tmp_path, SEGMENTER).with_weights(model).served("image_segmenter") as worker:
        pixels = torch.tensor(answer(worker, frontend.body(picture(), "image/png")))
    assert pixels.shape == (224, 224, 2)
    assert torch.allclose(pixels[..., 1], shares.max(dim=0).values, atol=1e-5)
    # The class of each pixel is one of the likeliest: several may be as likely.
    classes = pixels[..., 0].long()
    assert len(classes.unique()) > 1
    assert torch.allclose(shares.gather(0, classes.unsqueeze(0))[0], pixels[..., 1], atol=1e-5)

"""The handlers for images, texts and tensors as far as they go without torch: imports, cleaning of texts, the mock."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import types
from typing import Any, Callable, Dict, List
from unittest import mock

import frontend
import pytest
from ts import lazy
from ts.metrics.metrics_store import MetricsStore
from ts.torch_handler import image_classifier, object_detector, text_handler, vision_handler
from ts.torch_handler.contractions import CONTRACTION_MAP
from ts.torch_handler.image_classifier import ImageClassifier
from ts.torch_handler.image_segmenter import ImageSegmenter
from ts.torch_handler.object_detector import ObjectDetector
from ts.torch_handler.text_classifier import TextClassifier
from ts.torch_handler.unit_tests.test_utils.mock_context import MockContext
from ts.utils.util import list_classes_from_module

# The one class of each module, which is what the worker takes for the handler.
HANDLERS = {
    "vision_handler": "VisionHandler",
    "image_classifier": "ImageClassifier",
    "image_segmenter": "ImageSegmenter",
    "object_detector": "ObjectDetector",
    "text_handler": "TextHandler",
    "text_classifier": "TextClassifier",
    "densenet_handler": "DenseNetHandler",
}
THIRD_PARTIES = ["torch", "torchvision", "PIL", "captum", "numpy", "yaml"]


def test_PYB_002_the_handlers_are_imported_without_third_parties() -> None:
    modules = ["ts.torch_handler." + name for name in HANDLERS]
    modules += ["ts.torch_handler.contractions", "ts.torch_handler.unit_tests.test_utils.mock_context"]
    script = [
        "import sys",
        "sys.modules.update(dict.fromkeys(%r))" % THIRD_PARTIES,  # an import of them fails
        "import " + ", ".join(modules),
        "ts.torch_handler.unit_tests.test_utils.mock_context.MockContext()",
        "[getattr(ts.torch_handler, module) for module in %r]" % list(HANDLERS),
    ]
    environment = {**os.environ, "PYTHONPATH": str(frontend.HOME), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", "\n".join(script)], check=True, env=environment)


@pytest.mark.parametrize(("name", "handler"), HANDLERS.items())
def test_PYB_002_each_module_defines_its_handler_alone(name: str, handler: str) -> None:
    module = importlib.import_module("ts.torch_handler." + name)
    assert [each.__name__ for each in list_classes_from_module(module)] == [handler]


def test_PYB_002_the_densenet_module_lists_classes_as_the_utilities_do() -> None:
    from ts.torch_handler import densenet_handler

    assert densenet_handler.list_classes_from_module is list_classes_from_module


# What is not there until someone asks for it.


StandIn = Callable[..., Any]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Put something with the given attributes in the place of a third party's module."""

    def put(module: str, **attributes: Any) -> Any:
        made = types.SimpleNamespace(**attributes)
        monkeypatch.setitem(sys.modules, module, made)
        return made

    return put


def test_names_of_a_module_are_found_where_they_come_from(stand_in: StandIn) -> None:
    box = stand_in("box", content=["content"])
    find = lazy.attributes("here", {"box": "box", "content": "box:content"})
    assert find("box") is box
    assert find("content") is box.content
    with pytest.raises(AttributeError, match=r"^module 'here' has no attribute 'nonsense'$"):
        find("nonsense")


def test_a_class_attribute_is_made_once_and_may_be_replaced() -> None:
    class Base:
        attribute: Any = lazy.ClassAttribute(lambda: ["made"])

    class Other(Base):
        attribute = "replaced"

    made = Base.attribute
    assert made == ["made"]
    assert made is Base().attribute
    assert Other.attribute == Other().attribute == "replaced"
    one = Base()
    one.attribute = ["own"]
    assert one.attribute == ["own"]
    assert Base.attribute is made


class Transforms:
    """Stands for torchvision.transforms and records what it is asked for."""

    def __init__(self) -> None:
        self.asked: List[Any] = []

    def __getattr__(self, name: str) -> Any:
        def step(*arguments: Any, **named: Any) -> Any:
            self.asked.append((name, *named.values()))
            return (name, *arguments)

        return step


@pytest.mark.parametrize("handler", [ImageClassifier, ImageSegmenter])
def test_PYB_079_the_processing_of_images(monkeypatch: pytest.MonkeyPatch, handler: Any) -> None:
    class Fresh(handler):  # a test before may have read that of the handler itself
        image_processing = lazy.ClassAttribute(vars(handler)["image_processing"]._make)

    transforms = Transforms()
    monkeypatch.setitem(sys.modules, "torchvision.transforms", transforms)
    steps = Fresh.image_processing
    assert Fresh().image_processing is steps
    assert steps == ("Compose", [("Resize", 256), ("CenterCrop", 224), ("ToTensor",), ("Normalize",)])
    assert ("Normalize", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) in transforms.asked


def test_what_is_patched_into_a_module_is_used(stand_in: StandIn) -> None:
    stand_in("torch", stack=lambda images: types.SimpleNamespace(to=lambda device: (images, device)))
    stand_in("PIL.Image")
    image = types.SimpleNamespace(open=lambda file: file.read().decode())
    handler: Any = ObjectDetector()
    handler.device = "cpu"
    handler.image_processing = lambda opened: "tensor of " + opened
    rows = [{"data": bytearray(b"one")}, {"body": b"two"}, {"body": "dGhyZWU="}]
    with mock.patch("ts.torch_handler.vision_handler.Image", image):
        assert handler.preprocess(rows) == (["tensor of one", "tensor of two", "tensor of three"], "cpu")
    assert "Image" not in vars(vision_handler)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (vision_handler, ["torch", "Image", "IntegratedGradients"]),
        (image_classifier, ["torch", "transforms"]),
        (object_detector, ["torch", "transforms"]),
        (text_handler, ["torch", "LayerIntegratedGradients"]),
    ],
)
def test_a_third_party_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, module: types.ModuleType, names: List[str]
) -> None:
    for name in THIRD_PARTIES:
        monkeypatch.setitem(sys.modules, name, None)
        for loaded in [each for each in sys.modules if each.startswith(name + ".")]:
            monkeypatch.setitem(sys.modules, loaded, None)
    for name in names:
        with pytest.raises(ModuleNotFoundError, match="|".join(THIRD_PARTIES)):
            getattr(module, name)
    with pytest.raises(AttributeError):
        getattr(module, "nonsense")  # noqa: B009 - that it raises is the point


def test_the_gradients_are_made_when_read_and_may_be_assigned(stand_in: StandIn) -> None:
    assert TextClassifier().lig is None  # as long as there is no model
    stand_in("captum.attr", IntegratedGradients=lambda model: ["gradients of " + model])
    handler: Any = ImageClassifier()
    handler.model = "model"
    made = handler.ig
    assert made == ["gradients of model"]
    assert handler.ig is made
    handler.ig = "assigned"
    assert handler.ig == "assigned"


def test_the_number_of_classes() -> None:
    handler = ImageClassifier()
    assert handler.get_max_result_classes() == 5
    handler.set_max_result_classes(2)
    assert (handler.get_max_result_classes(), ImageClassifier.topk) == (2, 5)


# Texts.

CONTRACTIONS = {
    "i'd": "i would",
    "there'd've": "there would have",
    "who'll": "who will",
    "what'll've": "what will have",
    "how'll": "how will",
    "I'm": "I am",
    "might've": "might have",
    "they're": "they are",
    "oughtn't": "ought not",
    "mustn't've": "must not have",
    "when's": "when is",
    "he'll've": "he he will have",
    "sha'n't": "shall not",
    "'cause": "because",
    "how'd'y": "how do you",
    "y'all'd've": "you all would have",
}


def test_PYB_077_the_contractions() -> None:
    assert len(CONTRACTION_MAP) == 123
    assert {short: CONTRACTION_MAP[short] for short in CONTRACTIONS} == CONTRACTIONS
    for absent in ("how'll've", "I's", "that've", "cann't", "don't've"):
        assert absent not in CONTRACTION_MAP
    # All of 0.12's, observed; what the digest is of is sorted.
    text = json.dumps(sorted(CONTRACTION_MAP.items()))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "cb73a7185b097fcedd23c4e95a37fa83635ed7b17e5572a847ce432f8505882a"
    )


EXPANDED = {
    "ain't": "as not",
    "I ain't": "I as not",
    "can't've": "cannotve",
    "He'LL've": "He willve",
    "I'D": "I would",
    "how'd'y": "how didy",
    "Ma'am, it's o'clock": "Madam, it is of the clock",
    "rock'n'roll": "rocknroll",
    "'cause": "ecause",
    "theyn't": "theynt",
    "couldn'tx": "could notx",
    "ſhe's": "ſhes",
}


@pytest.mark.parametrize(("text", "expanded"), EXPANDED.items())
def test_PYB_076_contractions_are_expanded(text: str, expanded: str) -> None:
    assert TextClassifier()._expand_contractions(text) == expanded


def test_PYB_076_the_pattern_of_contractions_finds_the_shorter_one_first() -> None:
    found = text_handler.CONTRACTIONS_PATTERN.findall("Y'ALL'D'VE you'll've")
    assert found == ["Y'ALL", "you'll"]


def test_PYB_076_a_text_is_cleaned() -> None:
    handler = TextClassifier()
    assert handler._remove_html_tags("a<br/>b&nbsp;c&#12;&#xab;<no end") == "abc<no end"
    assert handler._remove_accented_characters("naïve ’ ﬁ") == "naive  fi"
    assert handler._remove_punctuation("a.b'c-d_e!") == "abcde"
    assert handler._remove_puncutation("a.b'c-d_e!") == "abcde"
    assert handler._tokenize("Two words, three") == ["two", "words", ",", "three"]
    assert handler.get_word_token(["Ġbig", "aĠb", "c"]) == ["big", "ab", "c"]


class Tokens(Dict[str, str]):
    """A vocabulary that knows each token as itself."""

    def __missing__(self, token: str) -> str:
        return token


TEXTS: Dict[str, List[Any]] = {
    "PYB-076 all steps": [
        "I <b>AIN'T</b> sure, they'd've gone&amp;it's a café!",
        ["i", "as", "not", "sure", "they", "wouldve", "goneit", "is", "a", "cafe"],
    ],
    "bytes": [bytearray("é".encode()), ["e"]],
    "nothing of it is left": ["<p>…</p>", []],
}


@pytest.mark.parametrize("name", TEXTS)
def test_PYB_076_the_tokens_of_a_text(stand_in: StandIn, name: str) -> None:
    text, expected = TEXTS[name]
    stand_in("torch", as_tensor=lambda numbers, device: numbers)
    handler: Any = TextClassifier()
    handler.source_vocab = Tokens()
    numbers, tokens = handler.preprocess([{"body": text}])
    assert tokens == expected
    assert numbers == expected + [" ".join(pair) for pair in zip(expected, expected[1:])]


def test_the_path_of_the_vocabulary(tmp_path: pathlib.Path) -> None:
    made: Any = MockContext(model_dir=str(tmp_path))
    handler = TextClassifier()
    with pytest.raises(Exception, match=r"^Missing the source_vocab file\. Refer default handler documentation for "):
        handler.get_source_vocab_path(made)
    (tmp_path / "source_vocab.pt").touch()
    assert handler.get_source_vocab_path(made) == str(tmp_path / "source_vocab.pt")
    made.manifest["model"]["sourceVocab"] = "words.pt"
    with pytest.raises(Exception, match=r"^Missing the source_vocab file\. "):
        handler.get_source_vocab_path(made)
    (tmp_path / "words.pt").touch()
    assert handler.get_source_vocab_path(made) == str(tmp_path / "words.pt")


# The mock.


def test_PYB_102_the_mock_of_a_context() -> None:
    made = MockContext()
    assert made.manifest == {"model": {"serializedFile": "model.pt", "modelFile": "model.py"}}
    assert made.system_properties["model_dir"] == "ts/torch_handler/unit_tests/models/tmp"
    assert made.model_yaml_config == {}
    assert isinstance(made.metrics, MetricsStore)
    assert made.metrics.model_name == "mnist"
    made.metrics.add_time("HandlerTime", 1.5, None, "ms")
    assert made.get_request_header(1, "explain") is False
    made.explain = True
    assert made.get_request_header(1, "explain") is True
    assert made.get_request_header(0, "explain") is False


def test_PYB_102_a_mock_without_files_and_one_with_a_configuration(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.yaml").write_text('{"handler": {"profile": true}}')
    made = MockContext(None, "/x", None, model_name="n", model_yaml_config_file=str(tmp_path / "config.yaml"))
    assert made.manifest == {"model": {}}
    assert made.model_yaml_config == {"handler": {"profile": True}}


@pytest.mark.parametrize(
    ("cuda", "gpu_id", "expected"), [(True, "0", 0), (True, "3", 3), (True, "", None), (False, "0", None)]
)
def test_PYB_102_the_device_of_a_mock(stand_in: StandIn, cuda: bool, gpu_id: str, expected: Any) -> None:
    stand_in("torch", cuda=types.SimpleNamespace(is_available=lambda: cuda))
    assert MockContext(gpu_id=gpu_id).system_properties.get("gpu_id") == expected

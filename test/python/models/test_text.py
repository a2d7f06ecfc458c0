"""The handler of texts with an EmbeddingBag and a vocabulary, through real workers."""

from __future__ import annotations

import json
import pathlib
from typing import Any, Dict, Iterator, List

import frontend
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from conftest import StartWorker
from serving import WITHOUT_CAPTUM, Archive, answer, close, eager, network, refused

CLASSIFIER = """
    import torch

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.EmbeddingBag(64, 8)
            self.classes = torch.nn.Linear(8, 3)

        def forward(self, numbers, offsets):
            return self.classes(self.embedding(numbers, offsets))
"""
NAMES = {"0": "sports", "1": ["business", "economy"], "2": "science"}

TEXT = "<p>I ain't at the Café.</p>"
TOKENS = ["i", "as", "not", "at", "the", "cafe"]


def vocabulary(tokens: List[str]) -> Dict[str, int]:
    words = tokens + [" ".join(pair) for pair in zip(tokens, tokens[1:])]
    return {word: 3 * at + 1 for at, word in enumerate(words)}


def with_vocabulary(archive: Archive, name: str = "source_vocab.pt") -> Archive:
    torch.save(vocabulary(TOKENS), archive.folder / name)
    return archive


@pytest.fixture(scope="module")
def model() -> Any:
    return network(CLASSIFIER)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory, model: Any) -> Iterator[frontend.Worker]:
    archive = eager(tmp_path_factory.mktemp("classifier"), CLASSIFIER, {"index_to_name.json": json.dumps(NAMES)})
    with with_vocabulary(archive.with_weights(model)).served("text_classifier") as worker:
        yield worker


def numbers() -> torch.Tensor:
    return torch.tensor(list(vocabulary(TOKENS).values()))


def shares(model: Any) -> List[float]:
    with torch.inference_mode():
        (row,) = model(numbers(), torch.tensor([0])).softmax(dim=1).tolist()
    return list(row)


def form(name: str, kind: str, value: bytes) -> frontend.Request:
    return frontend.Request("r1", (), [(name, kind, value)])


FORMS = {
    "text": form("body", "text/plain; charset=utf-8", TEXT.encode()),
    "bytes": form("body", "", TEXT.encode()),
    "form": form("data", "", TEXT.encode()),
    "JSON": form("body", "application/json", json.dumps(TEXT).encode()),
    "clean already": form("body", "text/plain", " ".join(TOKENS).encode()),
}


@pytest.mark.parametrize("name", FORMS)
def test_MAR_120_PYB_076_the_classes_of_a_text(classifier: frontend.Worker, model: Any, name: str) -> None:
    classes = answer(classifier, FORMS[name])
    assert list(classes) == ["sports", "economy", "science"]
    assert list(classes.values()) == close(shares(model))


@pytest.mark.parametrize("text", [b"words that the vocabulary lacks", b"\xff", b""])
def test_a_text_that_cannot_be_processed_fails_alone(classifier: frontend.Worker, model: Any, text: bytes) -> None:
    refused(classifier, form("body", "text/plain", text))
    assert list(answer(classifier, FORMS["text"]).values()) == close(shares(model))


def explain(target: bytes = b"") -> frontend.Request:
    parameters = [("body", "text/plain", TEXT.encode()), ("target", "", target)]
    return frontend.Request("r1", [("explain", "True")], parameters)


@pytest.mark.parametrize(("target", "number"), [(b"", 0), (b"2", 2)])
def test_PYB_076_an_explanation(classifier: frontend.Worker, model: Any, target: bytes, number: int) -> None:
    made = answer(classifier, explain(target))
    assert made["words"] == TOKENS
    attributions = LayerIntegratedGradients(model, model.embedding).attribute(
        numbers(), torch.zeros_like(numbers()), additional_forward_args=torch.tensor([0]), target=number
    )
    # One row: its sum is 1, and so is the norm by which it is divided.
    (expected,) = attributions.softmax(dim=1).tolist()
    assert made["importances"] == [close(expected)]
    assert len(expected) == 8


def test_PYB_078_without_captum_without_names_and_with_another_vocabulary(tmp_path: pathlib.Path, model: Any) -> None:
    archive = eager(tmp_path, CLASSIFIER, {"sitecustomize.py": WITHOUT_CAPTUM}, sourceVocab="words.pt")
    with with_vocabulary(archive.with_weights(model), "words.pt").served("text_classifier") as worker:
        classes = answer(worker, FORMS["text"])
        assert list(classes) == ["0", "1", "2"]
        assert list(classes.values()) == close(shares(model))
        refused(worker, explain())
        worker.wait_for("captum is not installed: run `")
        assert answer(worker, FORMS["text"]) == classes


def test_without_a_vocabulary(start: StartWorker, tmp_path: pathlib.Path, model: Any) -> None:
    worker = start(eager(tmp_path, CLASSIFIER).with_weights(model).folder)
    response = worker.load("text_classifier")
    assert (response.code, response.message) == (500, "Unknown exception")
    worker.wait_for(
        "Exception: Missing the source_vocab file. Refer default handler documentation for details on using"
    )
    assert worker.exit_status() == 1


def test_a_vocabulary_that_torch_does_not_read(start: StartWorker, tmp_path: pathlib.Path, model: Any) -> None:
    archive = eager(tmp_path, CLASSIFIER).with_weights(model)
    (archive.folder / "source_vocab.pt").write_bytes(b"nonsense")
    worker = start(archive.folder)
    assert worker.load("text_classifier").code == 500
    worker.wait_for("UnpicklingError")

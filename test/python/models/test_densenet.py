"""Tensors that travel as torch.save writes them: densenet_handler, and what other handlers return."""

from __future__ import annotations

import io
import os
import pathlib
import pickle
from typing import Any, Dict, Iterator, List

import frontend
import pytest
import torch
from conftest import StartWorker
from serving import Archive, eager, network, refused

NETWORK = """
    import torch

    class Network(torch.nn.Sequential):
        def __init__(self):
            super().__init__(torch.nn.Flatten(), torch.nn.Linear(6, 4), torch.nn.ReLU())
"""


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def loaded(file: bytes) -> Any:
    return torch.load(io.BytesIO(file), weights_only=True)


def request(value: Any, at: int = 1, name: str = "body") -> frontend.Request:
    content = value if isinstance(value, bytes) else saved(value)
    return frontend.Request("r%d" % at, (), [(name, "application/octet-stream", content)])


@pytest.fixture(scope="module")
def model() -> Any:
    return network(NETWORK)


@pytest.fixture(scope="module")
def inputs() -> List[torch.Tensor]:
    torch.manual_seed(2)
    return [torch.rand(2, 3) for _ in range(3)]


def expected(model: Any, inputs: List[torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        made: torch.Tensor = model(torch.stack(inputs))
    return made


@pytest.fixture(scope="module")
def densenet(tmp_path_factory: pytest.TempPathFactory, model: Any) -> Iterator[frontend.Worker]:
    archive = eager(tmp_path_factory.mktemp("densenet"), NETWORK).with_weights(model)
    with archive.served("densenet_handler", batch_size=4) as worker:
        yield worker


@pytest.mark.parametrize("name", ["body", "data"])
def test_MAR_120_PYB_042_the_answer_is_a_saved_tensor(
    densenet: frontend.Worker, model: Any, inputs: List[torch.Tensor], name: str
) -> None:
    item = densenet.answer(request(inputs[0], name=name))
    made = loaded(item.body)
    assert torch.allclose(made, expected(model, inputs[:1]))
    assert made.shape == (1, 4)
    assert item.body == saved(made)
    densenet.wait_for("[METRICS]HandlerTime.Milliseconds")


def test_a_batch_is_split(densenet: frontend.Worker, model: Any, inputs: List[torch.Tensor]) -> None:
    response = densenet.infer(*(request(each, at) for at, each in enumerate(inputs)))
    assert response.code == 200, densenet.output()
    rows = [loaded(item.body) for item in response.items]
    assert [tuple(row.shape) for row in rows] == [(1, 4)] * 3
    assert torch.allclose(torch.cat(rows), expected(model, inputs), atol=1e-6)
    # Nobody gets the memory in which the others' rows are.
    assert [item.body for item in response.items] == [saved(row.clone()) for row in rows]


class Evil:
    """Makes a folder where it is unpickled without care."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def payloads(path: str) -> Dict[str, Any]:
    return {
        "code": saved(Evil(path)),
        "code beside a tensor": saved([torch.zeros(2, 3), Evil(path)]),
        "code without a file of torch": pickle.dumps(Evil(path)),
        "no tensor": saved({"numbers": [1, 2]}),
        "nonsense": b"nonsense",
        "nothing": b"",
        "another shape": torch.zeros(5),
    }


@pytest.mark.parametrize("name", payloads(""))
def test_PYB_080_what_is_no_tensor_is_refused(
    densenet: frontend.Worker, model: Any, inputs: List[torch.Tensor], tmp_path: pathlib.Path, name: str
) -> None:
    made = tmp_path / "made by the payload"
    refused(densenet, request(payloads(str(made))[name]))
    assert not made.exists()
    assert torch.allclose(loaded(densenet.answer(request(inputs[0])).body), expected(model, inputs[:1]))


def test_PYB_080_the_payloads_do_harm_where_they_are_trusted(tmp_path: pathlib.Path) -> None:
    for at, name in enumerate(("code", "code beside a tensor")):
        torch.load(io.BytesIO(payloads(str(tmp_path / str(at)))[name]), weights_only=False)
        assert (tmp_path / str(at)).exists()


def test_a_model_of_TorchScript(tmp_path: pathlib.Path, model: Any, inputs: List[torch.Tensor]) -> None:
    archive = Archive(tmp_path, {}, serializedFile="model.pt").with_script(model, torch.rand(1, 2, 3))
    with archive.served("densenet_handler") as worker:
        assert torch.allclose(loaded(worker.answer(request(inputs[1])).body), expected(model, inputs[1:2]))


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"modelFile": "model.py"}, "RuntimeError: Missing the model.pt file"),
        ({"serializedFile": "other.pt"}, "RuntimeError: Missing the model.pt file"),
        ({"serializedFile": "model.pt", "modelFile": "other.py"}, "RuntimeError: Missing the model.py file"),
    ],
)
def test_a_model_without_its_files(
    start: StartWorker, tmp_path: pathlib.Path, model: Any, named: Dict[str, str], says: str
) -> None:
    archive = Archive(tmp_path, {"model.py": NETWORK}, **named).with_weights(model)
    worker = start(archive.folder)
    assert worker.load("densenet_handler").code == 500
    worker.wait_for(says)


RETURNS = """
    import torch

    def handle(data, context):
        return data and [torch.arange(6.0).reshape(2, 3), torch.tensor(7), torch.zeros(0), {"none": None}]
"""


def test_PYB_042_tensors_that_any_handler_returns(serve: StartWorker) -> None:
    worker = serve(RETURNS)
    response = worker.infer(*(frontend.body(at, at=at) for at in range(4)))
    assert response.code == 200, worker.output()
    tensors = [torch.arange(6.0).reshape(2, 3), torch.tensor(7), torch.zeros(0)]
    for item, tensor in zip(response.items, tensors):
        assert item.body == saved(tensor)
        assert (item.content_type, item.headers) == ("", [])
        made = loaded(item.body)
        assert (made.dtype, made.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(made, tensor)
    assert response.items[3].body == b'{\n  "none": null\n}'

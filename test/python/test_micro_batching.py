"""Micro-batching: the pipeline by itself, and in worker processes."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
import types
import weakref
from typing import Any, Dict, Iterator, List, Set, Tuple

import frontend
import pytest
from conftest import StartWorker
from ts.handler_utils import micro_batching
from ts.handler_utils.micro_batching import MicroBatching
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import PredictionException

STEPS = ["preprocess", "inference", "postprocess"]


class Steps(BaseHandler):
    """Its steps note the micro-batches they see; what is to happen in one is put into its data as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Dict[str, List[Any]] = {step: [] for step in STEPS}
        self.threads: Dict[str, Set[threading.Thread]] = {step: set() for step in STEPS}
        self.pipeline = MicroBatching(self)

    def _step(self, step: str, data: List[Any]) -> List[Any]:
        self.seen[step].append(self.pipeline.get_micro_batch_idx())
        self.threads[step].add(threading.current_thread())
        return [each(step) if callable(each) else each for each in data]

    def preprocess(self, data: Any) -> Any:
        return self._step("preprocess", data)

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return self._step("inference", data)

    def postprocess(self, data: Any) -> Any:
        return self._step("postprocess", data)


@pytest.fixture
def steps() -> Iterator[Steps]:
    made = Steps()
    yield made
    made.pipeline.shutdown()


def test_names_of_the_module() -> None:
    assert micro_batching.HANDLER_METHODS == STEPS
    assert micro_batching.PROFILER_AVAILABLE is True


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 100])
@pytest.mark.parametrize("parallelism", [{}, {"preprocess": 3, "inference": 2, "postprocess": 4}])
def test_PYB_097_order_and_length(steps: Steps, size: int, parallelism: Dict[str, int]) -> None:
    steps.pipeline.micro_batch_size = size
    steps.pipeline.parallelism = parallelism
    assert steps.pipeline.handle(list(range(6))) == list(range(6))
    count = -(-6 // size)
    assert {step: sorted(seen) for step, seen in steps.seen.items()} == {step: list(range(count)) for step in STEPS}
    assert steps.pipeline.handle([]) == []


def test_PYB_097_micro_batches_overtake_each_other_and_come_back_in_order(steps: Steps) -> None:
    steps.pipeline.parallelism = {"inference": 2}
    second = threading.Event()

    def first(step: str) -> Any:
        assert second.wait(frontend.PATIENCE)
        return "first"

    def later(step: str) -> Any:
        if step == "inference":
            return later
        second.set()
        return "second"

    # The first waits in inference for the second to have passed it.
    rows = [lambda step: first, lambda step: later]
    assert steps.pipeline.handle(rows) == ["first", "second"]


def test_PYB_097_steps_are_at_work_at_the_same_time(steps: Steps) -> None:
    meeting = threading.Barrier(2, timeout=frontend.PATIENCE)

    def meet(step: str) -> Any:
        meeting.wait()
        return step

    # The first is in inference while the second is in preprocess.
    assert steps.pipeline.handle([lambda step: meet, meet]) == ["inference", "preprocess"]


def test_PYB_097_parallelism(steps: Steps) -> None:
    pipeline = steps.pipeline
    assert pipeline.parallelism == dict.fromkeys(STEPS, 1)
    pipeline.parallelism = {"inference": 3}
    assert pipeline.parallelism == {"preprocess": 1, "inference": 3, "postprocess": 1}
    pipeline.parallelism["inference"] = 7  # a copy
    assert pipeline.parallelism["inference"] == 3
    for wrong in ({"inference": 2, "nonsense": 1}, {"preprocess": 2, "inference": 0}):
        with pytest.raises(AssertionError):
            pipeline.parallelism = wrong
        assert pipeline.parallelism == {"preprocess": 1, "inference": 3, "postprocess": 1}
    with pytest.raises(AssertionError):
        MicroBatching(steps, parallelism={"nonsense": 1})


def test_PYB_097_threads_come_and_go(steps: Steps) -> None:
    pipeline = steps.pipeline

    def at_once(count: int) -> None:
        """Assert that so many micro-batches are in inference at a time, and no more."""
        meeting = threading.Barrier(count, timeout=frontend.PATIENCE)
        steps.threads["inference"].clear()

        def meet(step: str) -> Any:
            if step == "inference":
                meeting.wait()
            return meet

        pipeline.handle([meet] * (6 * count))
        assert len(steps.threads["inference"]) == count

    for count in (1, 4, 2, 3):
        pipeline.parallelism = {"inference": count}
        at_once(count)
    # Faster than they can go.
    for count in (1, 4, 1, 4):
        pipeline.parallelism = {"inference": count}
    at_once(4)
    assert all(thread.daemon for group in pipeline.thread_groups.values() for thread in group)


def test_threads_that_have_gone_are_forgotten(steps: Steps) -> None:
    pipeline = steps.pipeline
    pipeline.parallelism = {"inference": 3}
    group = list(pipeline.thread_groups["inference"])
    pipeline.parallelism = {"inference": 1}
    while sum(thread.is_alive() for thread in group) > 1:
        for thread in group:
            thread.join(0.001)
    pipeline.parallelism = {"inference": 2}
    assert [thread.is_alive() for thread in pipeline.thread_groups["inference"]] == [True, True]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_batch_stays(steps: Steps, fails: bool) -> None:
    class Row:
        def __call__(self, step: str) -> Any:
            return 1 / 0 if fails else self

    row = Row()
    ghost = weakref.ref(row)
    with contextlib.suppress(ZeroDivisionError):
        steps.pipeline.handle([row])
    del row
    gc.collect()
    assert ghost() is None


def test_the_index_is_of_the_calling_thread(steps: Steps) -> None:
    indices: List[Any] = []

    def row(step: str) -> Any:
        indices.append(steps.pipeline.get_micro_batch_idx())
        return row

    assert steps.pipeline.get_micro_batch_idx() is None
    steps.pipeline.handle([row, row])
    assert sorted(indices) == [0, 0, 0, 1, 1, 1]
    assert steps.pipeline.get_micro_batch_idx() is None


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [PredictionException("no", 404), SystemExit(3)])
def test_PYB_098_the_first_exception_is_raised_and_the_rest_is_dropped(
    steps: Steps, step: str, error: BaseException
) -> None:
    def fail(at: str) -> Any:
        if at == step:
            raise error
        return fail

    # One thread for each step: what is behind the first finds it failed.
    with pytest.raises(type(error)) as raised:
        steps.pipeline.handle([fail] * 20)
    assert raised.value is error
    assert steps.seen[step] == [0]
    assert [queue.qsize() for queue in steps.pipeline.queues.values()] == [0, 0, 0]
    assert steps.pipeline.handle(list(range(20))) == list(range(20))


def test_PYB_098_batches_of_several_threads_fail_apart(steps: Steps) -> None:
    results: List[Tuple[int, Any]] = []

    def fail(step: str) -> Any:
        raise ValueError(step)

    def batch(number: int) -> None:
        try:
            results.append((number, steps.pipeline.handle([number, fail] if number % 2 else [number])))
        except ValueError as error:
            results.append((number, str(error)))

    threads = [threading.Thread(target=batch, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(number, "preprocess" if number % 2 else [number]) for number in range(8)]


def test_shutdown_finishes_what_has_begun() -> None:
    steps = Steps()
    steps.pipeline.parallelism = {"inference": 2}
    threads = [thread for group in steps.pipeline.thread_groups.values() for thread in group]
    begun, end = threading.Event(), threading.Event()

    def slow(step: str) -> Any:
        begun.set()
        assert end.wait(frontend.PATIENCE)
        return step

    results: List[Any] = []
    batch = threading.Thread(target=lambda: results.extend(steps.pipeline.handle([slow, "x", "y"])))
    batch.start()
    assert begun.wait(frontend.PATIENCE)
    threading.Thread(target=end.set).start()
    steps.pipeline.shutdown()
    batch.join()
    assert results == ["preprocess", "x", "y"]
    assert len(threads) == 4
    assert not any(thread.is_alive() for thread in threads)
    assert steps.pipeline.terminate.is_set()
    with pytest.raises(RuntimeError, match=r"^micro-batching was shut down$"):
        steps.pipeline.handle([1])


# In a worker: the body of a request is what its row makes, evaluated in inference.
HANDLER = """
    import threading
    from ts.handler_utils.micro_batching import MicroBatching
    from ts.torch_handler.base_handler import BaseHandler
    from ts.utils.util import PredictionException

    class Handler(BaseHandler):
        def __init__(self):
            super().__init__()
            self.handle = MicroBatching(self, micro_batch_size=2)

        def initialize(self, context):
            config = context.model_yaml_config.get("micro_batching", {})
            self.handle.parallelism = config.get("parallelism", {})
            self.handle.micro_batch_size = config.get("micro_batch_size", 2)

        def preprocess(self, data):
            return [row["body"] for row in data]

        def inference(self, data):
            names = {"self": self, "index": self.handle.get_micro_batch_idx(), "many": len(data)}
            return [eval(each, {**globals(), **names}) for each in data]

        def postprocess(self, data):
            return data

        def get_insights(self, prepared, inputs, target):
            return [{"prepared": prepared, "index": self.handle.get_micro_batch_idx()}]

        def describe_handle(self):
            return {"threads": self.handle.parallelism}

        def leave_one_behind(self):
            rows = [{"body": "print('busy') or threading.Event().wait()"}]
            threading.Thread(target=self.handle.handle, args=(rows,), daemon=True).start()
"""
CONFIG = {"micro_batching": {"micro_batch_size": 3, "parallelism": {"inference": 2}}}


def asked(code: str, at: int = 1, **headers: str) -> frontend.Request:
    return frontend.body(code.encode(), "text/plain", at, **headers)


@pytest.fixture
def worker(serve: StartWorker) -> frontend.Worker:
    files = {"config.yaml": json.dumps(CONFIG)}
    return serve(HANDLER, files=files, manifest={"model": {"configFile": "config.yaml"}})


def test_PYB_097_in_a_worker(worker: frontend.Worker) -> None:
    response = worker.infer(*[asked("[index, many, threading.current_thread().name]", at) for at in range(7)])
    assert [json.loads(item.body) for item in response.items] == [
        [at // 3, 1 if at == 6 else 3, "micro-batching inference"] for at in range(7)
    ]
    assert worker.disconnect() == 0
    assert [line.split(".")[0] for line in worker.metrics()] == ["[METRICS]HandlerTime", "[METRICS]PredictionTime"]


def test_PYB_098_in_a_worker(worker: frontend.Worker) -> None:
    for code, status, message in (
        ("1 / 0", 503, "Prediction failed"),
        ("(_ for _ in ()).throw(PredictionException('no', 404))", 404, "no"),
        ("(_ for _ in ()).throw(MemoryError())", 507, "Out of resources"),
    ):
        response = worker.infer(*[asked("index", at) for at in range(9)], asked(code, 9))
        assert (response.code, response.message, len(response.items)) == (status, message, 10)
        assert [item.body for item in worker.infer(asked("index"), asked("index", 2)).items] == [b"0", b"0"]
    worker.wait_for("ZeroDivisionError")
    assert worker.peer is not None
    worker.peer.socket.sendall(frontend.infer_command(asked("exit(3)")))
    assert worker.peer.ended()
    assert worker.exit_status() == 3


def test_explanations_and_descriptions_are_not_cut(worker: frontend.Worker) -> None:
    assert json.loads(worker.answer(frontend.Request("r1", [("describe", "True")])).body) == {
        "threads": {"preprocess": 1, "inference": 2, "postprocess": 1}
    }
    item = worker.answer(asked("1", explain="True"))
    assert json.loads(item.body) == {"prepared": ["1"], "index": None}
    assert worker.disconnect() == 0
    assert sum("HandlerTime" in line for line in worker.metrics()) == 2


def test_PYB_099_the_worker_leaves_with_the_server(worker: frontend.Worker) -> None:
    assert worker.infer(*[asked("index", at) for at in range(9)]).code == 200
    assert worker.disconnect() == 0
    assert worker.lines[-1] == "Frontend disconnected."


def test_PYB_099_a_step_at_work_does_not_keep_the_worker(worker: frontend.Worker) -> None:
    worker.answer(asked("self.leave_one_behind()"))
    worker.wait_for("busy")
    assert worker.disconnect() == 0


class Metrics:
    def __init__(self) -> None:
        self.names: List[str] = []

    def add_time(self, name: str, *_: Any) -> None:
        self.names.append(name)


def test_the_profiler_sees_the_batch_as_a_whole(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    profiled: List[Any] = []

    def profile(data: Any) -> Any:
        profiled.append(data)
        return ["profiled"], None

    monkeypatch.setenv("ENABLE_TORCH_PROFILER", "true")
    monkeypatch.setattr(steps, "_infer_with_profiler", profile)
    context = types.SimpleNamespace(manifest={"model": {}}, metrics=Metrics())
    assert steps.pipeline(["row"], context) == ["profiled"]
    assert (profiled, steps.manifest, steps.context) == ([["row"]], context.manifest, context)
    assert context.metrics.names == ["HandlerTime"]


def test_PYB_002_nothing_of_torch_is_imported(worker: frontend.Worker) -> None:
    assert worker.answer(asked("'torch' in __import__('sys').modules")).body == b"false"

"""Cuts a batch into smaller ones that go through the steps of a handler on threads, one behind the other."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from typing import Any, Callable, Dict, List, Optional

HANDLER_METHODS = ["preprocess", "inference", "postprocess"]
PROFILER_AVAILABLE = True


class _MicroBatch:
    """A part of a batch on its way through the steps."""

    def __init__(
        self, index: int, data: Any, errors: List[BaseException], done: queue.SimpleQueue[_MicroBatch]
    ) -> None:
        self.index = index
        self.done = done
        self._data = data
        self._errors = errors  # of the whole batch

    def undergo(self, method: Callable[[Any], Any]) -> None:
        """Do a step, unless one has failed: then what is left of the batch only passes through."""
        if self._errors:
            return
        try:
            self._data = method(self._data)
        except BaseException as error:  # noqa: BLE001 - it is raised where the batch is waited for
            self._errors.append(error)

    def take(self) -> Any:
        """Return the data, and let go of it: threads remember their last micro-batch until the next one comes."""
        data, self._data = self._data, None
        return data


def execute_call(
    method: Callable[[Any], Any],
    arrivals: queue.Queue[Optional[_MicroBatch]],
    departures: Optional[queue.Queue[Optional[_MicroBatch]]],
    thread_local_data: threading.local,
) -> None:
    """Do one step with each micro-batch that arrives, until None does.

    Args:
        method: the step
        arrivals: where micro-batches come from
        departures: where the next step takes them from; None: this step is the last
        thread_local_data: gets the index of the micro-batch at work as micro_batch_idx
    """
    while True:
        micro_batch = arrivals.get()
        if micro_batch is None:
            return
        thread_local_data.micro_batch_idx = micro_batch.index
        micro_batch.undergo(method)
        (micro_batch.done if departures is None else departures).put(micro_batch)


class WorkerThread(threading.Thread):
    """A thread of a step; it does not keep the process alive.

    Args:
        step: the name of the step
        arguments: those of execute_call
    """

    def __init__(self, step: str, *arguments: Any) -> None:
        super().__init__(target=execute_call, args=arguments, name="micro-batching " + step, daemon=True)


class MicroBatching:
    """Stands for the handle of a handler: the handler's __init__ assigns it to self.handle.

    The steps are those that the handler has when this is made. While one micro-batch is in a step, others may be in the
    steps before and behind it, and in the same step if that has several threads: steps share nothing but what is safe
    for threads.

    Args:
        parent_handler: a BaseHandler
        micro_batch_size: requests in a micro-batch, at least 1; may be assigned between batches
        parallelism: threads of each step, 1 where none is named
    """

    def __init__(
        self, parent_handler: Any, micro_batch_size: int = 1, parallelism: Optional[Dict[str, int]] = None
    ) -> None:
        self.handler = parent_handler
        self.micro_batch_size = micro_batch_size
        self.terminate = threading.Event()
        self.thread_local_data = threading.local()
        self.thread_groups: Dict[str, List[WorkerThread]] = {step: [] for step in HANDLER_METHODS}
        self.queues: Dict[str, queue.Queue[Optional[_MicroBatch]]] = {step: queue.Queue() for step in HANDLER_METHODS}
        self._methods = {step: getattr(parent_handler, step) for step in HANDLER_METHODS}
        self._parallelism = dict.fromkeys(HANDLER_METHODS, 0)
        self.parallelism = {**dict.fromkeys(HANDLER_METHODS, 1), **(parallelism or {})}

    @property
    def parallelism(self) -> Dict[str, int]:
        """Threads of each step. What is assigned is merged, and threads come and go at once."""
        return dict(self._parallelism)

    @parallelism.setter
    def parallelism(self, parallelism: Dict[str, int]) -> None:
        for step, threads in parallelism.items():
            if step not in HANDLER_METHODS:
                raise AssertionError("there is no step %r, only %s" % (step, ", ".join(HANDLER_METHODS)))
            if threads < 1:
                raise AssertionError("%s needs at least 1 thread, not %s" % (step, threads))
        for step, threads in parallelism.items():
            self._resize(step, threads)

    def _resize(self, step: str, threads: int) -> None:
        group, arrivals = self.thread_groups[step], self.queues[step]
        group[:] = [thread for thread in group if thread.is_alive()]
        following = HANDLER_METHODS[HANDLER_METHODS.index(step) + 1 :]
        departures = self.queues[following[0]] if following else None
        for _ in range(threads - self._parallelism[step]):
            thread = WorkerThread(step, self._methods[step], arrivals, departures, self.thread_local_data)
            group.append(thread)
            thread.start()
        for _ in range(self._parallelism[step] - threads):
            arrivals.put(None)
        self._parallelism[step] = threads

    def shutdown(self) -> None:
        """End the threads when they have done what has begun; handle must not be called any more."""
        self.terminate.set()
        for step in HANDLER_METHODS:  # in their order, so that nothing is left between two
            self._resize(step, 0)
            for thread in self.thread_groups[step]:
                thread.join()

    def get_micro_batch_idx(self) -> Optional[int]:
        """Return the place of the micro-batch at which the calling thread is at work; None outside of a step."""
        index: Optional[int] = getattr(self.thread_local_data, "micro_batch_idx", None)
        return index

    def handle(self, data: List[Any]) -> List[Any]:
        """Return the results for a batch, in its order.

        Raises:
            RuntimeError: shutdown was called.
            BaseException: the first that a step has raised.
        """
        if self.terminate.is_set():
            raise RuntimeError("micro-batching was shut down")
        errors: List[BaseException] = []
        done: queue.SimpleQueue[_MicroBatch] = queue.SimpleQueue()
        slices = [data[at : at + self.micro_batch_size] for at in range(0, len(data), self.micro_batch_size)]
        micro_batches = [_MicroBatch(index, part, errors, done) for index, part in enumerate(slices)]
        for micro_batch in micro_batches:
            self.queues[HANDLER_METHODS[0]].put(micro_batch)
        for _ in micro_batches:
            done.get()
        parts = [micro_batch.take() for micro_batch in micro_batches]
        if errors:
            first = errors[0]
            errors.clear()  # their tracebacks hold the data, too
            raise first
        return list(itertools.chain.from_iterable(parts))

    def __call__(self, data: List[Dict[str, Any]], context: Any) -> Any:
        """Answer a batch as BaseHandler.handle does; only predictions are cut into micro-batches."""
        from ts.torch_handler.base_handler import profiler_wanted

        started = time.perf_counter()
        handler = self.handler
        handler.context = context
        if profiler_wanted():
            if handler.manifest is None:
                handler.manifest = context.manifest
            output, _ = handler._infer_with_profiler(data=data)
        elif handler._is_describe():
            output = [handler.describe_handle()]
        elif handler._is_explain():
            output = handler.explain_handle(handler.preprocess(data), data)
        else:
            output = self.handle(data)
        milliseconds = round((time.perf_counter() - started) * 1000, 2)
        context.metrics.add_time("HandlerTime", milliseconds, None, "ms")
        return output

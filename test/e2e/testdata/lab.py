"""Does with a request what its path asks for: POST /predictions/lab/1.0/VERB/ARGUMENT...

On other routes the header X-Verb says it; without a verb the lab echoes.
"""

import itertools
import logging
import os
import pathlib
import signal
import sys
import time
from typing import Any, Callable, Dict, List

from ts.handler_utils.utils import send_intermediate_predict_response
from ts.metrics.dimension import Dimension
from ts.metrics.metric_type_enum import MetricTypes
from ts.utils.util import PredictionException

COUNT = itertools.count(1)
EARLY: Dict[str, Any] = {}  # what the context says before there is any request


class Call:
    """One request of a batch."""

    def __init__(self, context: Any, at: int, row: Dict[str, Any], size: int) -> None:
        self.context = context
        self.at = at
        self.row = row
        self.size = size
        header = context.get_request_header
        words: List[str] = (header(at, "url_path") or header(at, "X-Verb") or "echo").split("/")
        self.verb = words[0]
        self.arguments = words[1:]

    @property
    def body(self) -> Any:
        return self.row.get("body", b"")


def handle(data: Any, context: Any) -> Any:
    if data is None:
        return loaded(context)
    if context.get_request_header(0, "describe"):
        return [described(context, data)]
    context.stopping_criteria = None
    calls = [Call(context, at, row, len(data)) for at, row in enumerate(data)]
    if calls[0].verb == "return":
        return WRONG[calls[0].arguments[0]]
    return [VERBS[call.verb](call) for call in calls]


def loaded(context: Any) -> None:
    EARLY.update(id=context.get_request_id(), ids=context.request_ids)


def described(context: Any, data: Any) -> Any:
    kind = context.get_request_header(0, "X-Describe")
    if kind == "headers":
        context.set_response_status(203, idx=0)
        context.set_response_header(0, "x-model", "lab")
    answers = {"list": [1, 2], "empty": "", "text": "no object"}
    return answers.get(
        kind, {"given": data, "describe": context.get_request_header(0, "describe"), "model": context.model_name}
    )


def plain(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, (bytes, bytearray)) else value


def echo(call: Call) -> Any:
    return bytes(call.body) if isinstance(call.body, (bytes, bytearray)) else call.body


def seen(call: Call) -> Any:
    """What the handler is given."""
    context = call.context
    return {
        "inputs": {name: {"type": type(value).__name__, "value": plain(value)} for name, value in call.row.items()},
        "headers": dict(sorted(context.get_all_request_header(call.at).items())),
        "id": context.get_request_id(call.at),
        "early": EARLY,
        "size": call.size,
        "count": next(COUNT),
        "answer": [context.get_response_status(call.at), context.get_response_headers(call.at)],
        "sequence": [
            context.header_key_sequence_id,
            context.header_key_sequence_start,
            context.header_key_sequence_end,
            context.get_sequence_id(call.at),
        ],
    }


def world(call: Call) -> Any:
    """Where the handler lives."""
    context = call.context
    return {
        "environ": dict(os.environ),
        "argv": sys.argv,
        "path": sys.path,
        "cwd": os.getcwd(),
        "pid": os.getpid(),
        "properties": context.system_properties,
        "manifest": context.manifest,
        "config": context.model_yaml_config,
    }


def batch(call: Call) -> str:
    """Which place in a batch of which size."""
    return "%d of %d: %s" % (call.at + 1, call.size, plain(call.body))


def kind(call: Call) -> Any:
    return {
        "dict": {"b": 1, "a": ["ä", None]},
        "list": [1, {"x": True}],
        "str": "Grüße",
        "bytes": b"\x00\xff",
        "bytearray": bytearray(b"\x01\xfe"),
        "none": None,
        "true": True,
        "int": 7,
        "float": 0.5,
        "nan": float("nan"),
        "empty": "",
        "deep": {"a": [[], {}, [1, [2, {"b": (3, 4)}]], -0.0, 1e100], "é": "\x00\u2028\U0001f600"},
        "keys": {2: "int", None: "none", True: "true", 1.5: "float"},
    }[call.arguments[0]]


def status(call: Call) -> Any:
    call.context.set_response_status(int(call.arguments[0]), "Phrase", call.at)
    return echo(call) or "with status"


def headers(call: Call) -> str:
    """The body is an object of response headers."""
    for name, value in call.body.items():
        call.context.set_response_header(call.at, name, value)
    return "with headers"


def content(call: Call) -> str:
    call.context.set_response_content_type(call.at, "/".join(call.arguments))
    return "with content type " + str(call.context.get_response_content_type(call.at))


def measure(call: Call) -> str:
    """Metrics of all kinds."""
    metrics, mine = call.context.metrics, [Dimension("Kind", "mine")]
    metrics.add_counter("Seen", 2)
    metrics.add_counter("SeenOne", 1, idx=0, dimensions=mine)
    metrics.add_time("Took", 1.5, unit="s")
    metrics.add_time("TookMine", 12, None, "ms", mine)
    metrics.add_size("Image", 3, unit="kB")
    metrics.add_percent("Full", 50.25)
    metrics.add_error("Wrong", 1)
    metrics.add_metric("Own", 7, "things", 0, mine, MetricTypes.HISTOGRAM)
    return "measured"


def fail(call: Call) -> Any:
    what, *code = call.arguments
    if what == "prediction":
        raise PredictionException("refused by the model", *map(int, code))
    raise {
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "lookup": KeyError("CUDA"),
        "assert": AssertionError(),
        "oom": RuntimeError("HIP out of memory"),
        "memory": MemoryError("no more"),
        "cuda": RuntimeError("CUDA error: all lost"),
        "value": ValueError("secret detail"),
    }[what]


def leave(call: Call) -> Any:
    os._exit(int(call.arguments[0]))


def kill(_call: Call) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(_call: Call) -> Any:
    time.sleep(3600)


def nap(call: Call) -> Any:
    time.sleep(float(call.arguments[0]))
    return echo(call)


def wait_at(gate: str) -> None:
    """Say who waits by a file, and go on when there is another one."""
    path = pathlib.Path(os.environ["LAB"], gate)
    path.with_suffix(".held").write_text(str(os.getpid()))
    while not path.with_suffix(".open").exists():
        time.sleep(0.005)


def hold(call: Call) -> Any:
    wait_at(call.arguments[0])
    return echo(call)


def big(call: Call) -> bytes:
    return b"x" * int(call.arguments[0])


def send(call: Call, text: str) -> None:
    context = call.context
    send_intermediate_predict_response([text] * call.size, context.request_ids, "part", 200, context)


def stream(call: Call) -> Any:
    """Each argument is a part, but for at/GATE, fail, die and exit, which do that; the body is the last part."""
    arguments = iter(call.arguments)
    for argument in arguments:
        if argument == "at":
            wait_at(next(arguments))
        elif argument == "fail":
            raise ValueError("in the middle")
        elif argument == "die":
            os._exit(3)
        elif argument == "exit":
            raise SystemExit(3)
        else:
            send(call, argument.replace("empty", ""))
    return echo(call)


def stop(call: Call) -> str:
    """The first argument is what stopping criteria say; it may be "last": true of the piece of that name."""
    says, *pieces = call.arguments
    answers: Dict[str, Any] = {"true": True, "none": None}
    call.context.stopping_criteria = [lambda piece: answers.get(says, piece == "last")] * call.size
    for piece in pieces[:-1]:
        send(call, piece)
    return pieces[-1]


def mutter(call: Call) -> Any:
    """As say, but without a word to the buffer, and held at a gate before the answer."""
    print("muttered " + plain(call.body))
    return hold(call)


def say(call: Call) -> str:
    """The body goes to the standard streams, and through logging."""
    text = plain(call.body)
    print("print " + text, flush=True)
    print("error " + text, file=sys.stderr, flush=True)
    logging.getLogger("lab").info("info %s", text)
    logging.getLogger("lab").debug("debug %s", text)
    return "said"


def scream(call: Call) -> str:
    """The body goes to standard output, or the stream of a number, as it is."""
    os.write(int(call.arguments[0]) if call.arguments else 1, bytes(call.body))
    return "screamed"


def fork(_call: Call) -> str:
    """A child that goes on like its parent, and one that stays."""
    if os.fork() == 0:
        return "child"
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "3600"])
    return "parent"


CIRCLE: List[Any] = []
CIRCLE.append(CIRCLE)

WRONG: Dict[str, Any] = {
    "str": "no list",
    "none": None,
    "short": [],
    "long": ["a", "b", "c"],
    "set": [{"x"}],
    "dict": {"a": 1},
    "tuple": ("a",),
    "keys": [{(1, 2): "x"}],
    "circle": [CIRCLE],
    "surrogate": ["\ud800"],
}

VERBS: Dict[str, Callable[[Call], Any]] = {
    "echo": echo,
    "seen": seen,
    "world": world,
    "batch": batch,
    "kind": kind,
    "status": status,
    "headers": headers,
    "content": content,
    "measure": measure,
    "fail": fail,
    "exit": leave,
    "kill": kill,
    "sleep": sleep,
    "nap": nap,
    "hold": hold,
    "big": big,
    "stream": stream,
    "stop": stop,
    "say": say,
    "mutter": mutter,
    "scream": scream,
    "fork": fork,
}

"""What handlers write with PyYAML, which no worker needs."""

from __future__ import annotations

import json

import frontend
import pytest
from conftest import StartWorker


@pytest.mark.parametrize("dump", ["yaml.safe_dump", "yaml.dump", "partial(yaml.dump, Dumper=Own)"])
def test_headers_are_written_as_a_dict(serve: StartWorker, dump: str) -> None:
    """A dumper of the handler's own knows what the safe one knew when it was made."""
    worker = serve(
        """
        from functools import partial

        def handle(data, context):
            if data is None:
                return
            import yaml

            class Own(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
                pass

            Own.add_representer(complex, lambda dumper, value: dumper.represent_str(str(value)))
            text = (%s)(context.get_all_request_header(0))
            return [yaml.safe_load(text)]
        """
        % dump
    )
    request = frontend.Request("r1", [("X-Foo", "1")], [("body", "a/b", b"")])
    assert json.loads(worker.answer(request).body) == {"X-Foo": "1", "body": {"content-type": "a/b"}}

"""The management API beyond what rest-diff asks of it: JSON bodies, parameters, pages, settings."""

from __future__ import annotations

from suite import Suite

JSON = {"Content-Type": "application/json"}
REGISTRATIONS = (
    "url=noop.mar;model_name=j",
    "url=noop.mar&model_name=j&model_name=i",
    "url=noop.mar&model_name=j#&batch_size=3",
    "url=noop.mar&&model_name=j&",
    "?url=noop.mar&model_name=j",
    "URL=noop.mar&model_name=j",
    "url=noop.mar&model_name=j&batch_size=+3",
    "url=noop.mar&model_name=j&batch_size=03",
    "url=noop.mar&model_name=j&batch_size=%D9%A3",
    "url=noop.mar&model_name=j&batch_size=3&max_batch_delay=2147483647",
    "url=noop.mar&model_name=j&batch_size=-1&max_batch_delay=-100",
    "url=noop.mar&model_name=j&max_batch_delay=0",
    "url=noop.mar&model_name=j&response_timeout=-1&startup_timeout=-1",
    "url=noop.mar&model_name=j&response_timeout=2147483647",
    "url=noop.mar&model_name=j&synchronous=TRUE",
    "url=noop.mar&model_name=j&synchronous",
    "url=noop.mar&model_name=j&initial_workers=0&synchronous=false",
    "url=noop.mar&model_name=j&handler=handler.py:handle",
    "url=noop.mar&model_name=j&handler=absent.py",
    "url=noop.mar&model_name=j&runtime=python3",
    "url=noop.mar&model_name=j&runtime=%20python",
    "url=noop.mar&model_name=j&runtime=LSP",
    "url=noop%2Emar&model_name=j",
    "url=%6Eoop.mar&model_name=j",
    "url=./noop.mar&model_name=j",
    "url=x/../noop.mar&model_name=j",
    "url=noop.MAR&model_name=j",
    "url=noop.mar%20&model_name=j",
    "url=noop.mar%00&model_name=j",
    "url=.&model_name=j",
    "url=..&model_name=j",
    "url=/&model_name=j",
    "url=data:text/plain,x&model_name=j",
    "url=HTTP://127.0.0.1:1/x.mar&model_name=j",
    "url=http:x.mar&model_name=j",
    "url=http://127.0.0.1:1&model_name=j",
    "url=http://127.0.0.1:99999/x.mar&model_name=j",
    "url=file:noop.mar&model_name=j",
    "url=file://noop.mar&model_name=j",
)


def add(suite: Suite) -> None:
    """Add all sections of this module."""
    suite.section("JSON registrations", "answers")
    _bodies(suite)
    suite.section("parameters", "answers")
    _parameters(suite)
    suite.section("settings", "answers")
    _settings(suite)
    suite.section("pages", "answers")
    _pages(suite)


def _registered(suite: Suite, name: str, path: str, body: str = "", model: str = "j") -> None:
    """Register, describe and unregister a model."""
    headers = JSON if body else {}
    suite.request(name, "management", "POST", path, headers, body.encode())
    suite.request(name + ", described", "management", "GET", "/models/" + model)
    suite.ask("management", "DELETE", "/models/" + model)
    suite.ask("management", "DELETE", "/models/noop")


def _bodies(suite: Suite) -> None:
    for name, body in (
        ("numbers as text", '{"url": "noop.mar", "model_name": "j", "batch_size": "3", "initial_workers": "0"}'),
        ("numbers with a fraction of zero", '{"url": "noop.mar", "model_name": "j", "batch_size": 3.0}'),
        ("numbers with an exponent", '{"url": "noop.mar", "model_name": "j", "batch_size": 1e1}'),
        ("numbers with a fraction", '{"url": "noop.mar", "model_name": "j", "batch_size": 3.5}'),
        ("numbers beyond an integer", '{"url": "noop.mar", "model_name": "j", "batch_size": 3000000000}'),
        ("negative numbers", '{"url": "noop.mar", "model_name": "j", "batch_size": -3, "max_batch_delay": -7}'),
        ("empty number", '{"url": "noop.mar", "model_name": "j", "batch_size": ""}'),
        ("boolean as text", '{"url": "noop.mar", "model_name": "j", "synchronous": "true"}'),
        ("boolean as number", '{"url": "noop.mar", "model_name": "j", "synchronous": 1}'),
        ("boolean as nonsense", '{"url": "noop.mar", "model_name": "j", "synchronous": "maybe"}'),
        ("number where a text belongs", '{"url": "noop.mar", "model_name": 7}'),
        ("list where a text belongs", '{"url": "noop.mar", "model_name": ["j"]}'),
        ("object where a number belongs", '{"url": "noop.mar", "model_name": "j", "batch_size": {}}'),
        ("nulls", '{"url": "noop.mar", "model_name": "j", "batch_size": null, "handler": null, "runtime": null}'),
        ("unknown members", '{"url": "noop.mar", "model_name": "j", "colour": "red", "deep": {"a": [1]}}'),
        ("member twice", '{"url": "noop.mar", "model_name": "i", "model_name": "j"}'),
        ("members in capitals", '{"URL": "noop.mar", "Model_Name": "j"}'),
        ("members in camel case", '{"modelUrl": "noop.mar", "modelName": "j", "batchSize": 3}'),
        ("names without quotes", '{url: "noop.mar", model_name: "j"}'),
        ("single quotes", "{'url': 'noop.mar', 'model_name': 'j'}"),
        ("values without quotes", '{"url": noop.mar, "model_name": j}'),
        ("comments", '{"url": "noop.mar", /* a */ "model_name": "j" // b\n}'),
        ("equals signs", '{"url" = "noop.mar"; "model_name" => "j"}'),
        ("comma at the end", '{"url": "noop.mar", "model_name": "j",}'),
        ("something behind", '{"url": "noop.mar", "model_name": "j"} more'),
        ("two objects", '{"url": "noop.mar", "model_name": "j"}{}'),
        ("byte order mark", '\ufeff{"url": "noop.mar", "model_name": "j"}'),
        ("guard against scripts", ')]}\'\n{"url": "noop.mar", "model_name": "j"}'),
        ("null", "null"),
        ("a text", '"noop.mar"'),
        ("a number", "7"),
        ("blank", "  "),
        ("escapes", '{"url": "no\\u006fp.mar", "model_name": "\\u006a"}'),
        ("line end in a text", '{"url": "noop.mar", "model_name": "j\n"}'),
        (
            "all settings",
            '{"url": "noop.mar", "model_name": "j", "handler": "handler.py", "runtime": "python", "batch_size": 2,'
            ' "max_batch_delay": 7, "initial_workers": 0, "response_timeout": 9, "startup_timeout": 8,'
            ' "s3_sse_kms": false}',
        ),
    ):
        _registered(suite, name, "/models", body)
    _registered(
        suite, "JSON and a query", "/models?url=echo.mar&batch_size=5", '{"url": "noop.mar", "model_name": "j"}'
    )


def _parameters(suite: Suite) -> None:
    for query in REGISTRATIONS:
        _registered(suite, "POST ?" + query, "/models?" + query)
    for query in (
        "min_worker=1;synchronous=true",
        "min_worker=+1&synchronous=true",
        "min_worker=1&synchronous=true&max_worker=2147483647",
        "min_worker=&synchronous=true",
        "MIN_WORKER=2&synchronous=true",
        "min_worker=1&min_worker=2&synchronous=true",
        "synchronous=true",
    ):
        suite.request("PUT ?" + query, "management", "PUT", "/models/answers?" + query, {}, b"")
    for path in (
        "/models/answers/1.0?timeout=abc",
        "/models/answers/%20",
        "/models/%20",
        "/models/%C3%A9",
        "/models/answers/1.0%20",
        "/models/answers/1.0/x",
        "/models/answers?limit=abc",
        "/models?limit=5&limit=1",
        "/models?limit=2147483648",
        "/models?limit=%205",
        "/models?LIMIT=1",
    ):
        suite.request("GET " + path, "management", "GET", path)
    for path in ("/models/answers/2.0", "/models/%20", "/models/none/1.0", "/models/answers/all"):
        suite.request("DELETE " + path, "management", "DELETE", path)


def _settings(suite: Suite) -> None:
    for archive in ("withconfig", "ticket", "emptyconfig"):
        suite.request("register " + archive, "management", "POST", "/models?url=%s.mar" % archive, {}, b"")
        suite.await_worker(archive)
        suite.request("describe " + archive, "management", "GET", "/models/" + archive)
        suite.request("OPTIONS " + archive, "management", "OPTIONS", "/models/" + archive)
        suite.request("predict " + archive, "inference", "POST", "/predictions/" + archive, {}, b"x")
        suite.request("unregister " + archive, "management", "DELETE", "/models/" + archive)
    for query in (
        "batch_size=9",
        "max_batch_delay=9",
        "response_timeout=9",
        "startup_timeout=9",
        "initial_workers=2",
        "initial_workers=0",
        "batch_size=1",
    ):
        suite.request("register with " + query, "management", "POST", "/models?url=withconfig.mar&" + query, {}, b"")
        suite.await_worker("withconfig")
        suite.request("describe with " + query, "management", "GET", "/models/withconfig")
        suite.ask("management", "DELETE", "/models/withconfig")


def _pages(suite: Suite) -> None:
    for number in range(6):
        suite.ask("management", "POST", "/models?url=noop.mar&model_name=p%d" % number)
    for query in (
        "",
        "limit=3",
        "limit=3&next_page_token=3",
        "limit=3&next_page_token=6",
        "limit=3&next_page_token=5",
        "limit=6",
        "limit=7",
        "limit=100",
        "limit=101&next_page_token=0",
        "next_page_token=4",
        "next_page_token=2147483647",
        "limit=2147483647&next_page_token=3",
        "limit=-3",
    ):
        suite.request("?" + query, "management", "GET", "/models?" + query)

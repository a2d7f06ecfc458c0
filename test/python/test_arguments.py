"""The parsers of command lines."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

DEFAULTS: Dict[str, Any] = {
    "version": False,
    "start": False,
    "stop": False,
    "ts_config": None,
    "model_store": None,
    "workflow_store": None,
    "models": None,
    "log_config": None,
    "cpp_log_config": None,
    "foreground": False,
    "no_config_snapshots": False,
    "plugins_path": None,
    "token_auth": False,
    "model_mode": False,
    "python": None,
}


def parse(*words: str) -> Dict[str, Any]:
    from ts.arg_parser import ArgParser

    return vars(ArgParser.ts_parser().parse_args(words))


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ([], {}),
        (["-v"], {"version": True}),
        (["--version"], {"version": True}),
        (["--start"], {"start": True}),
        (["--stop", "--foreground"], {"stop": True, "foreground": True}),
        (["--ts-config", "c", "--model-store=s"], {"ts_config": "c", "model_store": "s"}),
        (["--workflow-store", "w"], {"workflow_store": "w"}),
        (["--models", "a", "n=b", "--start"], {"models": ["a", "n=b"], "start": True}),
        (["--models", "a", "--models", "b"], {"models": ["b"]}),
        (["--log-config", "l", "--cpp-log-config", "m"], {"log_config": "l", "cpp_log_config": "m"}),
        (["--no-config-snapshots"], {"no_config_snapshots": True}),
        (["--ncs", "--ppath", "p", "--dt"], {"no_config_snapshots": True, "plugins_path": "p", "token_auth": True}),
        (["--plugins-path", "p", "--disable-token-auth"], {"plugins_path": "p", "token_auth": True}),
        (["--enable-model-api"], {"model_mode": True}),
        (["--fore", "--model-st", "s"], {"foreground": True, "model_store": "s"}),
        (["--python", "p"], {"python": "p"}),
    ],
)
def test_the_command(words: List[str], changed: Dict[str, Any]) -> None:
    assert parse(*words) == {**DEFAULTS, **changed}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--start", "--stop"], "argument --stop: not allowed with argument --start"),
        (["--models"], "argument --models: expected at least one argument"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--mode", "x"], "ambiguous option: --mode could match --model-store, --models"),
    ],
)
def test_faults_of_the_command(capsys: pytest.CaptureFixture[str], words: List[str], reason: str) -> None:
    with pytest.raises(SystemExit) as end:
        parse(*words)
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith("torchserve: error: %s\n" % reason)


def test_the_worker() -> None:
    from ts.arg_parser import ArgParser

    args = ArgParser.extract_args(["--sock-type", "unix", "--sock-name", "/tmp/.ts.sock.9000", "--async"])
    assert (args.sock_name, args.async_comm, args.host) == ("/tmp/.ts.sock.9000", True, "127.0.0.1")
    assert ArgParser.model_service_worker_args().prog == "model-server-worker"
    with pytest.raises(SystemExit):
        ArgParser.extract_args(["--sock-type", "tcp"])

#!/usr/bin/env python3
"""Compares the REST answers of torchserve-go and TorchServe 0.12, request by request.

usage: parity.py --original DIR [--server build/torchserve] [--round NAME] [--only WORD] [--report FILE]
                 [--signatures FILE]

Starts both servers, each in a folder of its own, sends both the requests of rest-diff and of the modules beside it,
and compares the answers. known.txt lists the differences that are meant, each with its reason. The exit status is 1
when an answer differs that the list does not name, or differs otherwise than it says, or differs no more.

docs/parity.md tells how to read the list and how to judge a difference.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import answering
import beside
import envelopes
import forms
import guarded
import judge
import managing
import models
import protocol
import servers
from side import Side
from suite import Pair, Suite, compared

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(__file__).with_name("rest-diff")
KNOWN = pathlib.Path(__file__).with_name("known.txt")

Cases = Callable[[Suite], None]


class Round(NamedTuple):
    """What is sent to a pair of servers between their start and their stop."""

    setting: servers.Setting
    cases: Tuple[Cases, ...]
    tool: Optional[str] = None  # the requests of rest-diff that hold this word, "" for all, None for none


ROUNDS: Dict[str, Round] = {
    "rest-diff": Round(servers.Setting(), (), ""),
    "plain": Round(servers.Setting(), (forms.add, protocol.add, answering.add, managing.add)),
    "tokens": Round(servers.Setting(tokens=True, more=guarded.CORS), (guarded.add,), "empty server /"),
    "TLS": Round(servers.Setting(tls=True), (guarded.add_tls,)),
    **{
        "envelope " + name: Round(servers.Setting(more="service_envelope=%s\n" % name), (envelopes.add,))
        for name in envelopes.NAMES
    },
}


def played(name: str, contenders: Sequence[servers.Server], store: pathlib.Path, only: str) -> Iterator[Pair]:
    """Start both servers, send them the requests of a round whose names hold a word, and stop them."""
    game = ROUNDS[name]
    with contextlib.ExitStack() as stack:
        sides: List[Side] = []
        for server, letter in zip(contenders, "AB"):
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parity-")))
            sides.append(Side(letter, stack.enter_context(servers.running(server, store, folder, game.setting))))
        if game.tool is not None:
            yield from _tool(name, sides, only or game.tool)
        suite = Suite()
        for add in game.cases:
            add(suite)
        yield from compared(name, suite.holding(only), sides)


def _tool(name: str, sides: Sequence[Side], only: str) -> Iterator[Pair]:
    """Run rest-diff, which tells each pair of answers as a line of JSON."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", suffix=".jsonl") as report:
        command = [sys.executable, "-B", str(TOOL), "--report", report.name, "--only", only]
        for side, letter in zip(sides, "ab"):
            command += ["--" + letter, ",".join("%s:%d" % side.addresses[api] for api in servers.APIS)]
            if side.keys:
                command += ["--keys-" + letter, str(side.server.key_file)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode > 1:
            raise servers.Error("rest-diff failed: %s" % "\n".join(done.stdout.splitlines()[-5:]))
        for line in report:
            said = json.loads(line)
            yield Pair(name, said["name"], said["a"], said["b"])


def compare(options: argparse.Namespace, progress: Callable[[str], None]) -> List[Pair]:
    """Play all rounds, or the one that is asked for."""
    upstream = beside.torchserve(options.original)
    python = upstream.with_name("python")
    contenders = (
        servers.Server("TorchServe 0.12", upstream, python),
        servers.Server("torchserve-go", options.server.resolve(), python),
    )
    pairs: List[Pair] = []
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        store = pathlib.Path(folder, "store")
        subprocess.run(
            [sys.executable, "-B", str(TOOL), "--make-store", str(store)], check=True, stdout=subprocess.DEVNULL
        )
        models.write(store)
        servers.write_keystore(store.with_name("keystore.p12"))
        for name in [options.round] if options.round else ROUNDS:
            began, before = time.monotonic(), len(pairs)
            pairs += played(name, contenders, store, options.only)
            progress("%-18s %4d requests  %3.0f s" % (name, len(pairs) - before, time.monotonic() - began))
    return pairs


def main(argv: Sequence[str]) -> int:
    """Compare and report; argv is the command line without the program's name."""
    parser = argparse.ArgumentParser(description="Compares the REST answers of torchserve-go and TorchServe 0.12.")
    parser.add_argument("--original", type=pathlib.Path, required=True, help="environment with TorchServe 0.12")
    parser.add_argument("--server", type=pathlib.Path, default=ROOT / "build" / "torchserve")
    parser.add_argument("--round", choices=list(ROUNDS), help="this one alone")
    parser.add_argument("--only", default="", help="requests alone whose name holds this word")
    parser.add_argument("--report", type=pathlib.Path, help="write each pair of answers here, one line of JSON each")
    parser.add_argument("--signatures", type=pathlib.Path, help="write each difference here in the form of known.txt")
    options = parser.parse_args(argv)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped
    began = time.monotonic()
    try:
        known = judge.parse(KNOWN.read_text(encoding="utf-8"))
        pairs = judge.numbered(compare(options, lambda line: print(line, flush=True)))
    except (servers.Error, beside.Missing, judge.Malformed) as error:
        print("parity: %s" % error, file=sys.stderr)
        return 1
    if options.report:
        options.report.write_text("".join(json.dumps(pair._asdict(), ensure_ascii=False) + "\n" for pair in pairs))
    if options.signatures:
        lines = [(judge.signature(pair.theirs, pair.ours), pair) for pair in pairs]
        options.signatures.write_text(
            "".join("    %s | %s: %s\n" % (line, pair.round, pair.name) for line, pair in lines if line)
        )
    verdict = judge.judge(pairs, known)
    for fault in verdict.faults:
        print(fault)
    print(
        "parity: %d requests, %d same, %d different as listed, %d faults, %.0f s"
        % (len(pairs), verdict.same, verdict.known, len(verdict.faults), time.monotonic() - began)
    )
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Says which IDs of the reference a passing test carries in its name.

usage: conformance.py [--prefix TOK] [--json] [--ids FILE] RESULTS

RESULTS is the folder that `make test` leaves: events of `go test -json` (*.jsonl) and JUnit files of pytest (*.xml).
A Go test carries an ID by a sub-test's name (TestKeys/TOK-012_expired_key_is_refused), a Python test by its own or its
parameters' (test_PYB_031_warmup). A skipped test proves nothing; one failing test spoils the ID. The exit status is 1
when an ID fails or is none of the reference's (a typing error).
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from typing import Dict, Iterator, List, NamedTuple, Sequence, Set, Tuple

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
STATES = {"pass": PASSED, "fail": FAILED, "skip": SKIPPED}
IDS = pathlib.Path(__file__).with_name("ids.txt")


class Result(NamedTuple):
    """One test that ran."""

    name: str
    state: str


class Report(NamedTuple):
    """What the results say about each ID; lists are in the reference's order."""

    proven: List[str]
    failing: List[str]
    unproven: List[str]
    skipped: List[str]  # those of unproven that some skipped test carries
    unknown: Dict[str, str]  # no ID of the reference -> a test that carries it


def go_results(lines: Sequence[str]) -> Iterator[Result]:
    """Read events of `go test -json`.

    A test with sub-tests passes as well when all of them were skipped, so only its failures count. A test that began
    and never ended (a panic, a timeout) has failed.
    """
    states: Dict[Tuple[str, str], str] = {}
    for line in lines:
        event = json.loads(line)
        if "Test" not in event:
            continue
        test = (event.get("Package", ""), event["Test"])
        if event["Action"] == "run":
            states[test] = FAILED
        elif event["Action"] in STATES:
            states[test] = STATES[event["Action"]]
    parents = {(package, name.rpartition("/")[0]) for package, name in states}
    for test, state in states.items():
        if test not in parents or state == FAILED:
            yield Result(test[1], state)


def junit_results(text: str) -> Iterator[Result]:
    """Read a JUnit file of pytest."""
    for case in ElementTree.fromstring(text).iter("testcase"):
        outcomes = {child.tag for child in case}
        state = FAILED if outcomes & {"failure", "error"} else SKIPPED if "skipped" in outcomes else PASSED
        yield Result(case.get("classname", "").rpartition(".")[2] + "::" + case.get("name", ""), state)


def read(folder: pathlib.Path) -> List[Result]:
    """Read all results of a folder."""
    results: List[Result] = []
    for path in sorted(folder.glob("*.jsonl")):
        results += go_results(path.read_text(encoding="utf-8").splitlines())
    for path in sorted(folder.glob("*.xml")):
        results += junit_results(path.read_text(encoding="utf-8"))
    return results


def carried(name: str, prefixes: Set[str]) -> List[str]:
    """Return what looks like IDs in a test's name; D-TOK-6 names a deviation, which is none."""
    pattern = r"(?<![A-Za-z0-9])(?<!(?<![A-Za-z0-9])D[-_])(%s)[-_]([0-9]+)(?![A-Za-z0-9])" % "|".join(sorted(prefixes))
    return ["-".join(found) for found in re.findall(pattern, name)]


def judge(ids: Sequence[str], results: Sequence[Result]) -> Report:
    """Match results and IDs."""
    prefixes = {each.partition("-")[0] for each in ids}
    states: Dict[str, Set[str]] = {each: set() for each in ids}
    unknown: Dict[str, str] = {}
    for result in results:
        for each in carried(result.name, prefixes):
            if each in states:
                states[each].add(result.state)
            else:
                unknown[each] = result.name
    failing = [each for each in ids if FAILED in states[each]]
    proven = [each for each in ids if states[each] - {SKIPPED} == {PASSED}]
    unproven = [each for each in ids if not states[each] - {SKIPPED}]
    skipped = [each for each in unproven if states[each]]
    return Report(proven, failing, unproven, skipped, unknown)


def table(ids: Sequence[str], report: Report) -> str:
    """Return the report for a person: one line per prefix, then the IDs that are not proven."""
    totals = collections.Counter(each.partition("-")[0] for each in ids)
    proven = collections.Counter(each.partition("-")[0] for each in report.proven)
    rows = [(prefix, proven[prefix], total) for prefix, total in sorted(totals.items())]
    if len(rows) > 1:
        rows.append(("all", len(report.proven), len(ids)))
    lines = ["%s  %4d of %4d  %3d %%" % (name, count, total, 100 * count // total) for name, count, total in rows]
    for title, some in (
        ("not proven", [each for each in report.unproven if each not in report.skipped]),
        ("only in skipped tests", report.skipped),
        ("failing", report.failing),
    ):
        if some:
            lines += ["", title + ":", *folded(some)]
    if report.unknown:
        lines += ["", "not in the reference:"]
        lines += ["  %s in %s" % item for item in sorted(report.unknown.items())]
    return "\n".join(lines)


def folded(ids: Sequence[str]) -> List[str]:
    """Return one line per prefix, runs of numbers joined: TOK 1-4 7."""
    runs: Dict[str, List[List[int]]] = {}
    for each in ids:
        prefix, _, number = each.partition("-")
        of_prefix = runs.setdefault(prefix, [])
        if of_prefix and of_prefix[-1][-1] == int(number) - 1:
            of_prefix[-1][1:] = [int(number)]
        else:
            of_prefix.append([int(number)])
    return [
        "  %s %s" % (prefix, " ".join("-".join("%03d" % end for end in run) for run in of_prefix))
        for prefix, of_prefix in runs.items()
    ]


def main(argv: Sequence[str]) -> int:
    """Print the report; argv is the command line without the program's name."""
    parser = argparse.ArgumentParser(description="Says which IDs of the reference a passing test carries in its name.")
    parser.add_argument("results", type=pathlib.Path, help="the folder that make test leaves")
    parser.add_argument("--prefix", help="report this prefix only, such as TOK")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--ids", type=pathlib.Path, default=IDS, help="the reference's IDs, one a line")
    options = parser.parse_args(argv)

    ids = options.ids.read_text(encoding="utf-8").split()
    if options.prefix:
        ids = [each for each in ids if each.startswith(options.prefix + "-")]
        if not ids:
            parser.error("no ID of the reference begins with %s-" % options.prefix)
    report = judge(ids, read(options.results))
    print(json.dumps(report._asdict(), indent=2) if options.json else table(ids, report))
    return 1 if report.failing or report.unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

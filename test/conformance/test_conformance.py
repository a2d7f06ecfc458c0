"""Tests of conformance.py.

The IDs here are made up (AAA, BBB): real ones in names of tests would count as proof.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any, Dict, List

import conformance
import pytest
from conformance import FAILED, PASSED, SKIPPED, Result

IDS = ["AAA-001", "AAA-002", "AAA-003", "AAA-004", "BBB-001"]


def events(*pairs: str) -> List[str]:
    return [json.dumps({"Action": pair.split()[0], "Package": "p", "Test": pair.split()[1]}) for pair in pairs]


def test_sub_tests_are_read_and_parents_count_only_as_failures() -> None:
    lines = events(
        *("run T", "run T/a", "pass T/a", "run T/b", "skip T/b", "pass T"),
        *("run U", "run U/a", "fail U/a", "fail U"),
    )
    lines.append(json.dumps({"Action": "fail", "Package": "p"}))
    assert sorted(conformance.go_results(lines)) == [
        Result("T/a", PASSED),
        Result("T/b", SKIPPED),
        Result("U", FAILED),
        Result("U/a", FAILED),
    ]


def test_a_go_test_that_never_ended_has_failed() -> None:
    assert list(conformance.go_results(events("run T"))) == [Result("T", FAILED)]


def test_same_name_in_two_packages_is_two_tests() -> None:
    lines = [
        json.dumps({"Action": "pass", "Package": "p", "Test": "T"}),
        json.dumps({"Action": "fail", "Package": "q", "Test": "T"}),
    ]
    assert sorted(conformance.go_results(lines)) == [Result("T", FAILED), Result("T", PASSED)]


def test_junit_outcomes() -> None:
    text = """<testsuites><testsuite><testcase classname="test.python.test_x" name="test_ok[a b]"/>
        <testcase classname="c" name="f"><failure message="m">t</failure></testcase>
        <testcase classname="c" name="e"><error message="m">t</error></testcase>
        <testcase classname="c" name="s"><skipped message="m">t</skipped></testcase></testsuite></testsuites>"""
    assert [result.state for result in conformance.junit_results(text)] == [PASSED, FAILED, FAILED, SKIPPED]
    assert next(conformance.junit_results(text)).name == "test_x::test_ok[a b]"


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("TestKeys/AAA-002_expired", ["AAA-002"]),
        ("test_x::test_AAA_002_BBB_001_both", ["AAA-002", "BBB-001"]),
        ("test_x::test_all[AAA-003]", ["AAA-003"]),
        ("TestKeys/AAA-12_too_short", ["AAA-12"]),
        ("TestKeys/AAA-0021_too_long", ["AAA-0021"]),
        ("TestKeys/D-AAA-002_names_a_deviation", []),
        ("TestKeys/AAA-001_D-AAA-002_names_both", ["AAA-001"]),
        ("TestKeys/SHAAA-002", []),
        ("TestKeys/AAA-D8", []),
        ("TestKeys/CCC-002", []),
    ],
)
def test_ids_in_a_name(name: str, ids: List[str]) -> None:
    assert conformance.carried(name, {"AAA", "BBB"}) == ids


def test_judgement_of_each_id() -> None:
    results = [
        Result("T/AAA-001 one", PASSED),
        Result("T/AAA-001 again", SKIPPED),
        Result("T/AAA-002 two", PASSED),
        Result("U/AAA-002 two", FAILED),
        Result("T/AAA-003 three", SKIPPED),
        Result("T/BBB-999 no such", PASSED),
    ]
    assert conformance.judge(IDS, results) == conformance.Report(
        proven=["AAA-001"],
        failing=["AAA-002"],
        unproven=["AAA-003", "AAA-004", "BBB-001"],
        skipped=["AAA-003"],
        unknown={"BBB-999": "T/BBB-999 no such"},
    )


def test_runs_of_numbers_are_joined() -> None:
    ids = ["AAA-001", "AAA-002", "AAA-003", "AAA-007", "BBB-001"]
    assert conformance.folded(ids) == ["  AAA 001-003 007", "  BBB 001"]


@pytest.fixture
def results(tmp_path: pathlib.Path) -> Dict[str, Any]:
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    (tmp_path / "unit.jsonl").write_text("\n".join(events("run T/AAA-001", "pass T/AAA-001")))
    (tmp_path / "python.xml").write_text('<testsuite><testcase name="test_BBB_001_x"/></testsuite>')
    return {"folder": tmp_path, "argv": ["--ids", str(tmp_path / "ids.txt"), str(tmp_path)]}


def test_table(results: Dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(results["argv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "AAA     1 of    4   25 %",
        "BBB     1 of    1  100 %",
        "all     2 of    5   40 %",
        "",
        "not proven:",
        "  AAA 002-004",
    ]


def test_json_of_one_prefix(results: Dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(["--json", "--prefix", "AAA", *results["argv"]]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "proven": ["AAA-001"],
        "failing": [],
        "unproven": ["AAA-002", "AAA-003", "AAA-004"],
        "skipped": [],
        "unknown": {},
    }


@pytest.mark.parametrize("spoiler", ["fail T/AAA-001_again", "pass T/AAA-009"])
def test_a_failure_or_an_unknown_id_is_an_error(results: Dict[str, Any], spoiler: str) -> None:
    (results["folder"] / "more.jsonl").write_text("\n".join(events(spoiler)))
    assert conformance.main(results["argv"]) == 1


def test_the_reference_has_each_id_once() -> None:
    ids = conformance.IDS.read_text(encoding="utf-8").split()
    assert len(ids) == len(set(ids)) > 1000
    assert all(conformance.carried(each, {each[:3]}) == [each] for each in ids)

"""Compares the differences that were seen with the list of those that are meant."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set

from suite import Pair

PARTS = ("status", "content-type", "headers", "body")
RACY = "?"
MORE = "…"
ADDED = ("location",)
"""Headers of ours that do not count: a registration names what it registered (docs/deviations.md, Management)."""


class Known(NamedTuple):
    """A line of the list: requests may differ in one way, for a reason."""

    name: str  # of one request, or how the names of several begin, with MORE at the end
    signature: str  # RACY: they may differ or not, in any way
    reason: str


class Verdict(NamedTuple):
    """What came out."""

    same: int
    known: int
    faults: List[str]  # where the list and what was seen do not agree


class Malformed(Exception):
    """The list cannot be read; the text says where and why."""


def parse(text: str) -> List[Known]:
    """Read the list: reasons at the beginning of lines, below each the requests it holds for, indented.

    Raises:
        Malformed: a line is neither, or a request is named twice.
    """
    entries: List[Known] = []
    names: Dict[str, int] = {}
    reason = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            reason = line.strip()
            continue
        seen, separator, name = line.strip().partition(" | ")
        if not separator or not reason:
            raise Malformed("line %d: want SIGNATURE | REQUEST below a reason: %s" % (number, line.strip()))
        if name in names:
            raise Malformed("line %d: %r is in line %d already" % (number, name, names[name]))
        names[name] = number
        entries.append(Known(name, seen, reason))
    return entries


def signature(theirs: object, ours: object) -> str:
    """Say in one line how two answers differ, without their changing values; empty: they are the same.

    500→400 is the status, +x a header or member that only we have, -x one that only they have, ~x one that has
    another value.
    """
    if isinstance(theirs, dict) and isinstance(ours, dict) and "headers" in theirs and "headers" in ours:
        headers = {k: v for k, v in ours["headers"].items() if k in theirs["headers"] or k not in ADDED}
        ours = {**ours, "headers": headers}
    if theirs == ours:
        return ""
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return "%s→%s" % (_short(theirs), _short(ours))
    words: List[str] = []
    for part in dict.fromkeys((*PARTS, *sorted({**theirs, **ours}))):
        a, b = theirs.get(part), ours.get(part)
        if a == b or (part == "layout" and theirs.get("body") != ours.get("body")):
            continue
        if part == "status":
            words.append("%s→%s" % (a, b))
        elif part == "layout":
            words.append(part)
        elif part in PARTS:
            words.append(_part(part, a, b))
        elif isinstance(a, dict) and isinstance(b, dict):
            words.append("%s: (%s)" % (part, signature(a, b)))
        else:
            words.append("%s: %s→%s" % (part, _short(a), _short(b)))
    return " ".join(words)


def judge(pairs: Sequence[Pair], known: Sequence[Known]) -> Verdict:
    """Match the answers with the list.

    A line of the list holds in every round of requests; one that begins with the name of a round and a colon holds
    in that alone. It is stale when requests that it names were sent and none of them differed as it says; lines whose
    requests were not sent at all are left alone, so that a part of the requests can be judged.
    """
    exact = {entry.name: entry for entry in known if not entry.name.endswith(MORE)}
    prefixes = [entry for entry in known if entry.name.endswith(MORE)]
    sent: Set[str] = set()
    used: Set[str] = set()
    same = forgiven = 0
    faults: List[str] = []
    for pair in pairs:
        seen = signature(pair.theirs, pair.ours)
        full = "%s: %s" % (pair.round, pair.name)
        entry: Optional[Known] = exact.get(full) or exact.get(pair.name)
        if not entry:
            begin = [
                each for each in prefixes if full.startswith(each.name[:-1]) or pair.name.startswith(each.name[:-1])
            ]
            sent.update(each.name for each in begin)
            entry = next((each for each in begin if each.signature in (seen, RACY)), None)
        else:
            sent.add(entry.name)
        if entry and entry.signature in (seen, RACY):
            used.add(entry.name)
        if not seen:
            same += 1
        elif entry and entry.name in used:
            forgiven += 1
        else:
            listed = "\n    listed as %s" % entry.signature if entry else ""
            faults.append("NEW    %s%s\n    differs by %s%s" % (full, listed, seen, _both(pair)))
    stale = [entry for entry in known if entry.name in sent - used]
    faults += ["STALE  %s\n    no longer differs by %s: %s" % entry for entry in stale]
    return Verdict(same, forgiven, faults)


def numbered(pairs: Iterable[Pair]) -> List[Pair]:
    """Give requests of one name in one round different names, in their order."""
    times: Dict[str, int] = {}
    out: List[Pair] = []
    for pair in pairs:
        key = "%s: %s" % (pair.round, pair.name)
        times[key] = times.get(key, 0) + 1
        out.append(pair if times[key] == 1 else pair._replace(name="%s #%d" % (pair.name, times[key])))
    return out


def _part(part: str, a: object, b: object) -> str:
    if part == "content-type":
        return "type"
    if isinstance(a, list) and isinstance(b, list):
        if all(isinstance(each, str) for each in a + b):
            return "%s(%s)" % (part, _families(a, b))
        if len(a) == len(b):
            return " ".join(dict.fromkeys(_part(part, x, y) for x, y in zip(a, b) if x != y))
    if not isinstance(a, dict) or not isinstance(b, dict):
        return part
    names = ["+" + name for name in sorted(set(b) - set(a))] + ["-" + name for name in sorted(set(a) - set(b))]
    names += ["~" + name for name in sorted(set(a) & set(b)) if a[name] != b[name]]
    return " ".join(names) if part == "headers" else "%s(%s)" % (part, " ".join(names))


def _families(a: Sequence[str], b: Sequence[str]) -> str:
    """Name the metrics that only one has; of those with words in their names, the first word."""

    def names(lines: Set[str]) -> List[str]:
        return sorted({re.sub(r"^(# (HELP|TYPE) )?([A-Za-z0-9]+_?).*", r"\3", line) for line in lines})

    only_ours, only_theirs = set(b) - set(a), set(a) - set(b)
    return " ".join(["+" + name for name in names(only_ours)] + ["-" + name for name in names(only_theirs)])


def _short(value: object) -> str:
    text = re.sub(r"\s+", " ", str(value))
    return text if len(text) <= 60 else text[:60] + MORE


def _both(pair: Pair) -> str:
    lines = []
    for who, answer in (("0.12", pair.theirs), ("ours", pair.ours)):
        text = str({part: value for part, value in answer.items() if pair.theirs.get(part) != pair.ours.get(part)})
        lines.append("\n    %s: %s" % (who, text if len(text) <= 900 else text[:900] + MORE))
    return "".join(lines)

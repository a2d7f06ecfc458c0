"""The requests of our own: cases with names, sent to both servers at once."""

from __future__ import annotations

import concurrent.futures
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

import servers
from side import Seen, Side, Step

Probe = Callable[[Side], Seen]


class Case(NamedTuple):
    """Something that is done to each server."""

    section: str
    name: str
    probe: Probe
    setup: bool = False  # nothing to compare


class Pair(NamedTuple):
    """What both servers did with one request."""

    round: str
    name: str
    theirs: Seen  # TorchServe 0.12, the reference
    ours: Seen


class Suite:
    """Collects cases; their names begin with the section that was named last."""

    def __init__(self) -> None:
        self.cases: List[Case] = []
        self._section = ""

    def section(self, name: str, *models: str) -> None:
        """Begin a section whose requests find these models, each with one worker, and no other."""
        self._section = name
        self.prepare(lambda side: side.serve_only(models))

    def prepare(self, do: Callable[[Side], object]) -> None:
        """Do something that is not compared."""

        def probe(side: Side) -> Seen:
            do(side)
            return {}

        self.cases.append(Case(self._section, "set-up", probe, setup=True))

    def add(self, name: str, probe: Probe) -> None:
        """Add a case."""
        self.cases.append(Case(self._section, "%s / %s" % (self._section, name), probe))

    def request(
        self,
        name: str,
        api: str,
        method: str,
        path: str,
        headers: Optional[Dict[str, str]] = None,
        body: Optional[bytes] = None,
    ) -> None:
        """Add a case of one request."""
        self.add(name, lambda side: side.request(api, method, path, headers, body))

    def holding(self, word: str) -> Suite:
        """Return a suite of the cases whose names hold a word, and of the set-up of their sections."""
        sections = {case.section for case in self.cases if word in case.name}
        fewer = Suite()
        fewer.cases = [case for case in self.cases if case.section in sections and (case.setup or word in case.name)]
        return fewer

    def ask(self, api: str, method: str, path: str, headers: Optional[Dict[str, str]] = None) -> None:
        """Send a request whose answer is not compared."""
        self.prepare(lambda side: side.ask(api, method, path, headers, b""))

    def await_worker(self, model: str) -> None:
        """Wait until the workers of a model are loaded."""
        self.prepare(lambda side: side.await_worker(model))

    def talk(self, name: str, api: str, *steps: Step) -> None:
        """Add a case that is a conversation on one connection (Side.talk)."""
        self.add(name, lambda side: side.talk(api, *steps))


def compared(round_name: str, suite: Suite, sides: Sequence[Side]) -> Iterator[Pair]:
    """Send all cases, in their order, each to both sides at the same time.

    Raises:
        servers.Error: one of them could not be reached.
    """
    with concurrent.futures.ThreadPoolExecutor(len(sides)) as pool:
        for case in suite.cases:
            try:
                theirs, ours = pool.map(case.probe, sides)
            except OSError as error:
                gone = [side.server.name for side in sides if not servers.accepts(side.addresses["inference"])]
                raise servers.Error("%s: %s; not reached: %s" % (case.name, error, ", ".join(gone))) from error
            if not case.setup:
                yield Pair(round_name, case.name, theirs, ours)

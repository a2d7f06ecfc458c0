"""What a module or class has of third parties, imported when someone asks for it."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict


def attributes(module: str, names: Dict[str, str]) -> Callable[[str], Any]:
    """Return the __getattr__ of a module: it finds names where they come from.

    Nothing is kept in the module: what someone patches into it is seen, and leaves no trace when it goes.

    Args:
        module: its __name__
        names: where each is from, "package.module" or "package.module:attribute"
    """

    def resolve(name: str) -> Any:
        if name not in names:
            raise AttributeError("module %r has no attribute %r" % (module, name))
        source, _, attribute = names[name].partition(":")
        found = importlib.import_module(source)
        return getattr(found, attribute) if attribute else found

    return resolve


class ClassAttribute:
    """An attribute that is made when it is first read, on the class or on an instance.

    Instances and subclasses may have one of their own in its place.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made

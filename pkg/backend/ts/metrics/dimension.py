"""Dimensions of metrics."""

from typing import Any, Dict


class Dimension:
    """A name and what it is at present: Level is Model."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def __str__(self) -> str:
        return "%s:%s" % (self.name, self.value)

    def to_dict(self) -> Dict[str, Any]:
        """Return the dimension for JSON."""
        return {"Name": self.name, "Value": self.value}

"""Units of metrics."""

from typing import Dict, Optional


class Units:
    """Translates the units that handlers write to those in metric lines."""

    def __init__(self) -> None:
        self.units: Dict[Optional[str], str] = {
            "ms": "Milliseconds",
            "s": "Seconds",
            "percent": "Percent",
            "count": "Count",
            "MB": "Megabytes",
            "GB": "Gigabytes",
            "kB": "Kilobytes",
            "B": "Bytes",
            None: "unit",
            "": "unit",
        }

    def translated(self, unit: Optional[str]) -> str:
        """Return the unit's long name; one that has none stays as it is."""
        return self.units.get(unit, unit or "unit")

"""What an archive is made of."""

from __future__ import annotations

import argparse
import dataclasses
import os
from typing import List, Optional


@dataclasses.dataclass
class ModelArchiverConfig:
    """The options of torch-model-archiver, by its names for them. Files are paths."""

    model_name: str
    handler: str
    version: str
    serialized_file: Optional[str] = None
    model_file: Optional[str] = None
    extra_files: Optional[str] = None  # separated by commas
    runtime: str = "python"
    export_path: str = os.getcwd()
    archive_format: str = "default"
    force: bool = False
    requirements_file: Optional[str] = None
    config_file: Optional[str] = None
    keep_tree: bool = False  # not of 0.12

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> ModelArchiverConfig:
        """Return what a parsed command line says; what it does not have is as by default."""
        names = [field.name for field in dataclasses.fields(cls) if hasattr(args, field.name)]
        return cls(**{name: getattr(args, name) for name in names})

    def words(self) -> List[str]:
        """Return the options as words of a command line."""
        words = []
        for field in dataclasses.fields(self):
            option, value = "--" + field.name.replace("_", "-"), getattr(self, field.name)
            if value is True:
                words.append(option)
            elif value is not None and value is not False:
                words.append("%s=%s" % (option, value))
        return words

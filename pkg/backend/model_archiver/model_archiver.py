"""The entry point of other programs."""

from __future__ import annotations

from model_archiver import model_packaging
from model_archiver.model_archiver_config import ModelArchiverConfig


class ModelArchiver:
    """Makes model archives."""

    @staticmethod
    def generate_model_archive(config: ModelArchiverConfig) -> None:
        """Make an archive; it is complete, or as it was.

        Args:
            config: what goes into it, and where it goes

        Raises:
            ModelArchiverError: the archiver refused; the text says why
            FileNotFoundError: a file that config names is not there, or the program torch-model-archiver is not
            ValueError: an extra file is neither file nor directory
        """
        model_packaging.generate_model_archive(config)

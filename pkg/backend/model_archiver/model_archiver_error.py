"""What the archiver raises."""


class ModelArchiverError(Exception):
    """The archiver refused to make an archive; the text says why, as the command does."""

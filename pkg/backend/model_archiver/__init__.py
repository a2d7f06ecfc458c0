"""Makes model archives from Python, as the package of this name of TorchServe 0.12 does.

    from model_archiver import ModelArchiver, ModelArchiverConfig

    ModelArchiver.generate_model_archive(ModelArchiverConfig("digits", "handler.py", "1.0", export_path="model_store"))

The work is done by the program torch-model-archiver, so that an archive is the same however it was made (reference:
model-archive.md, section 10.7).

    model_archiver         ModelArchiver
    model_archiver_config  ModelArchiverConfig, what the options of the program say
    model_archiver_error   ModelArchiverError
    model_packaging        finds and runs the program
"""

from model_archiver.model_archiver import ModelArchiver
from model_archiver.model_archiver_config import ModelArchiverConfig

__all__ = ["ModelArchiver", "ModelArchiverConfig"]

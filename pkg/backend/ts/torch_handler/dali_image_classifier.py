"""The built-in handler dali_image_classifier: image_classifier with images that DALI prepares."""

from __future__ import annotations

from ts.torch_handler.dali_handler import DALIHandler
from ts.torch_handler.image_classifier import ImageClassifier


class DALIImageClassifier(DALIHandler, ImageClassifier):
    """Classifies images; see DALIHandler for what comes, ImageClassifier for what goes."""

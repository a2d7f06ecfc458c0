"""The version that handlers see, which is that of the TorchServe whose behaviour this package has."""

import os

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "version.txt"), encoding="utf-8") as _text:
    __version__ = _text.read().strip()

"""Fetches models from the Hugging Face Hub."""

from __future__ import annotations

import importlib
from typing import Any, Union


def download_model(
    model_id: str = "meta-llama/Meta-Llama-3.1-8B-Instruct",
    revision: str = "main",
    model_path: str = ".cache",
    use_auth_token: Union[bool, str] = True,
) -> str:
    """Fetch what is not there yet of a model, and return the folder with its files.

    Args:
        model_id: owner and name
        revision: branch, tag or commit
        model_path: the folder for all models
        use_auth_token: True: the token with which the user has logged in; a text: the token itself

    Raises:
        Exception: the hub refuses.
    """
    hub: Any = importlib.import_module("huggingface_hub")
    folder: str = hub.snapshot_download(model_id, revision=revision, cache_dir=model_path, token=use_auth_token)
    return folder

"""TorchServe handler that recognises one handwritten digit per image, on the standard library alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from digits_image import BadImage, decode
from digits_network import CELLS, FULL, Network, frame

DESCRIPTION = {
    "input": "one handwritten digit: a PNG, PGM or PPM image, or JSON with 8 rows of 8 pixels, 0 (paper) to 16 (ink)",
    "output": "the digit, its probability, and the probabilities of all ten digits",
}


class DigitsHandler:
    """Answers each request with the digit on its image.

    A request carries a PNG, PGM or PPM file as its body or as the form field "data", or the JSON object
    {"pixels": [[8 x 8 numbers, 0 (paper) to 16 (ink)]]}. An image that cannot be read is answered with 400, and
    the other requests of its batch with their digits. GET /models/digits?customized=true shows DESCRIPTION.
    """

    def initialize(self, context: Any) -> None:
        """Read the weights named by the manifest.

        Raises:
            OSError, ValueError: the weights are missing or damaged; the model does not load then.
        """
        folder = Path(context.system_properties["model_dir"])
        weights = folder / context.manifest["model"]["serializedFile"]
        self.network = Network.from_bytes(weights.read_bytes())

    def handle(self, data: List[Dict[str, Any]], context: Any) -> List[str]:
        """Return one JSON text for each request of the batch, in its order."""
        return [self._answer(row, index, context) for index, row in enumerate(data)]

    def _answer(self, row: Dict[str, Any], index: int, context: Any) -> str:
        context.set_response_content_type(index, "application/json")
        if context.get_request_header(index, "describe"):
            return _json(DESCRIPTION)
        try:
            probabilities = self.network.probabilities(_cells(row))
        except BadImage as error:
            context.set_response_status(400, "Bad Request", index)
            return _json({"code": 400, "type": "BadRequestException", "message": str(error)})
        digit = max(range(10), key=probabilities.__getitem__)
        return _json(
            {
                "digit": digit,
                "probability": round(probabilities[digit], 6),
                "probabilities": {str(each): round(share, 6) for each, share in enumerate(probabilities)},
            }
        )


def _json(answer: Dict[str, Any]) -> str:
    return json.dumps(answer, indent=2) + "\n"


def _cells(row: Dict[str, Any]) -> List[float]:
    """Return the frame that a request carries."""
    content = row.get("data") or row.get("body")
    if isinstance(content, dict):
        return _pixels(content.get("pixels"))
    if isinstance(content, str):
        # The worker has decoded it because of a text/* content type, as some clients send for PGM.
        content = content.encode()
    if not isinstance(content, (bytes, bytearray)) or not content:
        raise BadImage(
            "no image in the request: send the file as the body, with its content type (curl -T FILE), "
            'as the form field "data" (curl -F data=@FILE), or JSON {"pixels": [[8 x 8 numbers]]}'
        )
    if content.startswith(b"{"):
        # JSON that the worker was told not to decode, or that came by gRPC.
        return _pixels(_parse(content))
    return frame(decode(bytes(content)))


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text).get("pixels")
    except (ValueError, RecursionError) as error:
        raise BadImage(f"broken JSON: {error}") from error


def _pixels(pixels: Any) -> List[float]:
    """Return the frame given as 8 rows of 8 numbers."""
    rows = pixels if isinstance(pixels, list) and len(pixels) == CELLS else []
    cells = [cell for row in rows if isinstance(row, list) and len(row) == CELLS for cell in row]
    if len(cells) != CELLS * CELLS or not all(_is_cell(cell) for cell in cells):
        raise BadImage(f'"pixels" must be {CELLS} rows of {CELLS} numbers from 0 to {FULL}')
    return cells


def _is_cell(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool) and 0 <= cell <= FULL

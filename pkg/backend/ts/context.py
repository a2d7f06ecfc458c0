"""What a handler is told about its model and its requests, and what it says about its responses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

if TYPE_CHECKING:
    _Dict = Dict[str, Any]
else:
    _Dict = dict


class Context:
    """One per loaded model: initialize and each call of the handler get the same object.

    Its request fields are those of the batch at work. Handlers may set attributes of their own.
    """

    cl_socket: Any  # absent while the model loads

    def __init__(
        self,
        model_name: str,
        model_dir: str,
        manifest: Optional[Dict[str, Any]],
        batch_size: Optional[int],
        gpu: Optional[int],
        mms_version: str,
        limit_max_image_pixels: bool = True,
        metrics: Any = None,
        model_yaml_config: Optional[Dict[str, Any]] = None,
    ) -> None:
        self.model_name = model_name
        self.manifest = manifest
        self._system_properties = {
            "model_dir": model_dir,
            "gpu_id": gpu,
            "batch_size": batch_size,
            "server_name": "MMS",
            "server_version": mms_version,
            "limit_max_image_pixels": limit_max_image_pixels,
        }
        self.request_ids: Optional[Dict[int, str]] = None
        self._request_processor: Any = None
        self._metrics = metrics
        self._limit_max_image_pixels = True
        self.model_yaml_config = model_yaml_config
        self.stopping_criteria: Any = None
        names = {part: "ts_request_sequence_" + part for part in ("id", "start", "end")}
        named = {part: os.environ.get(name.upper(), name) for part, name in names.items()}
        self.header_key_sequence_id = named["id"]
        self.header_key_sequence_start = named["start"]
        self.header_key_sequence_end = named["end"]

    @property
    def system_properties(self) -> Dict[str, Any]:
        """Where the model is and on what it runs: model_dir, gpu_id, batch_size and more."""
        return self._system_properties

    @property
    def request_processor(self) -> Any:
        """The records of the requests of the batch, in its order; None while the model loads."""
        return self._request_processor

    @request_processor.setter
    def request_processor(self, request_processor: Any) -> None:
        self._request_processor = request_processor

    @property
    def metrics(self) -> Any:
        """The metrics of this worker, see ts.metrics.metric_cache_abstract."""
        return self._metrics

    @metrics.setter
    def metrics(self, metrics: Any) -> None:
        self._metrics = metrics

    def get_request_id(self, idx: int = 0) -> Optional[str]:
        """Return the id of a request; None if there is no such request."""
        return self.request_ids.get(idx) if self.request_ids else None

    def get_request_header(self, idx: int, key: str) -> Any:
        """Return a header of a request, found under any case; None if it has none."""
        return self._request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> Dict[str, Any]:
        """Return the headers of a request, and {"content-type": …} for each of its parameters."""
        headers: Dict[str, Any] = self._request_processor[idx].get_request_properties()
        return headers

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the content type of the response to a request."""
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> Optional[str]:
        """Return the content type that was set; None if none was."""
        return self.get_response_headers(idx).get("content-type")

    def get_response_status(self, idx: int) -> Tuple[int, Optional[str]]:
        """Return status code and reason phrase of the response to a request."""
        processor = self._request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the status of the response to one request; the others of the batch keep theirs."""
        if self._request_processor is not None and self._request_processor[idx] is not None:
            self._request_processor[idx].report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Set the status of the responses to all requests of the batch."""
        for processor in self._request_processor or ():
            processor.report_status(code, reason_phrase=phrase)

    def get_response_headers(self, idx: int) -> Dict[str, Any]:
        """Return the headers of the response to a request; what is put there is sent."""
        headers: Dict[str, Any] = self._request_processor[idx].get_response_headers()
        return headers

    def set_response_header(self, idx: int, key: str, value: Any) -> None:
        """Set a header of the response to a request."""
        self._request_processor[idx].add_response_property(key, value)

    def get_sequence_id(self, idx: int) -> Optional[str]:
        """Return the id of the sequence to which a request belongs; None if it belongs to none."""
        sequence: Optional[str] = self.get_request_header(idx, self.header_key_sequence_id)
        return sequence

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self.__dict__ == other.__dict__


class RequestProcessor:
    """The record of one request: what came with it, and what goes with its response."""

    _status_code = 200
    _reason_phrase: Optional[str] = None

    def __init__(self, request_header: Dict[str, Any]) -> None:
        self._request_header = request_header
        self._response_header: Dict[str, Any] = {}

    def get_request_property(self, key: str) -> Any:
        """Return a header of the request; None if it has none."""
        return self._request_header.get(key)

    def report_status(self, code: int, reason_phrase: Optional[str] = None) -> None:
        """Set the status of the response."""
        self._status_code = code
        self._reason_phrase = reason_phrase

    def get_response_status_code(self) -> int:
        """Return the status of the response, 200 until set."""
        return self._status_code

    def get_response_status_phrase(self) -> Optional[str]:
        """Return the reason phrase of the response, None until set."""
        return self._reason_phrase

    def add_response_property(self, key: str, value: Any) -> None:
        """Set a header of the response."""
        self._response_header[key] = value

    def get_response_headers(self) -> Dict[str, Any]:
        """Return the headers of the response; what is put there is sent."""
        return self._response_header

    def get_response_header(self, key: str) -> Any:
        """Return a header of the response; None if it has none."""
        return self._response_header.get(key)

    def get_request_properties(self) -> Dict[str, Any]:
        """Return the headers of the request."""
        return self._request_header


class _LooksLikeDict(type):
    """Makes a class say that it is dict, to those who ask for its bases: PyYAML's SafeDumper writes nothing else."""

    @property
    def __mro__(cls) -> Tuple[type, ...]:
        return dict.__mro__


class RequestProperties(_Dict, metaclass=_LooksLikeDict):  # type: ignore[misc] # mypy knows Dict, not dict
    """Headers under the names that came; a look-up for which there is no exact match finds them under any case.

    HTTP/2, proxies and the server itself change the case of names, and handlers look them up as clients wrote them.
    Whoever writes them down takes them for a dict. So are pickled ones, which may be read where no package ts is.
    """

    def __missing__(self, key: str) -> Any:
        name = self._spelling(key)
        if name is None:
            raise KeyError(key)
        return self[name]

    def __contains__(self, key: object) -> bool:
        return self._spelling(key) is not None

    def __delitem__(self, key: str) -> None:
        super().__delitem__(self._spelling(key) or key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a header; default if there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a header and return it; default, if that is given, if there is none."""
        return super().pop(self._spelling(key) or key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return a header; default, which is put there, if there is none."""
        return super().setdefault(self._spelling(key) or key, default)

    def copy(self) -> RequestProperties:
        """Return other headers with the same content."""
        return RequestProperties(self)

    __copy__ = copy

    def __deepcopy__(self, memo: Dict[int, Any]) -> RequestProperties:
        import copy

        return RequestProperties(copy.deepcopy(dict(self), memo))

    def __reduce__(self) -> Tuple[type, Tuple[Dict[str, Any]]]:
        return dict, (dict(self),)

    def _spelling(self, key: Any) -> Any:
        """Return the name of the header that a look-up finds; None if it finds none."""
        if super().__contains__(key):
            return key
        wanted = key.lower() if isinstance(key, str) else None
        return next((name for name in self if isinstance(name, str) and name.lower() == wanted), None)

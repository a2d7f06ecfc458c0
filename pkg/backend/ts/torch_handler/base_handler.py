"""The handler from which most others derive; importing it does not import torch."""

from __future__ import annotations

import abc
import importlib
import importlib.util
import logging
import os
import time
from typing import Any, Dict, List, Optional, Tuple

from ts import missing
from ts.handler_utils.timer import timed
from ts.torch_handler import model_compiler
from ts.utils.util import list_classes_from_module, load_label_mapping

logger = logging.getLogger(__name__)

_PROFILES = "/tmp/pytorch_profiler"


_PACKAGES = {
    "XLA_AVAILABLE": "torch_xla",
    "ONNX_AVAILABLE": "onnxruntime",
    "IPEX_AVAILABLE": "intel_extension_for_pytorch",
}
_TORCH_VERSIONS = {"PT2_AVAILABLE": (2, 0), "PT230_AVAILABLE": (2, 3)}


def __getattr__(name: str) -> Any:
    """Provide torch, and what is known of the installation, when someone asks for it."""
    if name == "torch":
        return importlib.import_module("torch")
    if name == "PROFILER_AVAILABLE":
        return True
    if name in _PACKAGES:
        return importlib.util.find_spec(_PACKAGES[name]) is not None
    if name in _TORCH_VERSIONS:
        return _torch_version() >= _TORCH_VERSIONS[name]
    raise AttributeError("module %r has no attribute %r" % (__name__, name))


def _torch_version() -> Tuple[int, ...]:
    """Return major and minor version of the torch that is installed, without importing it; nothing if it is not."""
    from importlib import metadata  # takes longer than all else here

    try:
        return tuple(int(part) for part in metadata.version("torch").split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return ()


def setup_ort_session(model_pt_path: str, map_location: Optional[str]) -> Any:
    """Return an ONNX runtime session for a model file."""
    ort: Any = importlib.import_module("onnxruntime")
    providers = ["CPUExecutionProvider"]
    if map_location == "cuda":
        providers.insert(0, "CUDAExecutionProvider")
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    return ort.InferenceSession(model_pt_path, providers=providers, sess_options=options)


def prepare(torch: Any) -> None:
    """Set torch up as 0.12 does: TF32 where the GPU has it, and the compilers that are installed."""
    if torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0):
        torch.set_float32_matmul_precision("high")
    for module in ("openvino.torch", "torch_tensorrt"):
        model_compiler.import_if_present(module)


class BaseHandler(abc.ABC):
    """Loads a model of torch, and answers a batch by preprocess, inference and postprocess.

    Subclasses replace what differs. They need not call __init__. The helpers that begin with two underscores leave
    names like _infer and _load_model, which 0.12 does not use, to them.
    """

    model: Any = None
    mapping: Any = None
    device: Any = None
    initialized = False
    context: Any = None
    model_pt_path: Optional[str] = None
    manifest: Any = None
    map_location: Optional[str] = None
    explain = False
    target = 0
    profiler_args: Dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed
    model_yaml_config: Any  # only once initialize has run

    def __init__(self) -> None:
        self.profiler_args = {}

    def initialize(self, context: Any) -> None:
        """Choose the device, load the model that the manifest names, and compile it if the configuration asks for it.

        Raises:
            RuntimeError: there is no model, or its file is missing.
            ValueError: the model file has not exactly one class, or the configuration makes no sense.
        """
        torch: Any = importlib.import_module("torch")
        prepare(torch)
        if hasattr(context, "model_yaml_config"):
            self.model_yaml_config = context.model_yaml_config
        properties = context.system_properties
        self.__choose_device(torch, properties.get("gpu_id"))
        self.manifest = context.manifest
        named = self.manifest["model"]
        model_dir = properties.get("model_dir")
        serialized = named.get("serializedFile")
        self.model_pt_path = os.path.join(model_dir, serialized) if serialized else None
        self.model = self.__load_model(torch, model_dir, named.get("modelFile", ""))
        self.model = model_compiler.compiled(torch, self.model, self.device, getattr(self, "model_yaml_config", None))
        self.mapping = load_label_mapping(os.path.join(model_dir, "index_to_name.json"))
        self.initialized = True

    def __choose_device(self, torch: Any, gpu: Optional[int]) -> None:
        gpu = _visible(torch, gpu)
        if gpu is not None and torch.cuda.is_available():
            self.map_location, self.device = "cuda", torch.device("cuda:%s" % gpu)
        elif gpu is not None and os.environ.get("TS_IPEX_GPU_ENABLE") == "true" and torch.xpu.is_available():
            self.map_location, self.device = "xpu", torch.device("xpu:%s" % gpu)
            torch.xpu.device(self.device)
        elif gpu is not None and torch.backends.mps.is_available():
            self.map_location, self.device = "mps", torch.device("mps")
        elif importlib.util.find_spec("torch_xla") is not None:
            self.device = importlib.import_module("torch_xla.core.xla_model").xla_device()
        else:
            self.map_location, self.device = "cpu", torch.device("cpu")

    def __load_model(self, torch: Any, model_dir: str, model_file: str) -> Any:
        path = self.model_pt_path or ""
        if model_file:
            model = self._load_pickled_model(model_dir, model_file, self.model_pt_path)
            model.to(self.device)
            model.eval()
            return model
        if path.endswith(".pt"):
            model = self._load_torchscript_model(path)
            model.eval()
            return model
        if path.endswith(".onnx"):
            if importlib.util.find_spec("onnxruntime") is not None:
                session = setup_ort_session(path, self.map_location)
                logger.info("Succesfully setup ort session")
                return session
            logger.error(missing.sentence("onnxruntime"))
        if path.endswith(".so") and self._use_torch_export_aot_compile() and _torch_version() >= (2, 3):
            if self.map_location == "cuda":
                torch.cuda.set_device(self.device)
            return self._load_torch_export_aot_compile(path)
        raise RuntimeError("No model weights could be loaded")

    def _use_torch_export_aot_compile(self) -> bool:
        pt2 = (getattr(self, "model_yaml_config", None) or {}).get("pt2")
        export = pt2.get("export") if isinstance(pt2, dict) else None
        return bool(isinstance(export, dict) and export.get("aot_compile"))

    def _load_torch_export_aot_compile(self, model_so_path: str) -> Any:
        logger.warning("torch._export is an experimental feature! Succesfully loaded torch exported model.")
        return importlib.import_module("torch._export").aot_load(model_so_path, self.map_location)

    def _load_torchscript_model(self, model_pt_path: str) -> Any:
        return importlib.import_module("torch").jit.load(model_pt_path, map_location=self.device)

    def _load_pickled_model(self, model_dir: str, model_file: str, model_pt_path: Optional[str]) -> Any:
        if not os.path.isfile(os.path.join(model_dir, model_file)):
            raise RuntimeError("Missing the model.py file")
        classes = list_classes_from_module(importlib.import_module(model_file.partition(".")[0]))
        if len(classes) != 1:
            raise ValueError("Expected only one class as model definition. %s" % classes)
        model: Any = classes[0]()
        if model_pt_path:
            location = self.device if self.map_location else None
            model.load_state_dict(importlib.import_module("torch").load(model_pt_path, map_location=location))
        return model

    @timed
    def preprocess(self, data: Any) -> Any:
        """Return the batch as a tensor."""
        return importlib.import_module("torch").as_tensor(data, device=self.device)

    @timed
    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the model makes of the tensor."""
        with importlib.import_module("torch").inference_mode():
            return self.model(data.to(self.device), *args, **kwargs)

    @timed
    def postprocess(self, data: Any) -> List[Any]:
        """Return one result for each request."""
        results: List[Any] = data.tolist()
        return results

    def handle(self, data: List[Dict[str, Any]], context: Any) -> Any:
        """Answer a batch; its first request decides whether it is explained or predicted."""
        started = time.perf_counter()
        self.context = context
        if profiler_wanted():
            if self.manifest is None:
                self.manifest = context.manifest
            output, _ = self._infer_with_profiler(data=data)
        elif self._is_describe():
            output = [self.describe_handle()]
        else:
            output = self.__infer(data)
        milliseconds = round((time.perf_counter() - started) * 1000, 2)
        context.metrics.add_time("HandlerTime", milliseconds, None, "ms")
        return output

    def __infer(self, data: Any) -> Any:
        prepared = self.preprocess(data)
        if self._is_explain():
            return self.explain_handle(prepared, data)
        return self.postprocess(self.inference(prepared))

    def _infer_with_profiler(self, data: Any) -> Tuple[Any, Any]:
        """Return what handle does with a batch, and the profile of it."""
        profiler: Any = importlib.import_module("torch.profiler")
        if not self.profiler_args:
            activities = profiler.ProfilerActivity
            self.profiler_args = {"activities": [activities.CPU, activities.CUDA], "record_shapes": True}
        if "on_trace_ready" not in self.profiler_args:
            name = ((self.manifest or {}).get("model") or {}).get("modelName", "")
            path = os.path.join(_PROFILES, name)
            self.profiler_args["on_trace_ready"] = profiler.tensorboard_trace_handler(path)
            logger.info("Saving chrome trace to : %s", path)
        with profiler.profile(**self.profiler_args) as profile:
            with profiler.record_function("preprocess"):
                prepared = self.preprocess(data)
            if self._is_explain():
                with profiler.record_function("explain"):
                    output = self.explain_handle(prepared, data)
            else:
                with profiler.record_function("inference"):
                    inferred = self.inference(prepared)
                with profiler.record_function("postprocess"):
                    output = self.postprocess(inferred)
        logger.info("%s", profile.key_averages().table(sort_by="cpu_time_total", row_limit=10))
        return output, profile

    def explain_handle(self, data_preprocess: Any, raw_data: List[Any]) -> Any:
        """Return the insights of a subclass into the first request."""
        inputs, target = None, 0
        logger.info("Calculating Explanations")
        row = raw_data[0]
        if isinstance(row, dict):
            inputs = row.get("data") or row.get("body")
            target = _number(row.get("target")) or 0
        return self.get_insights(data_preprocess, inputs, target)  # type: ignore[attr-defined] # subclasses have it

    def _is_explain(self) -> bool:
        if self.context and self.context.get_request_header(0, "explain") == "True":
            self.explain = True
            return True
        return False

    def _is_describe(self) -> bool:
        return bool(self.context and self.context.get_request_header(0, "describe") == "True")

    def describe_handle(self) -> Any:
        """Return what a customized description says about the model; None: nothing."""
        return None

    def get_device(self) -> Any:
        """Return the device on which the model runs."""
        return self.device


def _visible(torch: Any, gpu: Optional[int]) -> Optional[int]:
    """Return the index of a worker's GPU among those that its process sees.

    The server numbers the devices of a model with a parallel level anew for each worker, but counts on.
    """
    if gpu is None or not torch.cuda.is_available() or gpu < torch.cuda.device_count():
        return gpu
    return int(os.environ.get("LOCAL_RANK", "0"))


def profiler_wanted() -> bool:
    """Tell whether ENABLE_TORCH_PROFILER asks for a profile of each batch."""
    return os.environ.get("ENABLE_TORCH_PROFILER", "").lower() not in ("", "0", "false", "no", "off")


def _number(target: Any) -> Any:
    """Return digits, as a form delivers them, as a number, and everything else as it is."""
    if isinstance(target, (str, bytes, bytearray)) and target.isdigit():
        return int(target)
    return target

"""Every module and public name that handlers, and scripts around the server, import."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from typing import Dict, List

import frontend
import pytest

# Module: its public names (reference: python-backend.md, section 2).
NAMES: Dict[str, str] = {
    "ts": "__version__ version",
    "ts.version": "__version__",
    "ts.context": "Context RequestProcessor",
    "ts.service": (
        "Service emit_metrics PREDICTION_METRIC PredictionException Context RequestProcessor create_predict_response"
        " get_yaml_config"
    ),
    "ts.model_loader": "ModelLoaderFactory ModelLoader TsModelLoader",
    "ts.async_service": "AsyncService",
    "ts.model_service_worker": (
        "TorchModelServiceWorker MAX_FAILURE_THRESHOLD SOCKET_ACCEPT_TIMEOUT DEBUG BENCHMARK LOCAL_RANK WORLD_SIZE"
        " WORLD_RANK LOCAL_WORLD_SIZE"
    ),
    "ts.protocol": "",
    "ts.protocol.otf_message_handler": (
        "retrieve_msg create_predict_response create_load_model_response encode_response_headers"
        " send_intermediate_predict_response bool_size int_size END_OF_LIST LOAD_MSG PREDICT_MSG RESPONSE"
        " _retrieve_buffer _retrieve_int _retrieve_bool _retrieve_load_msg _retrieve_inference_msg _retrieve_request"
        " _retrieve_reqest_header _retrieve_input_data"
    ),
    "ts.utils": "",
    "ts.utils.util": (
        "PT2Backend CLEANUP_REGEX list_classes_from_module check_valid_pt2_backend load_label_mapping"
        " map_class_to_label get_yaml_config PredictionException deprecated"
    ),
    "ts.utils.setup_model_venv": "create_venv inherit_site_packages",
    "ts.utils.timeit_decorator": "timeit",
    "ts.handler_utils": "",
    "ts.handler_utils.timer": "timed",
    "ts.handler_utils.utils": "import_class send_intermediate_predict_response create_predict_response",
    "ts.handler_utils.micro_batching": "MicroBatching WorkerThread execute_call HANDLER_METHODS PROFILER_AVAILABLE",
    "ts.handler_utils.text_utils": "ngrams_iterator get_tokenizer",
    "ts.handler_utils.preprocess": "",
    "ts.handler_utils.distributed": "",
    "ts.torch_handler": "",
    "ts.torch_handler.base_handler": (
        "BaseHandler setup_ort_session PROFILER_AVAILABLE XLA_AVAILABLE PT2_AVAILABLE PT230_AVAILABLE IPEX_AVAILABLE"
        " ONNX_AVAILABLE"
    ),
    "ts.torch_handler.vision_handler": "VisionHandler",
    "ts.torch_handler.image_classifier": "ImageClassifier",
    "ts.torch_handler.image_segmenter": "ImageSegmenter",
    "ts.torch_handler.object_detector": "ObjectDetector",
    "ts.torch_handler.text_handler": "TextHandler CONTRACTIONS_PATTERN",
    "ts.torch_handler.text_classifier": "TextClassifier",
    "ts.torch_handler.contractions": "CONTRACTION_MAP",
    "ts.torch_handler.densenet_handler": "DenseNetHandler list_classes_from_module",
    "ts.torch_handler.distributed": "",
    "ts.torch_handler.distributed.base_deepspeed_handler": "BaseDeepSpeedHandler",
    "ts.torch_handler.request_envelope": "",
    "ts.torch_handler.request_envelope.base": "BaseEnvelope",
    "ts.torch_handler.request_envelope.body": "BodyEnvelope",
    "ts.torch_handler.request_envelope.json": "JSONEnvelope",
    "ts.torch_handler.request_envelope.kserve": "KServeEnvelope",
    "ts.torch_handler.request_envelope.kservev2": "KServev2Envelope",
    "ts.torch_handler.unit_tests.test_utils.mock_context": "MockContext",
    "ts.model_service": "",
    "ts.model_service.model_service": "ModelService SingleNodeService",
    "ts.metrics": "",
    "ts.metrics.dimension": "Dimension",
    "ts.metrics.metric": "Metric",
    "ts.metrics.metric_encoder": "MetricEncoder",
    "ts.metrics.metrics_store": "MetricsStore",
    "ts.metrics.system_metrics": "",
    "ts.metrics.unit": "Units",
    "ts.metrics.caching_metric": "CachingMetric",
    "ts.metrics.metric_abstract": "MetricAbstract",
    "ts.metrics.metric_cache_abstract": "MetricCacheAbstract",
    "ts.metrics.metric_cache_yaml_impl": "MetricsCacheYamlImpl",
    "ts.metrics.metric_cache_errors": "MetricsCachePyYamlError",
    "ts.metrics.metric_type_enum": "MetricTypes",
    "ts.metrics.metric_collector": "",
    "ts.metrics.process_memory_metric": "check_process_mem_usage",
    "ts.launcher": "start stop register_model register_model_with_params",
    "ts.llm_launcher": "",
    "ts.model_server": "start",
    "ts.arg_parser": "ArgParser",
}

# Modules whose import needs what they are about: a name, and the package that may be missing.
NEEDY = {
    "ts.utils.hf_utils": ("download_model", "huggingface_hub"),
    "ts.handler_utils.hf_batch_streamer": ("TextIteratorStreamerBatch", "transformers"),
    "ts.handler_utils.preprocess.dali": ("get_dali_pipeline", "nvidia"),
    "ts.handler_utils.distributed.deepspeed": ("get_ds_engine create_checkpoints_json", "deepspeed"),
    "ts.handler_utils.distributed.pt_pippy": ("initialize_rpc_workers get_pipeline_driver pippy_installed", "pippy"),
    "ts.torch_handler.dali_handler": ("DALIHandler", "nvidia"),
    "ts.torch_handler.dali_image_classifier": ("DALIImageClassifier", "nvidia"),
    "ts.torch_handler.vllm_handler": ("VLLMHandler", "vllm"),
    "ts.torch_handler.trt_llm_handler": ("TRTLLMHandler", "tensorrt_llm"),
    "ts.torch_handler.distributed.base_pippy_handler": ("BasePippyHandler", "pippy"),
}

PROBE = """
import importlib, json, sys
names = json.load(sys.stdin)
missing = []
for module, wanted in names.items():
    found = importlib.import_module(module)
    missing += [module + "." + name for name in wanted.split() if not hasattr(found, name)]
print(json.dumps([missing, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def probe(names: Dict[str, str]) -> List[List[str]]:
    """Import modules in an interpreter of their own; return the names that are missing, and what is loaded then."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROBE],
        input=json.dumps(names),
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(frontend.HOME), "PATH": ""},
        text=True,
        check=True,
    )
    found: List[List[str]] = json.loads(done.stdout)
    return found


def test_PYB_002_every_name_is_there_and_needs_nothing() -> None:
    # A name may stand for a package, as base_handler.ONNX_AVAILABLE does: it must not load it either.
    missing, loaded = probe(NAMES)
    assert missing == []
    optional = {
        "torch",
        "torchvision",
        "numpy",
        "psutil",
        "PIL",
        "captum",
        "packaging",
        "requests",
        "onnxruntime",
    }
    assert optional.isdisjoint(loaded)


@pytest.mark.parametrize("module", NEEDY)
def test_PYB_002_modules_about_a_package(module: str) -> None:
    names, package = NEEDY[module]
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        assert importlib.util.find_spec(package) is None
        assert package in str(error)
    else:
        assert [name for name in names.split() if not hasattr(found, name)] == []


# All that subclasses may find, and replace, that is not public (reference: section 1.1); the rest is theirs.
KNOWN = {
    "_load_pickled_model",
    "_load_torchscript_model",
    "_load_torch_export_aot_compile",
    "_use_torch_export_aot_compile",
    "_infer_with_profiler",
    "_is_explain",
    "_is_describe",
    "_expand_contractions",
    "_remove_accented_characters",
    "_remove_html_tags",
    "_remove_punctuation",
    "_remove_puncutation",
    "_tokenize",
    "_abc_impl",
}


@pytest.mark.parametrize(
    "name",
    [
        "base_handler.BaseHandler",
        "vision_handler.VisionHandler",
        "image_classifier.ImageClassifier",
        "image_segmenter.ImageSegmenter",
        "object_detector.ObjectDetector",
        "text_handler.TextHandler",
        "text_classifier.TextClassifier",
        "densenet_handler.DenseNetHandler",
        "vllm_handler.VLLMHandler",
        "trt_llm_handler.TRTLLMHandler",
        "distributed.base_deepspeed_handler.BaseDeepSpeedHandler",
    ],
)
def test_PYB_065_handlers_take_no_names_from_subclasses(name: str) -> None:
    module, _, handler = name.rpartition(".")
    names = vars(getattr(importlib.import_module("ts.torch_handler." + module), handler))
    hidden = ("__", "_%s__" % handler)
    assert {each for each in names if each.startswith("_") and not each.startswith(hidden)} <= KNOWN

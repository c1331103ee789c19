"""Where a bundle for a Jetson can run: TensorRT itself, ONNX Runtime with an NVIDIA provider, or, if asked, the CPU."""

from __future__ import annotations

import importlib.util

from edge.bundle import Bundle
from edge.errors import BundleError, DeviceUnavailable, EdgeError
from targets import Device, Network
from targets.jetson.files import MODEL
from targets.onnx.runtime import PROCESSOR, import_onnxruntime

PROVIDERS = {"TENSORRT-ORT": "TensorrtExecutionProvider", "CUDA": "CUDAExecutionProvider"}
ADVICE = (
    "on a Jetson: sudo apt install nvidia-jetpack python3-libnvinfer, a virtual environment with "
    "--system-site-packages, and in it: pip install 'cuda-python==12.6.*' with JetPack 6, "
    "'cuda-python==13.*' with JetPack 7 (python -m edge.doctor says what is missing)"
)


def devices() -> tuple[tuple[Device, ...], dict[str, str], tuple[str, ...]]:
    """The places that are here, best first; versions of what was found; a line for each thing that is missing."""
    found: list[Device] = []
    versions: dict[str, str] = {}
    missing: list[str] = []
    if importlib.util.find_spec("tensorrt"):
        try:
            import tensorrt

            from targets.jetson.cuda import gpu_name

            versions["tensorrt"] = tensorrt.__version__
            found.append(Device("GPU", f"{gpu_name()}, TensorRT {tensorrt.__version__}"))
        except (ImportError, EdgeError) as error:
            missing.append(f"tensorrt: {error}")
    else:
        missing.append(f"tensorrt: {ADVICE}")
    if importlib.util.find_spec("onnxruntime"):
        onnxruntime = import_onnxruntime(extra="jetson")
        versions["onnxruntime"] = onnxruntime.__version__
        here = onnxruntime.get_available_providers()
        found += [Device(name, f"ONNX Runtime, {p}") for name, p in PROVIDERS.items() if p in here]
        found.append(Device("CPU", "ONNX Runtime, for comparison only"))
    return tuple(found), versions, tuple(missing)


def open_network(bundle: Bundle, device: str, threads: int | None) -> Network:
    """See `targets.Target.open`.

    Args:
        device: ``auto`` or ``GPU`` for the best on the GPU; ``TENSORRT-ORT`` or ``CUDA`` for ONNX Runtime's providers;
            ``CPU`` only if asked for.
    """
    if MODEL not in bundle.files:
        raise BundleError(f"{bundle.path}: {MODEL} is missing; it was not made for the jetson target")
    here, _, missing = devices()
    names = [place.name for place in here]
    wanted = device.upper()
    if wanted in names and wanted != "GPU":
        return _opened(bundle, wanted, threads)
    refused = list(missing)
    for name in (name for name in names if name != "CPU" and wanted in ("AUTO", "GPU")):
        try:
            return _opened(bundle, name, threads)
        except DeviceUnavailable as error:  # ONNX Runtime names all providers that it was built with
            refused.append(str(error))
    raise DeviceUnavailable(
        f"no {device} for this bundle on this machine: {'; '.join(refused) or ADVICE}; "
        "--device CPU runs it slowly on the processor"
    )


def _opened(bundle: Bundle, name: str, threads: int | None) -> Network:
    if name == "GPU":
        from targets.jetson.tensorrt_network import TensorRTNetwork

        return TensorRTNetwork(bundle)
    from targets.jetson.ort_network import OnnxRuntimeNetwork

    return OnnxRuntimeNetwork(bundle, name, PROVIDERS.get(name, PROCESSOR), threads)

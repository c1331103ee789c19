"""Run something tiny on one runtime, in a process of its own: `python -m edge.diagnosis.probe NAME [DEVICE]`.

A driver that crashes or hangs takes only this process with it. The answer is one line of JSON on standard output:
version, detail, and devices or `usable` by name; an exception ends it with `error`.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from edge.diagnosis.ask import MARK
from edge.errors import MissingPackage

QUESTION = np.array([[-1.0, 2.0, -3.0, 4.0]], np.float32)
ANSWER = np.array([[0.0, 2.0, 0.0, 4.0]], np.float32)

# One Relu on four floats, as torch.onnx.export and litert_torch.convert write it, compressed: enough to see that a
# runtime reads a model, finds its kernels and computes.
RELU_ONNX = "c-rIOu(Idk;bN>1VyskR2};c=6=E$Y%1=s-5(WwKaq)043UP2TaWDcgOA=795?#=Vg^NLe7XYN$2>t"
RELU_TFLITE = (
    "c-n1IJxc>Y5S`OAE*j!Nj%X3^N{bK_73>vJh>h4Er&;4+vKQ|5Qur$@Ec_K>VPS2RA0@;$n>h{Y!ee&d&di&SHW6K&_Vz=H$R|a03Md4(MQvx7"
    "fg_*;^gO~p(W|^yfafKmC*TnX@IM6yLnq$czKacr&l+qUDn4%WTx}o%Hh@Cslhh32zP?S$p>=Vg<l6z1#46!@#}Q?v9hWxVWrc^?Y{q;INb*6!"
    "EJ~v@@t@*f$$b;J*LoZmHn|?^yI~gJWCjmo=|l1`Y+h>CW@ROsJeMXgN==-X#-<}3Pjp_SnQ`h|XHDX{_r306*A*y-`@QI$Uq;87L7dh7E|>=9"
    "{<DR~!t5iNMOD)%Nm<Cvp(C~eAMW{0`sTUUU7T`r4<yI$7*<_()_4BRIo;&{7tDiQ4<xse+P44hEw1(<7w7MN*Isj$sD)mYsD@I(Dp+^CswXA="
    "wf@mr+;5ft)9uZ7_b;RzT`m"
)


def openvino() -> dict[str, Any]:
    """The version, and for each device its name and what happened to the Relu there."""
    from targets.openvino.runtime import import_openvino, own_core, plugins

    ov = import_openvino()
    from openvino import opset13

    core = own_core()
    parameter = opset13.parameter([1, 4], np.float32)
    model = ov.Model([opset13.relu(parameter)], [parameter])
    devices = {}
    available = list(core.available_devices)
    for kind in ("CPU", "GPU", "NPU"):
        names = [name for name in available if name.split(".")[0] == kind] or [kind]
        for name in names:
            try:
                answer = core.compile_model(model, name)(QUESTION)[0]
                devices[name] = {
                    "usable": bool(np.allclose(answer, ANSWER, atol=1e-2)),
                    "detail": core.get_property(name, "FULL_DEVICE_NAME"),
                }
            except Exception as error:  # the runtime raises what its plugins do
                devices[name] = {"usable": False, "detail": _last_line(str(error))}
    return {"version": ov.__version__.split("-")[0], "devices": devices, "plugins": plugins()}


def onnxruntime() -> dict[str, Any]:
    """The version, and for each execution provider what happened to the Relu there."""
    from targets.onnx.runtime import import_onnxruntime

    ort = import_onnxruntime()
    ort.set_default_logger_severity(4)
    devices = {}
    for provider in ort.get_available_providers():
        if provider == "AzureExecutionProvider":  # calls a service, computes nothing here
            continue
        options = ort.SessionOptions()
        if provider != "CPUExecutionProvider":
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            session = ort.InferenceSession(_unpack(RELU_ONNX), options, providers=[provider])
            answer = session.run(None, {"x": QUESTION})[0]
            really = session.get_providers()[0]
            right = really == provider and bool(np.allclose(answer, ANSWER, atol=1e-2))
            devices[provider] = {"usable": right, "detail": "" if really == provider else f"it ran on {really} instead"}
        except Exception as error:  # the runtime raises what its providers do
            devices[provider] = {"usable": False, "detail": _last_line(str(error))}
    return {"version": ort.__version__, "devices": devices}


def litert() -> dict[str, Any]:
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter

    return {"version": version("ai-edge-litert"), **_run_tflite(Interpreter)}


def tflite_runtime() -> dict[str, Any]:
    from importlib.metadata import version

    from tflite_runtime.interpreter import Interpreter

    return {"version": version("tflite-runtime"), **_run_tflite(Interpreter)}


def _run_tflite(interpreter_class: Callable[..., Any]) -> dict[str, Any]:
    interpreter = interpreter_class(model_content=_unpack(RELU_TFLITE), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], QUESTION)
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return {"usable": bool(np.array_equal(answer, ANSWER)), "detail": "one model ran"}


def tensorrt() -> dict[str, Any]:
    """The version, and whether it can talk to a GPU and builds the Relu."""
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    parser = trt.OnnxParser(network, logger)
    built = parser.parse(_unpack(RELU_ONNX)) and builder.build_serialized_network(
        network, builder.create_builder_config()
    )
    return {"version": trt.__version__, "usable": built is not None and bool(built), "detail": "one engine was built"}


def cuda() -> dict[str, Any]:
    """The GPUs that the CUDA runtime sees."""
    from targets.jetson.cuda import cuda_runtime, gpu_name

    runtime = cuda_runtime()
    status, count = runtime.cudaGetDeviceCount()
    if status != runtime.cudaError_t.cudaSuccess:
        return {"usable": False, "detail": f"the CUDA driver says {status.name}"}
    names = [gpu_name(i) for i in range(count)]
    return {"usable": count > 0, "detail": ", ".join(names) or "no GPU"}


def opencv() -> dict[str, Any]:
    import cv2

    reduced = cv2.resize(np.full((8, 8, 3), 7, np.uint8), (4, 4), interpolation=cv2.INTER_AREA)
    return {"version": cv2.__version__, "usable": bool((reduced == 7).all()), "detail": "one picture was reduced"}


def picamera2() -> dict[str, Any]:
    """The version and the cameras that libcamera sees."""
    from importlib.metadata import version

    from picamera2 import Picamera2

    cameras = [str(info.get("Model", info.get("Id", "?"))) for info in Picamera2.global_camera_info()]
    return {"version": version("picamera2"), "usable": bool(cameras), "detail": ", ".join(cameras)}


def pyav() -> dict[str, Any]:
    """The version, after one frame went through an encoder and back."""
    import io

    import av

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
        for packets in (stream.encode(frame), stream.encode(None)):
            container.mux(packets)
    file.seek(0)
    with av.open(file, "r") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return {
        "version": av.__version__,
        "usable": bool(abs(int(picture.mean()) - 90) < 8),
        "detail": "one frame was encoded and decoded" + (", H.264" if "h264" in av.codecs_available else ""),
    }


def bundle(path: str, device: str) -> dict[str, Any]:
    """Replay a bundle's golden frames on one device."""
    from edge.dehazer import Dehazer

    with Dehazer(path, device=device) as dehazer:
        difference = dehazer.verify()
        where = f"{dehazer.device}, {dehazer.precision}"
    return {"usable": True, "detail": f"golden frames agree within {difference} grey levels on {where}"}


PROBES: dict[str, Callable[..., dict[str, Any]]] = {
    f.__name__: f
    for f in (openvino, onnxruntime, litert, tflite_runtime, tensorrt, cuda, opencv, picamera2, pyav, bundle)
}


def _unpack(text: str) -> bytes:
    return zlib.decompress(base64.b85decode(text))


def _last_line(text: str) -> str:
    """The part of a runtime's message that says something: its last line that is not where in its source it was."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Exception from")]
    return (telling or lines or ["no reason given"])[-1]


def main(arguments: list[str]) -> int:
    try:
        found = PROBES[arguments[0]](*arguments[1:])
    except (ImportError, MissingPackage) as error:
        found = {"error": str(error), "absent": True}
    except Exception as error:  # whatever it is, it is the finding
        found = {"error": _last_line(str(error)) or type(error).__name__}
    print(MARK + json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

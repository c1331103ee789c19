"""A bundle's ONNX file as a TensorRT engine, built on first use and kept."""

from __future__ import annotations

import time
from types import ModuleType

import numpy as np

from edge import command
from edge.bundle import Bundle
from edge.errors import DeviceUnavailable
from targets.fit import refuse_misfit
from targets.jetson.cache import cached_engine, forget, key
from targets.jetson.cuda import PinnedArray, call, cuda_runtime, gpu_name
from targets.jetson.engine import build_engine
from targets.jetson.files import MODEL


class TensorRTNetwork:
    """See `targets.Network`. Pictures and answers lie in pinned memory, which a Jetson's GPU reads in place."""

    def __init__(self, bundle: Bundle) -> None:
        trt = command.require("tensorrt", "jetson")
        self._cuda = cuda_runtime()
        gpu, self.precision = gpu_name(), bundle.manifest.precision
        self.device = f"GPU ({gpu}, TensorRT {trt.__version__})"
        model = bundle.files[MODEL]
        name = key(model, gpu, trt.__version__, self.precision)
        start = time.perf_counter()
        content, from_disk = cached_engine(name, lambda: self._build(trt, model))
        built = time.perf_counter()
        self._log = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(content)
        if self._engine is None and from_disk:  # a driver update can make an engine useless
            forget(name)
            content, _ = cached_engine(name, lambda: self._build(trt, model))
            self._engine = self._runtime.deserialize_cuda_engine(content)
        if self._engine is None:
            raise DeviceUnavailable(f"TensorRT {trt.__version__} does not load the engine that it built")
        self.compile_ms, self.load_ms = (built - start) * 1e3, (time.perf_counter() - built) * 1e3
        self._context = self._engine.create_execution_context()
        self._stream = call(self._cuda.cudaStreamCreate)
        self._inputs: list[PinnedArray] = []
        self._outputs: list[PinnedArray] = []
        for i in range(self._engine.num_io_tensors):
            tensor = self._engine.get_tensor_name(i)
            shape = tuple(self._engine.get_tensor_shape(tensor))
            buffer = PinnedArray(shape, np.dtype(trt.nptype(self._engine.get_tensor_dtype(tensor))))
            is_input = self._engine.get_tensor_mode(tensor) == trt.TensorIOMode.INPUT
            (self._inputs if is_input else self._outputs).append(buffer)
            self._context.set_tensor_address(tensor, buffer.address)
        refuse_misfit(bundle, self._inputs[0].array.shape, [output.array.shape for output in self._outputs])

    def _build(self, trt: ModuleType, model: bytes) -> bytes:
        command.say("building the TensorRT engine for this board; this takes a minute or two, once")
        return build_engine(trt, model, self.precision)

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, ...]:
        (source,) = self._inputs
        np.copyto(source.array[0], picture)
        source.upload(self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise DeviceUnavailable("TensorRT could not run the model; the GPU may be out of memory")
        for output in self._outputs:
            output.download(self._stream)
        call(self._cuda.cudaStreamSynchronize, self._stream)
        return tuple(output.array[0] for output in self._outputs)

    def close(self) -> None:
        """Let go of the engine and of the pinned memory."""
        del self._context, self._engine
        for buffer in (*self._inputs, *self._outputs):
            buffer.close()
        call(self._cuda.cudaStreamDestroy, self._stream)

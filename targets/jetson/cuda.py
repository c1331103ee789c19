"""The few calls of the CUDA runtime that feed an engine, through NVIDIA's cuda-python."""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

import numpy as np

from edge import command
from edge.errors import DeviceUnavailable, MissingPackage


def cuda_runtime() -> ModuleType:
    """`cuda.bindings.runtime`, or `cuda.cudart` as older versions (JetPack 6.0) call it.

    Raises:
        MissingPackage: cuda-python is not installed.
    """
    try:
        return command.require("cuda.bindings.runtime", "jetson")
    except MissingPackage:
        try:
            return command.require("cuda.cudart", "jetson")
        except MissingPackage:
            raise MissingPackage(
                "TensorRT needs cuda-python, which is not installed: pip install cuda-python"
            ) from None


def call(function: Any, *arguments: Any) -> Any:
    """Call a function of the CUDA runtime.

    Raises:
        DeviceUnavailable: it failed; the message is CUDA's name for why.
    """
    status, *values = function(*arguments)
    if int(status) != 0:
        raise DeviceUnavailable(f"the GPU cannot be used: {function.__name__} says {status.name}")
    return values[0] if len(values) == 1 else tuple(values)


def gpu_name(number: int = 0) -> str:
    """A GPU: name and compute capability.

    Raises:
        DeviceUnavailable: there is none that CUDA can use.
        MissingPackage: cuda-python is not installed.
    """
    properties = call(cuda_runtime().cudaGetDeviceProperties, number)
    name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
    return f"{name} sm_{properties.major}{properties.minor}"


class PinnedArray:
    """A numpy array in page-locked memory with its address on the GPU.

    On a Jetson, where processor and GPU share their memory, both see the same bytes and nothing is copied; on other
    GPUs there is a buffer on the device, and `upload` and `download` copy without a stop.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._cuda = cuda = cuda_runtime()
        self.bytes = int(np.prod(shape)) * dtype.itemsize
        self.shared = bool(call(cuda.cudaGetDeviceProperties, 0).integrated)
        flags = cuda.cudaHostAllocMapped if self.shared else cuda.cudaHostAllocDefault
        self._host = int(call(cuda.cudaHostAlloc, self.bytes, flags))
        memory = (ctypes.c_uint8 * self.bytes).from_address(self._host)
        self.array = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
        if self.shared:
            self.address = int(call(cuda.cudaHostGetDevicePointer, self._host, 0))
        else:
            self.address = int(call(cuda.cudaMalloc, self.bytes))

    def upload(self, stream: Any) -> None:
        if not self.shared:
            kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
            call(self._cuda.cudaMemcpyAsync, self.address, self._host, self.bytes, kind, stream)

    def download(self, stream: Any) -> None:
        if not self.shared:
            kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
            call(self._cuda.cudaMemcpyAsync, self._host, self.address, self.bytes, kind, stream)

    def close(self) -> None:
        if not self.shared:
            call(self._cuda.cudaFree, self.address)
        call(self._cuda.cudaFreeHost, self._host)

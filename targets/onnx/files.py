"""Names of a bundle's files for ONNX Runtime."""

MODEL = "model.onnx"

"""Names of a bundle's files for a Jetson."""

MODEL = "model.onnx"

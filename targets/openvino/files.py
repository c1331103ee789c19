"""Names of a bundle's files for OpenVINO."""

XML, WEIGHTS = "model.xml", "model.bin"

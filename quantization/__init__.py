"""Making models small: distillation, calibration, INT8, and what it costs."""

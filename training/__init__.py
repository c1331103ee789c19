"""The models and how they are trained: synthesis, losses, the trainer, checkpoints, scores. Needs torch."""

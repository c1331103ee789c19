"""Proofs against the real compilers, board userlands and camera libraries: `python -m tests.boards`."""

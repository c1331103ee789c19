"""Measuring: picture quality, latency, energy, temperature, and the file that holds what was measured."""

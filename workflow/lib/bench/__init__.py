"""Benchmarks: what the engine costs, measured against plain alternatives in the same run."""

"""Data sets as tensors, and the archives and downloads they come from."""

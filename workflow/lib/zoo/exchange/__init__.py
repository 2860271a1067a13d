"""Zoos in and out: load a network, export networks as safetensors, import published zoos."""

"""Experiments on a space of signed distance fields; each writes a table, and meshes beside it."""

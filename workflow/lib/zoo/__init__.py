"""Populations of trained networks: their files, their import and export, their rows."""

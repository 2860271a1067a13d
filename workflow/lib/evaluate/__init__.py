"""Measures of networks: accuracy, agreement, and the statistics that state their spread."""

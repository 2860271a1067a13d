"""Self-contained report pages, made from the result tables alone."""

"""Interactive figures of the reports, made from frames."""

"""What embedders are trained for: one file for classifiers, one for fields."""

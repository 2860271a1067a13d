"""Many networks at once: training, compiled kernels, running stacks."""

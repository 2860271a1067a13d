"""What is asked of latent spaces: one module for each experiment, its controls and statistics."""

"""What the latent space holds: interpolation, optimisation, its map."""

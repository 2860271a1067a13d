"""The shared package of the study: zoos of networks and the latent spaces learnt from them."""

"""Latent diffusion as a time machine: words to a picture, with every step kept, so that each can be looked into."""

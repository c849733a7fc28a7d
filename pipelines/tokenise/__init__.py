"""Pictures as grids of integers, and back: VQ-VAE and VQGAN (arXiv 1711.00937, 2012.09841)."""

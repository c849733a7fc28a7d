"""What computes: plain functions and frozen dataclasses, usable from a notebook."""

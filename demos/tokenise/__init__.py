"""The tokenise tab: a picture as a grid of integers, and back."""

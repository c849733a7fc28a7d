"""The example tab."""

"""The segment tab."""

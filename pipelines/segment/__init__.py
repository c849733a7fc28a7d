"""Segment anything: a real SAM prompted with clicks and boxes (arXiv 2304.02643)."""

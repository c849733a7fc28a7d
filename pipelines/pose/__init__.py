"""Where a person's joints are: heat maps against regression (arXiv 2107.11291)."""

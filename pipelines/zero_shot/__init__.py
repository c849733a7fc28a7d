"""Zero-shot classification: a picture and words in one space, and why an answer came out."""

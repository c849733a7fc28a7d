"""The frame of the page: chapters, words, links, jobs, sessions, parcels, results."""

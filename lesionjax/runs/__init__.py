"""A run: its configuration taken to pieces, its directory, its weights, its numbers."""

"""Colour of the skin around a lesion: measured, named, and replaced."""

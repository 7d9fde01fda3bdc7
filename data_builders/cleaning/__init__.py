"""Preprocessing of one image: geometry, hair removal, colour; see pipeline.py for the names."""

"""Generated images: validated, scored, judged, sampled, written."""

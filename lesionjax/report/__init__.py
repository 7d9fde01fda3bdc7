"""Numbers to figures to one self-contained page, from the files of a run directory alone."""

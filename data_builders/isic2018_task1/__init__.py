"""HAM10000: 10,015 dermoscopic images of seven diagnoses, with lesion masks and metadata."""

"""ISIC 2019: 25,331 dermoscopic images of eight diagnoses, and the official test set."""

"""ISIC 2018 Task 1: 2,594 dermoscopic images with lesion masks."""

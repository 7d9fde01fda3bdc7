"""Lesion masks: segmenters on whole splits, folders of masks, their scores."""

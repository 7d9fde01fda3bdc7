"""Procedurally drawn dermoscopy with ground truth for masks, hairs and skin tone."""

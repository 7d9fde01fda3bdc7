"""From prepared records to augmented batches."""

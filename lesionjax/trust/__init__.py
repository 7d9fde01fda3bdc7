"""What a run can be trusted with: measured on its predictions, written beside them."""

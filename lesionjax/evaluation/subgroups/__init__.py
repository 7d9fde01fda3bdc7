"""A classifier's errors by subgroup: rates, calibration, tests of difference, within-source AUC."""

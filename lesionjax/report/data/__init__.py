"""A prepared data set as one page: `python -m lesionjax.report.data NAME`."""

"""Side-by-side measurements: `python -m benchmarks.<name>` prints one JSON line."""

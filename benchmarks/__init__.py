"""What the project measures of itself; run from the repository's root, as in `python -m benchmarks.speed`."""

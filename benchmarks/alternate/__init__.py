"""Two commits side by side: what a change costs the hot paths, ``python -m benchmarks.alternate``."""

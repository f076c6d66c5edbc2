"""A real receiver under a steady load, and what it does meanwhile: ``python -m benchmarks.load``."""

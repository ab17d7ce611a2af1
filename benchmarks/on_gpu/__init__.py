"""The phases of benchmarks/gpu.py. Each has a function that takes `Settings` and returns what goes into its file."""

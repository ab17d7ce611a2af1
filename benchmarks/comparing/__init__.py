"""Parts of benchmarks/objectives.py: the rows of its table, how they are measured, and what they cost."""

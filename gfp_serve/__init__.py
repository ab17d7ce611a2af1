"""Serve skeleton encoders: prepare sequences, embed them, and find the nearest actions. Never imports torch."""

__version__ = "0.1.0"

"""Recordings -> clip store -> batches of a training step."""

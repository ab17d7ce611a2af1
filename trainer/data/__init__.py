"""Recordings -> clip store -> model input and the batches of a training step."""

"""Clips of many callers are encoded together, in few calls of the encoder."""

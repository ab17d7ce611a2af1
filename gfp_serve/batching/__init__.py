"""From many callers' clips to few calls of the encoder."""

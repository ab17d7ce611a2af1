"""How encoders are compared on labelled clips: one protocol a file, and what they share."""

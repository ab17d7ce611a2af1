"""The suite: several frozen encoders on many labelled sets, with queries as they are and changed."""

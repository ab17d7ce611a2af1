"""Searchable collections of labelled embeddings. Every backend implements `Gallery` and `Galleries`."""

from gfp_serve.gallery.protocols import Galleries, Gallery

__all__ = ["Galleries", "Gallery"]

"""Labelled embeddings that are searched: `Gallery` and `Galleries` are what every backend keeps."""

from gfp_serve.gallery.protocols import Galleries, Gallery

__all__ = ["Galleries", "Gallery"]

"""Labelled embeddings that are searched. `Gallery` is what every backend keeps; `FaissGallery` is the embedded one."""

from gfp_serve.gallery.contract import Attribute, Gallery, Item, Neighbour
from gfp_serve.gallery.faiss_gallery import FaissGallery

__all__ = ["Attribute", "FaissGallery", "Gallery", "Item", "Neighbour"]

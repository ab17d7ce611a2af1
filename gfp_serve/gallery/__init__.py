"""Labelled embeddings that are searched. `Gallery` is what every backend keeps; `FaissGallery` is the embedded one."""

from gfp_serve.gallery.contract import (
    DEFAULT_GALLERY,
    Attribute,
    Description,
    Effort,
    Galleries,
    Gallery,
    IndexKind,
    Item,
    Neighbour,
    Source,
)
from gfp_serve.gallery.faiss_gallery import FaissGallery
from gfp_serve.gallery.filters import AnyOf, Filter, Range
from gfp_serve.gallery.folder import FolderGalleries

__all__ = [
    "DEFAULT_GALLERY",
    "AnyOf",
    "Attribute",
    "Description",
    "Effort",
    "FaissGallery",
    "Filter",
    "FolderGalleries",
    "Galleries",
    "Gallery",
    "IndexKind",
    "Item",
    "Neighbour",
    "Range",
    "Source",
]

"""Which galleries keep a copy of the motion of what is added."""

from typing import Literal

from gfp_serve.config import AUTO_MOTION_ITEMS
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.protocols import Gallery


class MotionKeeping:
    """`gfp-serve --keep-motion`."""

    def __init__(self, choice: Literal["auto", "on", "off"]) -> None:
        self._choice = choice

    def keeps(self, gallery: Gallery) -> bool:
        """Whether the gallery keeps the motion of an item that is added now."""
        if self._choice == "auto":
            return isinstance(gallery, FaissGallery) and len(gallery) < AUTO_MOTION_ITEMS
        return self._choice == "on"

"""The Python clients: numpy arrays in, numpy arrays and plain values out."""

from gfp_serve.client.asynchronous import AsyncClient
from gfp_serve.client.blocking import DEFAULT_ADDRESS, Client
from gfp_serve.client.connection import Tls, read_token
from gfp_serve.client.conversation import ClipItem, Info, ListedGallery, Query
from gfp_serve.client.streaming import StreamedWindow, StreamSettings
from gfp_serve.moments import Moment
from gfp_serve.wire.maps import GalleryMap, MappedItem
from gfp_serve.wire.searches import Classification
from gfp_serve.wire.snapshots import Snapshot
from gfp_serve.wire.warnings import ServerWarning

__all__ = [
    "DEFAULT_ADDRESS",
    "AsyncClient",
    "Classification",
    "Client",
    "ClipItem",
    "GalleryMap",
    "Info",
    "ListedGallery",
    "MappedItem",
    "Moment",
    "Query",
    "ServerWarning",
    "Snapshot",
    "StreamSettings",
    "StreamedWindow",
    "Tls",
    "read_token",
]

"""Transfer: the fine-tuning recipe on clips that the encoder was not pre-trained on."""

from typing import Any

from gfp_serve.errors import InvalidRequestError
from trainer.checkpoint import Checkpoint, data_summary
from trainer.data.store import ClipStore


def source_and_target(checkpoint: Checkpoint, store: ClipStore) -> dict[str, Any]:
    """What the encoder was pre-trained on, what it is transferred to, and which recordings are in both.

    Raises `InvalidRequestError` when the store has the content of the one of pre-training.
    """
    source, target = checkpoint.data, data_summary(store)
    if source["content_sha256"] == target["content_sha256"]:
        raise InvalidRequestError(
            f"{store.path} is the store that the encoder was pre-trained on (content {store.content_digest[:12]}…), so "
            f"nothing is transferred; name another store, or use gfp-evaluate fine-tune."
        )
    known = {recording["sha256"] for recording in source["sources"]}
    shared = [recording["name"] for recording in target["sources"] if recording["sha256"] in known]
    return {"source": source, "target": target, "shared_sources": shared}


def names(summary: dict[str, Any]) -> str:
    """The recordings of a data summary in a phrase."""
    return f"{', '.join(source['name'] for source in summary['sources'])} ({summary['num_clips']} clips)"

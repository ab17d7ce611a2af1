"""Transfer: the fine-tuning recipe on clips that the encoder was not pre-trained on."""

from typing import Any

from gfp_serve.errors import InvalidRequestError
from trainer.checkpoint import Checkpoint, data_summary
from trainer.data.store import ClipStore
from trainer.evaluate.trainings import recordings_learned, trainings


def source_and_target(checkpoint: Checkpoint, store: ClipStore) -> dict[str, Any]:
    """What the encoder was pre-trained on, what it is transferred to, and which recordings are in both.

    An encoder knows the clips of the one that it started from, and of its teacher, too. Raises `InvalidRequestError`
    when the store has the content of one that any of these was trained on.
    """
    for training in trainings(checkpoint.data):
        if training.data.get("content_sha256") == store.content_digest:
            raise InvalidRequestError(
                f"{store.path} is the store that {training.who} was pre-trained on (content "
                f"{store.content_digest[:12]}…), so nothing is transferred; name another store, or use gfp-evaluate "
                f"fine-tune."
            )
    shared = recordings_learned(checkpoint.data, store)
    return {"source": checkpoint.data, "target": data_summary(store), "shared_sources": shared}


def names(summary: dict[str, Any]) -> str:
    """The recordings of a data summary in a phrase."""
    return f"{', '.join(source['name'] for source in summary['sources'])} ({summary['num_clips']} clips)"

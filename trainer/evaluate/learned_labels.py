"""Whether an encoder learned the labels of clips that it is tested on."""

from collections.abc import Mapping, Sequence
from typing import Any

from gfp_serve.formats import TEST_SPLIT
from trainer.data.store import ClipStore
from trainer.evaluate.folds import Fold
from trainer.evaluate.trainings import tested_clips, trainings


def learned_labels(encoder: Mapping[str, Any], store: ClipStore, folds: Sequence[Fold]) -> str:
    """What a reader must know of the labels that an encoder learned, as a sentence; empty if nothing.

    A run with --label-weight learns the labels of all clips outside the test split of its store, and folds may test
    these. `encoder` is what a run or a bundle says of itself (see `candidates.describe_encoder`). Of an encoder that it
    started from, or that taught it, it is not always known whether it learned labels.
    """
    tested = tested_clips(folds)
    weight = ((encoder.get("training") or {}).get("terms") or {}).get("label_weight", 0.0)
    for who, data, label_weight in trainings(encoder.get("data"), label_weight=weight):
        if label_weight == 0:
            continue
        is_same = data.get("content_sha256") == store.content_digest
        if is_same:
            count = int((store.splits[tested] != TEST_SPLIT).sum())
            which = f"the labels of {count} of the {len(tested)} clips that are tested" if count else ""
        else:
            sums = {source.get("sha256") for source in data.get("sources", [])}
            shared = [source.name for source in store.sources if source.sha256 in sums]
            which = f"labels of recordings that are tested ({', '.join(shared)})" if shared else ""
        if which:
            learned = "learned" if label_weight is not None and is_same else "may have learned"
            return (
                f"{who} {learned} {which}, so its figures may be too good. Test "
                f"clips that were not learned from: by the split of the store that it was trained on, without --folds."
            )
    return ""

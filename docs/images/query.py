"""Draws `query.png`: one of the shipped clips above its three nearest neighbours among other people.

    python docs/images/query.py

The embedding is pose statistics, which a server without a bundle serves.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from gfp_serve.bundle import Bundle
from gfp_serve.config import SHIPPED_BUNDLES
from gfp_serve.encoder import Encoder
from gfp_serve.formats import Clip, read_clips
from gfp_serve.preprocess import prepare
from trainer.figures import Strip, draw_strips

CLIPS = Path(__file__).parents[2] / "examples" / "clips" / "precog.npz"
QUERY, NUM_NEIGHBOURS = "Seq6_3", 3


def main() -> None:
    bundle = Bundle.read(SHIPPED_BUNDLES / "pose-statistics")
    encoder = Encoder(bundle, device="cpu")
    clips = [clip for clip in read_clips(CLIPS) if np.nan_to_num(clip.sequence).any()]  # somebody is seen
    query = next(clip for clip in clips if clip.name == QUERY)
    others = [clip for clip in clips if clip.subject != query.subject]

    def embed(clip: Clip) -> np.ndarray:
        return encoder.encode(prepare(clip.sequence, clip.layout, bundle.manifest.preprocess)[None])[0]

    similarities = np.stack([embed(clip) for clip in others]) @ embed(query)
    strips = [strip_of(query, f"query: {query.label}, person {query.subject}")]
    for place in np.argsort(-similarities)[:NUM_NEIGHBOURS]:
        found = others[place]
        title = f"similarity {similarities[place]:.3f}: {found.label}, person {found.subject}"
        strips.append(strip_of(found, title, right=found.label == query.label))
    drawn = io.BytesIO()
    draw_strips(strips, num_poses=11).savefig(drawn, dpi=110)
    # A few colours are enough, and make a third of the file.
    Image.open(drawn).convert("RGB").quantize(48).save(Path(__file__).with_suffix(".png"), optimize=True)


def strip_of(clip: Clip, title: str, *, right: bool | None = None) -> Strip:
    return Strip(title=title, sequence=clip.sequence, layout=clip.layout, fps=clip.fps, right=right)


if __name__ == "__main__":
    main()

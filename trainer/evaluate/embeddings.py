"""Clips of a store → vectors, by a torch model or a bundle."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import nn

from gfp_serve.preprocess import SampleConfig
from trainer.data.model_input import ModelInput
from trainer.data.store import ClipStore
from trainer.devices import in_bf16_on_a_gpu
from trainer.embedding import ClipEmbedding

# clips [batch, bodies, frames, joints, 3] -> unit vectors [batch, embedding_size]
Embed = Callable[[Float32[np.ndarray, "batch bodies frames joints 3"]], Float32[np.ndarray, "batch size"]]

BATCH_CLIPS = 16


def torch_embedder(model: nn.Module, device: torch.device) -> Embed:
    """A function that embeds with a torch model that has `features`: an encoder or pose statistics."""
    graph = ClipEmbedding(model).to(device)

    def embed(clips: Float32[np.ndarray, "batch bodies frames joints 3"]) -> Float32[np.ndarray, "batch size"]:
        was_training = graph.training
        graph.eval()
        with torch.inference_mode(), in_bf16_on_a_gpu(device):
            vectors = graph(torch.from_numpy(clips).to(device)).float().cpu().numpy()
        graph.train(was_training)
        return vectors

    return embed


def embed_store(
    embed: Embed,
    store: ClipStore,
    sampling: SampleConfig,
    index: Int[np.ndarray, " chosen"],
    *,
    show: Callable[[int], None] = lambda _: None,
) -> Float32[np.ndarray, "chosen size"]:
    """Unit vectors of the chosen clips, in their order. `show` gets the number of clips of each finished batch.

    `sampling` belongs to the model. The store's clips must be cleaned as the model needs them.
    """
    vectors: dict[int, Float32[np.ndarray, " size"]] = {}
    # One call of a model takes clips of one shape.
    for places, clips in ModelInput(store, sampling).served_batches(index, BATCH_CLIPS):
        vectors.update(zip(places, embed(clips), strict=True))
        show(len(places))
    return np.stack([vectors[place] for place in range(len(index))])

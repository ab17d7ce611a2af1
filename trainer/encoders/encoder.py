"""What every encoder has: settings, tokens of whole bodies, and one vector a body. Some can leave tokens out."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gfp_serve.preprocess import MODEL_LAYOUT
from gfp_serve.settings import setting
from trainer.body_frame import in_body_frame
from trainer.masking import first_known


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The setting that all encoders have in common."""

    frame: Literal["room", "body"] = setting(
        "room",
        "Where coordinates are seen from: the room, as published, or the body's root in each frame, turned to the "
        "front and scaled by the trunk. With body, joints that are lacking are left out of what is learned and of "
        "embeddings by --tokens; an embedding of all tokens sees them at 0, but for slim, which leaves them out.",
    )

    def check_at_least_1(self, *names: str) -> None:
        """Raise `ValueError` when one of these settings is below 1."""
        if low := [name for name in names if getattr(self, name) < 1]:
            flags = [f"--{name.replace('_', '-')}" for name in names]
            raise ValueError(
                f"{', '.join(flags[:-1])} and {flags[-1]} must each be at least 1; --{low[0].replace('_', '-')} is "
                f"{getattr(self, low[0])}."
            )


class Encoder(nn.Module, ABC):
    """Bodies → tokens → one vector a body. Each encoder has a file of its own and a line in `encoders/__init__.py`.

    A row is one body of one clip, and bodies do not see each other. A subclass sets `width`, `num_segments` and
    `num_joints`. By default token t · num_joints + j is joint j in segment t; an encoder whose tokens lie in another
    order also has its own `num_tokens` and `streams`. Raises `ValueError` for settings that do not fit the frames.
    """

    config_type: ClassVar[type[EncoderConfig]]

    width: int  # numbers of a token
    num_segments: int  # parts of time that tokens tell apart
    num_joints: int  # joints that tokens tell apart; 1 = none
    num_draws: int = 0  # random numbers for each row of a training step, for what an encoder leaves out by chance

    def __init__(self, config: Any, *, num_frames: int) -> None:
        super().__init__()
        self.config = config
        self.num_frames = num_frames
        self.keep_lacking = config.frame == "body"  # see `embedding.sampling_for`

    @property
    def num_tokens(self) -> int:
        """Tokens of a body."""
        return self.num_segments * self.num_joints

    @property
    def feature_size(self) -> int:
        """Numbers of `pooled`."""
        return self.width

    @abstractmethod
    def tokens(
        self, bodies: Float[Tensor, "rows frames joints 3"], draws: Float[Tensor, "rows draws"] | None = None
    ) -> Float[Tensor, "rows tokens width"]:
        """All tokens of bodies. `draws` are `num_draws` random numbers in [0, 1) a row; without them nothing is random.

        It is a pure function of its inputs, the weights and the buffers.
        """

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        """One vector a body: what is served, and what linear probes read."""
        return self.pooled(self.tokens(bodies))

    def pooled(self, tokens: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows size"]:
        """One vector a body of its tokens: their mean, unless the encoder's paper has another."""
        return tokens.mean(dim=1)

    def streams(
        self, tokens: Float[Tensor, "rows tokens width"]
    ) -> tuple[Float[Tensor, "rows segments width"], Float[Tensor, "rows joints width"] | None]:
        """What tokens say of each segment of time, and of each joint; None if they tell no joints apart."""
        if self.num_joints == 1:
            return tokens, None
        grid = torch.unflatten(tokens, 1, (self.num_segments, self.num_joints))
        return grid.mean(dim=2), grid.mean(dim=1)

    def means(
        self, tokens: Float[Tensor, "rows tokens width"], time_parts: int, *, per_joint: bool
    ) -> Float[Tensor, "rows size"]:
        """Means of tokens over each part of time, for each joint or over all joints, side by side.

        The parts must divide the segments. Without joints to tell apart, `per_joint` must not be set.
        """
        rows, _, width = tokens.shape  # not len(tokens), which the exporter takes for a constant
        parts = tokens.view(rows, time_parts, -1, self.num_joints, width)
        means = parts.mean(dim=2) if per_joint else parts.mean(dim=(2, 3))
        return means.flatten(1)  # rows, time_parts · joints · width

    def layers_above(self, _weight: str) -> int:
        """How many layers lie above the one that has this weight: fine-tuning lets low layers learn more slowly.

        0, unless an encoder says otherwise: all its weights then learn as fast as the head.
        """
        return 0

    def placed(
        self, bodies: Float[Tensor, "rows frames joints 3"]
    ) -> tuple[Float[Tensor, "rows frames joints 3"], Bool[Tensor, "rows frames joints"] | None]:
        """Bodies as the config says they are seen, and which joints are known; None if all are."""
        return in_body_frame(bodies) if self.config.frame == "body" else (bodies, None)

    def shown(
        self, bodies: Float[Tensor, "rows frames joints 3"]
    ) -> tuple[Float[Tensor, "rows frames joints 3"], Bool[Tensor, "rows frames joints"]]:
        """`placed` for bodies in which NaN is a joint that is lacking: it is 0 and not known, in the room too."""
        placed, known = self.placed(bodies)
        if known is None:
            known = ~placed.isnan().any(dim=3)
            placed = torch.where(known[..., None], placed, 0.0)
        return placed, known


def broken_promise(encoder: Encoder, num_frames: int) -> str:
    """What an encoder says of itself and does not do with two bodies of zeros; empty if it does all.

    It goes on a sentence that begins with the encoder's name.
    """
    for name in ("width", "num_segments", "num_joints", "num_tokens", "feature_size"):
        value = getattr(encoder, name, None)
        if not isinstance(value, int) or value < 1:
            return f"has {value!r} as its {name}; expected is a whole number of 1 or more"
    weight = next(encoder.parameters(), None)
    if weight is not None and weight.is_meta:  # only counted, not computed
        return ""
    bodies = torch.zeros(2, num_frames, MODEL_LAYOUT.num_joints, 3)
    modes = {module: module.training for module in encoder.modules()}
    expected = {"tokens": (2, encoder.num_tokens, encoder.width), "features": (2, encoder.feature_size)}
    encoder.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for name, shape in expected.items():
            found = getattr(encoder, name)(bodies)
            if isinstance(found, Tensor) and found.is_floating_point() and tuple(found.shape) == shape:
                continue
            came = f"{found.dtype} of shape {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            return (
                f"gives {came} as {name} of two bodies; expected by its width, num_segments and num_joints is a tensor "
                f"of floats of shape {list(shape)}"
            )
    for module, training in modes.items():  # one by one: a part may be kept from training on purpose
        module.training = training
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskableEncoderConfig(EncoderConfig):
    """What objectives that hide tokens must know of an encoder: their decoders have its width and its heads."""

    width: int = setting(256, "Numbers in a token.")
    num_heads: int = setting(8, "Attention heads of each block.")
    segment_frames: int = setting(4, "Consecutive frames of one joint that make a token.")
    position_std: float = setting(0.5, "Initial spread (std) of position embeddings; published code has 0.02.")

    def __post_init__(self) -> None:
        self.check_at_least_1("width", "num_heads", "segment_frames")
        if not 0 < self.position_std < math.inf:  # NaN too
            raise ValueError(f"--position-std is {self.position_std}; it must be above 0 and finite.")
        if self.width % self.num_heads:
            raise ValueError(
                f"--width is {self.width}; it must be a multiple of --num-heads, which is {self.num_heads}."
            )


class MaskableEncoder(Encoder):
    """An encoder whose tokens can be left out: a token is a joint in a segment of time, and hidden ones never enter.

    Masked objectives need one. Raises `ValueError` when the segments do not divide the frames.
    """

    config: MaskableEncoderConfig

    def __init__(self, config: Any, *, num_frames: int) -> None:
        if num_frames % config.segment_frames:
            raise ValueError(
                f"--num-frames is {num_frames}; it must be a multiple of --segment-frames, {config.segment_frames}."
            )
        super().__init__(config, num_frames=num_frames)
        self.width = config.width
        self.num_segments, self.num_joints = num_frames // config.segment_frames, MODEL_LAYOUT.num_joints

    @abstractmethod
    def forward(
        self,
        segments: Float[Tensor, "rows tokens coordinates"],
        visible: Int[Tensor, "rows visible"] | None = None,
    ) -> Float[Tensor, "rows encoded width"]:
        """Encode the visible tokens only, or all of them when `visible` is not given. Hidden ones change nothing."""

    def tokens(
        self,
        bodies: Float[Tensor, "rows frames joints 3"],
        draws: Float[Tensor, "rows draws"] | None = None,  # noqa: ARG002 (nothing is left out by chance)
    ) -> Float[Tensor, "rows tokens width"]:
        return self(self.segments(bodies))

    def segments(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows tokens coordinates"]:
        """Cut time into segments: a token's input is the coordinates of one joint in `segment_frames` frames."""
        return self.known_segments(bodies)[0]

    def known_segments(
        self, bodies: Float[Tensor, "rows frames joints 3"]
    ) -> tuple[Float[Tensor, "rows tokens coordinates"], Bool[Tensor, "rows tokens"] | None]:
        """The segments, and which of them show their joint in all their frames; None if all do."""
        return self.cut(*self.placed(bodies))

    def cut(
        self,
        bodies: Float[Tensor, "rows frames joints 3"],
        known: Bool[Tensor, "rows frames joints"] | None = None,
    ) -> tuple[Float[Tensor, "rows tokens coordinates"], Bool[Tensor, "rows tokens"] | None]:
        """Placed bodies as segments, and which of these show their joint in all their frames; None if all do."""
        rows, _, joints, _ = bodies.shape
        count = bodies.shape[1] // self.config.segment_frames
        split = count, self.config.segment_frames, joints
        segments = bodies.reshape(rows, *split, 3).transpose(2, 3)
        segments = segments.reshape(rows, count * joints, 3 * self.config.segment_frames)
        return segments, None if known is None else known.reshape(rows, *split).all(dim=2).flatten(1)


class FillableEncoder(MaskableEncoder):
    """An encoder in which a learned token can stand where one is hidden."""

    @abstractmethod
    def filled(
        self,
        segments: Float[Tensor, "rows tokens coordinates"],
        hidden: Bool[Tensor, "rows tokens"] | None = None,
        hidden_token: Float[Tensor, " width"] | None = None,
        place: Int[Tensor, "rows tokens"] | None = None,
    ) -> tuple[Float[Tensor, "rows width"], Float[Tensor, "rows tokens width"]]:
        """One vector of each body, and those of all its tokens. `hidden_token` stands where tokens are `hidden`.

        There may be fewer segments than the encoder was built for: they take the first places in time. Tokens that are
        not all of a body, in their order, have a `place`.
        """

    def without_lacking(
        self, segments: Float[Tensor, "rows tokens coordinates"], known: Bool[Tensor, "rows tokens"] | None
    ) -> tuple[Float[Tensor, "rows tokens coordinates"], Int[Tensor, "rows tokens"] | None]:
        """The segments whose joint is known, and their places; all and None, if the encoder is not told which lack.

        They are as many as before: the known ones of a body come again where others were left out (see `first_known`).
        """
        if known is None or not self.keep_lacking:
            return segments, None
        count = segments.shape[1]
        order = torch.arange(count, dtype=torch.float32, device=segments.device)
        place = first_known(order.expand(known.shape), known, count)
        return segments.gather(1, place[..., None].expand(-1, -1, segments.shape[2])), place

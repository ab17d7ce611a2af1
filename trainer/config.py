"""The settings of a pre-training run, and presets with a name."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from gfp_serve.preprocess import SampleConfig
from gfp_serve.settings import choice_of, setting, settings_of
from trainer import encoders
from trainer.data.class_draws import ClassDrawsConfig
from trainer.data.general_views import GeneralViewsConfig
from trainer.embedding import PoseStatistics
from trainer.encoders import EncoderConfig, MaskableEncoder
from trainer.encoders.gru import GruConfig
from trainer.encoders.slim import SlimEncoderConfig
from trainer.encoders.transformer import TransformerConfig
from trainer.encoders.two_stream import TwoStreamConfig
from trainer.objectives import (
    OBJECTIVES,
    NoObjectiveConfig,
    ObjectiveConfig,
    config_from_json,
    config_to_json,
    config_types,
    name_of,
    needed_encoder,
)
from trainer.objectives.gfp import GfpConfig
from trainer.objectives.halp import HalpConfig
from trainer.objectives.slim import SlimConfig
from trainer.objectives.usdrl import UsdrlConfig
from trainer.plugins import reserve
from trainer.schedule import LARGEST_SEED
from trainer.terms import TermsConfig

# Headings in the help of gfp-train. What stands under none is what a newcomer needs first.
_SCHEDULE, _MACHINE = "Schedule and optimiser", "Machine and log"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Settings of a pre-training run. Optimiser and schedule default to the published ones (MAMP, GFP).

    How clips were cleaned (aligned, scaled) is a setting of the store (`gfp-data import`), not of the run.
    Raises `ValueError` for a value out of range.
    """

    encoder: EncoderConfig = choice_of(
        encoders.config_types, TransformerConfig, "What turns bodies into vectors.", heading="Encoder"
    )
    objective: ObjectiveConfig = choice_of(
        config_types, GfpConfig, "What the encoder is trained to do.", heading="Objective"
    )
    terms: TermsConfig = settings_of(TermsConfig, heading="Learn from labels, statistics, views or a teacher")
    views: GeneralViewsConfig = settings_of(GeneralViewsConfig, heading="How clips are changed for these")
    class_draws: ClassDrawsConfig = settings_of(ClassDrawsConfig, heading="How classes are drawn for --label-weight")
    num_frames: int = setting(120, "Frames that every window of a clip is resampled to.")
    keep_absent_bodies: bool = setting(False, "Train on two bodies a clip as MAMP does, zeros for absent ones.")
    epochs: int = setting(400, "Passes over the training clips.")
    batch_clips: int = setting(128, "Clips in a step. Variance and covariance need many.")
    peak_lr: float = setting(1e-3, "Learning rate after warm-up.")
    floor_lr: float = setting(5e-4, "Learning rate at the end.", heading=_SCHEDULE)
    warmup_epochs: int = setting(20, "Epochs in which the learning rate rises from 0.")
    lr_drop_at: float = setting(
        0.0,
        "Share of the run after which the learning rate falls from its peak to its floor at once; 0 = it falls along "
        "half a cosine.",
        heading=_SCHEDULE,
    )
    optimizer: Literal["adamw", "adam", "sgd"] = setting(
        "adamw",
        "How weights are changed: AdamW as published for masked objectives, Adam as for usdrl, or SGD with momentum "
        "0.9 as for halp.",
        heading=_SCHEDULE,
    )
    weight_decay: float = setting(
        0.05,
        "Decay of matrices; biases, norms and embeddings have none. Of Adam and SGD, decay of all weights.",
        heading=_SCHEDULE,
    )
    final_weight_decay: float = setting(
        0.0, "Decay at the end, to which it goes along half a cosine; 0 = the same as at the start.", heading=_SCHEDULE
    )
    clip_gradient: float = setting(
        0.0,
        "Longest gradient of each part (encoder, decoder, ...), to which longer ones are cut; 0 = not cut.",
        heading=_SCHEDULE,
    )
    embed_lr_share: float = setting(
        1.0, "Learning rate of the encoder's first layer as a share of the others'.", heading=_SCHEDULE
    )
    gradient_memory: float = setting(
        0.95, "Share of the mean of squared gradients that AdamW keeps (its second beta).", heading=_SCHEDULE
    )
    pull_to_start: float = setting(
        0.0, "Decay of the weights towards those of --init (L2-SP), so that little is forgotten.", heading=_SCHEDULE
    )
    seed: int = setting(0, "Seed of all random draws: weights, order, windows, rotations, masks.")
    device: Literal["auto", "cpu", "cuda"] = setting("auto", "Where to train; auto takes the GPU when there is one.")
    precision: Literal["auto", "fp32", "bf16"] = setting(
        "auto", "bf16 needs CUDA; auto is bf16 there, else fp32.", heading=_MACHINE
    )
    compile: Literal["auto", "off", "fused", "graphs"] = setting(
        "auto",
        "torch.compile: fused kernels, or fused kernels in CUDA graphs; auto is fused on CUDA and off on a CPU.",
        heading=_MACHINE,
    )
    num_threads: int = setting(0, "CPU threads; 0 lets torch choose.")
    log_every_steps: int = setting(100, "Steps between two lines of metrics.", heading=_MACHINE)
    save_every_epochs: int = setting(20, "Epochs between two checkpoints; another is written at the end and on Ctrl-C.")
    evaluate_every_epochs: int = setting(0, "Epochs between two retrieval scores on the test split; 0 = never.")

    def __post_init__(self) -> None:
        for name in ("num_frames", "epochs", "batch_clips", "log_every_steps", "save_every_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 1.")
        if self.batch_clips < 2:
            raise ValueError("--batch-clips is 1; batch statistics need at least 2 clips (the published runs use 128).")
        if self.terms.view_weight and self.batch_clips < 4:
            raise ValueError(
                f"--batch-clips is {self.batch_clips}; with --view-weight it must be at least 4: a step sees half as "
                f"many clips, each twice, and tells them apart."
            )
        if isinstance(self.objective, NoObjectiveConfig) and not self.terms.are_used:
            raise ValueError(
                "--objective none learns nothing by itself; give a weight to --label-weight, --statistics-weight or "
                "--view-weight, or a --teacher."
            )
        self._check_encoder()
        if self.terms.are_used and self.num_frames % PoseStatistics.num_parts:
            raise ValueError(
                f"--num-frames is {self.num_frames}; with --label-weight, --statistics-weight, --view-weight or "
                f"--teacher it must be a multiple of {PoseStatistics.num_parts}, the parts of a clip that pose "
                f"statistics tell apart."
            )
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"--seed is {self.seed}; it must lie between 0 and {LARGEST_SEED}.")
        for name in (
            *("warmup_epochs", "num_threads", "evaluate_every_epochs", "weight_decay", "final_weight_decay"),
            *("clip_gradient", "pull_to_start"),
        ):
            if not 0 <= getattr(self, name) < math.inf:  # NaN too
                raise ValueError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more, and finite."
                )
        if self.final_weight_decay and not self.weight_decay:
            raise ValueError("--final-weight-decay needs --weight-decay, the decay at the start, to be above 0.")
        if not 0 < self.embed_lr_share <= 1:
            raise ValueError(f"--embed-lr-share is {self.embed_lr_share}; it must be above 0 and at most 1.")
        if self.optimizer != "adamw" and (self.embed_lr_share < 1 or self.gradient_memory != 0.95):
            raise ValueError(
                f"--embed-lr-share and --gradient-memory are settings of --optimizer adamw, and it is {self.optimizer}."
            )
        if not 0 <= self.gradient_memory < 1:
            raise ValueError(f"--gradient-memory is {self.gradient_memory}; it must be 0 or more and below 1.")
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"--warmup-epochs is {self.warmup_epochs}, longer than the whole run of {self.epochs} epochs; "
                f"choose at most --epochs (the published runs warm up for 20 of 400)."
            )
        if not 0 <= self.lr_drop_at < 1:
            raise ValueError(f"--lr-drop-at is {self.lr_drop_at}; it must be 0 or more and below 1.")
        if not 0 < self.floor_lr <= self.peak_lr < math.inf:
            raise ValueError(
                f"--floor-lr is {self.floor_lr:g} and --peak-lr {self.peak_lr:g}; they must be finite, with 0 < floor "
                f"<= peak (the published runs fall from 1e-3 to 5e-4)."
            )

    def _check_encoder(self) -> None:
        """Raise `ValueError` for an encoder that cannot do what objective and terms need."""
        chosen, needed = encoders.type_of(self.encoder), needed_encoder(self.objective)
        name, objective = encoders.name_of(self.encoder), name_of(self.objective)
        if not issubclass(chosen, needed):
            why = " with --view-tokens" if getattr(self.objective, "view_tokens", 0) else ""
            raise ValueError(
                f"--objective {objective}{why} hides tokens of --encoder {name}, which cannot be left out; it needs "
                f"one of {_encoders_of(needed)}. Objectives for every encoder are halp and usdrl."
            )
        if self.terms.read_tokens and not issubclass(chosen, MaskableEncoder):
            raise ValueError(
                f"--label-weight, --statistics-weight, --view-weight and --teacher show a part of the tokens of an "
                f"encoder, and those of --encoder {name} cannot be left out; choose one of "
                f"{_encoders_of(MaskableEncoder)}, or let general features alone learn from labels or views: "
                f"--embedding-size 0 --general-size 176."
            )

    @property
    def learns_from_tokens(self) -> bool:
        """Whether the run teaches the encoder. Otherwise only a network on general features learns."""
        return self.terms.read_tokens or not isinstance(self.objective, NoObjectiveConfig)

    @property
    def sampling(self) -> SampleConfig:
        """How the run cuts and resamples clips when it evaluates, and when its encoder is served."""
        return SampleConfig(
            num_frames=self.num_frames,
            keep_absent_bodies=self.keep_absent_bodies,
            keep_lacking=self.encoder.frame == "body",
        )

    def to_json(self) -> dict[str, Any]:
        inner = {"encoder": encoders.config_to_json(self.encoder), "objective": config_to_json(self.objective)}
        return {**dataclasses.asdict(self), **inner}

    def packages(self) -> dict[str, str]:
        """The packages that bring encoder and objective, by these words, of those that are not built in."""
        values = self.to_json()
        chosen = {name: values[name].get("package") for name in ("encoder", "objective")}
        return {name: package for name, package in chosen.items() if package}

    def settings(self) -> dict[str, Any]:
        """Every setting by the name of its option, those of encoder and objective too."""
        values = self.to_json()
        chosen = {name: values.pop(name) for name in ("encoder", "objective")}
        names = {name: settings.pop("name") for name, settings in chosen.items()}
        for settings in chosen.values():
            settings.pop("package", None)
        inner = [values.pop(name) for name in ("terms", "views", "class_draws")]
        return {**values, **names} | {
            name: value for settings in (*chosen.values(), *inner) for name, value in settings.items()
        }

    def comparable(self) -> dict[str, Any]:
        """What the run computes, but for the seed: equal for runs that are repetitions of each other."""
        return {name: value for name, value in self.settings().items() if name not in CHANGEABLE and name != "seed"}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainConfig":
        types: dict[str, Any] = {"terms": TermsConfig, "views": GeneralViewsConfig, "class_draws": ClassDrawsConfig}
        # Runs that began before there were terms do not name them.
        inner = {name: config_type(**values.get(name, {})) for name, config_type in types.items()}
        # Those that began before there were swept areas do not name them, and have none.
        inner["terms"] = TermsConfig(**{"general_areas": False, **values.get("terms", {})})
        inner |= {
            "encoder": encoders.config_from_json(values["encoder"]),
            "objective": config_from_json(values["objective"]),
        }
        return cls(**{**values, **inner})


def _encoders_of(needed: Any) -> str:
    return ", ".join(name for name, each in encoders.installed().items() if issubclass(each, needed))


def _setting_names(*config_types: Any) -> set[str]:
    return {field.name for each in config_types for field in dataclasses.fields(each)}


# Settings of encoders and objectives of other packages are options beside all these: those of every run, and what the
# commands have that make options of them.
_TAKEN = _setting_names(TrainConfig, TermsConfig, GeneralViewsConfig, ClassDrawsConfig) | {
    *(
        "store",
        "out",
        "run",
        "resume",
        "init",
        "teacher",
        "config",
        "preset",
        "names",
        "rounds",
        "as_json",
        "json",
        "help",
        "version",
    ),
}
reserve("encoder", _TAKEN | _setting_names(*(each.config_type for each in OBJECTIVES.values())))
reserve("objective", _TAKEN | _setting_names(*(each.config_type for each in encoders.ENCODERS.values())))

# Settings of where and how often. A resumed run may change them and still computes the same. (Another kind of device
# rounds differently and draws other masks.)
CHANGEABLE = frozenset(
    ("device", "compile", "num_threads", "log_every_steps", "save_every_epochs", "evaluate_every_epochs")
)


def _published_halp(**settings: Any) -> TrainConfig:
    """HaLP on its own encoder, with the settings of its public code."""
    return TrainConfig(
        encoder=GruConfig(),
        num_frames=64,
        batch_clips=64,
        optimizer="sgd",
        peak_lr=0.01,
        floor_lr=0.001,
        warmup_epochs=0,
        weight_decay=1e-4,
        **settings,
    )


def _published_usdrl(**settings: Any) -> TrainConfig:
    """USDRL on its own dense encoder, with the settings of its public code."""
    return TrainConfig(
        encoder=TwoStreamConfig(),
        objective=UsdrlConfig(),
        num_frames=64,
        optimizer="adam",
        peak_lr=5e-4,
        floor_lr=5e-5,
        warmup_epochs=0,
        weight_decay=1e-5,
        **settings,
    )


# The encoder of the product: from labels, on clips of all kinds, by general features alone; half an hour of a CPU core.
_GENERAL_FEATURES = TrainConfig(
    encoder=TransformerConfig(width=128, depth=4, num_heads=4, frame="body"),
    objective=NoObjectiveConfig(),
    terms=TermsConfig(label_weight=1.0, temperature=0.2, embedding_size=0, general_size=176, general_hidden_size=1536),
    epochs=120,
    batch_clips=96,
    warmup_epochs=1,
    floor_lr=2e-5,
    log_every_steps=100,
    save_every_epochs=10,
)

PRESETS: dict[str, TrainConfig] = {
    # Shows the whole path in a minute on two cores, with an encoder of 0.2 M parameters.
    "demo": TrainConfig(
        encoder=TransformerConfig(width=64, depth=3, num_heads=2),
        objective=GfpConfig(local_width=64, global_width=128),
        epochs=100,
        batch_clips=32,
        warmup_epochs=2,
        peak_lr=2e-3,
        log_every_steps=20,
    ),
    # For an hour or two on a CPU. Narrower targets halve the time of a step; a short run needs a higher rate.
    "small": TrainConfig(
        encoder=TransformerConfig(width=128, depth=4, num_heads=4),
        objective=GfpConfig(local_width=256, global_width=512),
        epochs=16,
        batch_clips=64,
        warmup_epochs=1,
        peak_lr=3e-3,
        log_every_steps=20,
        save_every_epochs=1,
    ),
    "general-features": _GENERAL_FEATURES,
    # The same beside what the encoder learns of tokens. See docs/train.md.
    "general": dataclasses.replace(
        _GENERAL_FEATURES,
        terms=TermsConfig(
            label_weight=1.0, statistics_weight=1.0, temperature=0.2, embedding_size=128, general_size=112
        ),
        epochs=80,
        save_every_epochs=1,
    ),
    # The published runs on NTU RGB+D; NTU-60 is 400 epochs of 40,091 clips. Other splits of a data set use the same.
    "ntu60-xsub": TrainConfig(),
    "ntu120-xsub": TrainConfig(objective=GfpConfig(mask_temperature=0.75)),
    # SLiM's public code: 187,500 steps of 768 clips, which are 3,606 passes over the 40,091 clips of NTU-60.
    "slim-ntu60": TrainConfig(
        encoder=SlimEncoderConfig(),
        objective=SlimConfig(num_prototypes=65_536, head_width=2048, head_size=256),
        num_frames=64,
        epochs=3606,
        batch_clips=768,
        peak_lr=2e-4 * math.sqrt(768 / 1024),
        floor_lr=1e-6,
        warmup_epochs=481,
        weight_decay=0.04,
        final_weight_decay=0.2,
        clip_gradient=3.0,
        embed_lr_share=0.2,
        gradient_memory=0.999,
    ),
    # The weights as the paper prints them, with upstream's spread of positions and scale of inputs. One difference
    # stays: the first layer starts as the other linear layers do, where upstream leaves it to torch.
    "published-weights": TrainConfig(
        encoder=TransformerConfig(position_std=0.02, input_scale=1.0),
        objective=GfpConfig(variance_weight=1.0, covariance_weight=5.0),
    ),
    # HaLP's and USDRL's public code: learning rates fall to a tenth once. HaLP's first epochs are without prototypes;
    # its scripts count epochs from 0, and go on from the weights after number 200, or 500, to number 450, or 1000.
    "halp-ntu60": _published_halp(objective=HalpConfig(plain_share=201 / 451), epochs=451, lr_drop_at=351 / 451),
    "halp-pku": _published_halp(
        objective=HalpConfig(plain_share=501 / 1001, hallucination_weight=1.0), epochs=1001, lr_drop_at=801 / 1001
    ),
    "usdrl-ntu60": _published_usdrl(batch_clips=356, epochs=451, lr_drop_at=351 / 451),
    "usdrl-pku": _published_usdrl(batch_clips=512, epochs=1201, lr_drop_at=801 / 1201),
}

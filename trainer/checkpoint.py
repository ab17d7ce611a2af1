"""The state of a run on disk: written whole or not at all, and read strictly."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn

from gfp_serve.errors import GfpError, InvalidRequestError
from gfp_serve.files import open_ordinary, written_whole
from gfp_serve.preprocess import PreprocessConfig
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.encoders import Encoder, build_encoder
from trainer.general_features import general_heads
from trainer.learned_head import SERVED_SHARES, CountedStatistics, LearnedHead, Shares, SideBySide
from trainer.objectives import Objective, served_part
from trainer.plugins import MissingPluginError
from trainer.token_choice import Budget, FewTokens

FORMAT_VERSION = 2  # 2: any objective
CHECKPOINT_FILE = "checkpoint.pt"


class CheckpointError(GfpError):
    """A checkpoint is missing, cut off, of another format or of another model, or cannot be written."""


def _are_weights(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, torch.Tensor) for each in value.values())


# Part of a checkpoint -> whether it can be one. Settings are checked by their own types.
_PARTS: dict[str, Callable[[Any], bool]] = {
    "config": lambda value: isinstance(value, dict),
    "preprocess": lambda value: isinstance(value, dict),
    "data": lambda value: isinstance(value, dict) and isinstance(value.get("content_sha256"), str),
    "step": lambda value: isinstance(value, int) and value >= 0,
    "encoder": _are_weights,
    "objective": _are_weights,
    "optimizer": lambda value: isinstance(value, dict),
    # Runs that began before --init do not have it.
    "start": lambda value: value is None or _are_weights(value),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything that a run needs to go on and that an export needs to know. The encoder's weights are apart."""

    config: TrainConfig
    preprocess: PreprocessConfig
    # What it is trained on, see `data_summary`; and if there are such, its start, its teacher, and the lengths it had.
    data: dict[str, Any]
    step: int
    encoder: dict[str, torch.Tensor]
    objective: dict[str, torch.Tensor]  # decoder and target network
    optimizer: dict[str, Any]
    start: dict[str, torch.Tensor] = field(default_factory=dict)  # weights that `--pull-to-start` pulls to

    def write(self, run: Path) -> Path:
        """Write `checkpoint.pt` into a run folder and return its path. A crash leaves the old one or the new one."""
        path = run / CHECKPOINT_FILE
        values = {
            "format_version": FORMAT_VERSION,
            "config": self.config.to_json(),
            "preprocess": self.preprocess.to_json(),
            "data": self.data,
            "step": self.step,
            "encoder": self.encoder,
            "objective": self.objective,
            "optimizer": self.optimizer,
            "start": self.start,
        }
        with written_whole(path) as file:
            _save(values, file)
        return path

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint file, or the one in a run folder, onto the CPU.

        Raises `CheckpointError` for a file that is missing, damaged, or of another format.
        """
        file = path / CHECKPOINT_FILE if path.is_dir() else path
        try:
            # weights_only: a checkpoint from a stranger must not run code.
            with open_ordinary(file) as opened:
                values = torch.load(opened, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise CheckpointError(f"there is no checkpoint {file}; name a run folder of gfp-train.") from error
        except Exception as error:  # torch raises many types for a damaged file; all mean the same here
            # torch's own message is long, and advises to run what is in the file.
            raise CheckpointError(
                f"{file} is not a readable checkpoint: it was damaged or cut off, or is not gfp-train's; copy it again "
                f"or name another run."
            ) from error
        if not isinstance(values, dict) or values.get("format_version") != FORMAT_VERSION:
            raise CheckpointError(
                f"{file} is not a checkpoint of format {FORMAT_VERSION}; train again with this release."
            )
        if damaged := [name for name, is_sound in _PARTS.items() if not is_sound(values.get(name))]:
            raise CheckpointError(
                f"{file} is damaged: its {damaged[0]} is missing or not what gfp-train writes; copy it again or name "
                f"another run."
            )
        try:
            return cls(
                config=TrainConfig.from_json(values["config"]),
                preprocess=PreprocessConfig.from_json(values["preprocess"]),
                **{name: values[name] for name in ("data", "step", "encoder", "objective", "optimizer")},
                start=values.get("start") or {},
            )
        except MissingPluginError as error:
            raise CheckpointError(f"{file} cannot be used here: {error}") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{file} does not fit this release: {error}") from error

    def build_encoder(self) -> Encoder:
        """The trained encoder: where the objective says so a slow copy, unless terms beside it learned of the encoder.

        Raises `CheckpointError` when a weight is missing, left over, or of another shape.
        """
        encoder = build_encoder(self.config.encoder, num_frames=self.preprocess.sampling.num_frames)
        part = served_part(self.config.objective)
        if part == "encoder" or self.config.terms.read_tokens:
            _load(encoder, self.encoder, "encoder")
        else:
            self._load_of_objective(encoder, f"{part}.", part.replace("_", " "))
        return encoder.eval()

    def build_embedding(self, shares: Shares = SERVED_SHARES, tokens: Budget | None = None) -> nn.Module:
        """What the run taught to embed: the encoder, or what it learned beside pose statistics, weighted by `shares`.

        A part of share 0 is left out. Of each body it embeds `tokens`, or else as many as evaluations do. Raises
        `InvalidRequestError` when no part that the run has is left, and for `tokens` that it cannot leave out; and what
        `build_encoder` does.
        """
        encoder = self.build_encoder()
        terms = self.config.terms
        if not terms.learns_embedding:
            return encoder if tokens is None else _few(lambda: FewTokens(encoder, tokens)).eval()
        if tokens is not None and not (terms.embedding_size and shares.tokens > 0):
            raise InvalidRequestError("--tokens has no effect, because no token is served; leave it out.")
        parts: dict[str, nn.Module] = {"statistics": CountedStatistics(self.objective["terms.basis"])}
        if terms.embedding_size:
            head = nn.Linear(encoder.width, terms.embedding_size)
            self._load_part(head, "head")
            parts["tokens"] = _few(lambda: LearnedHead(encoder, head, tokens))
        if terms.general_size:
            heads = general_heads(terms.general_hidden_size, terms.general_size, areas=terms.general_areas)
            for name, general in heads.items():
                self._load_part(general, name)
            both = list(heads.values())
            parts["general"] = both[0] if len(both) == 1 else SideBySide(both, [1.0] * len(both))
        chosen = {name: share for name, share in shares._asdict().items() if name in parts and share > 0}
        if not chosen:
            raise InvalidRequestError(
                f"nothing is left to embed with: this run has {', '.join(sorted(parts))}; give one of them a share "
                f"above 0."
            )
        if len(chosen) == 1:
            return parts[next(iter(chosen))].eval()
        return SideBySide([parts[name] for name in chosen], list(chosen.values())).eval()

    def _load_part(self, module: nn.Module, name: str) -> None:
        self._load_of_objective(module, f"terms.{name}.", name)

    def _load_of_objective(self, module: nn.Module, beginning: str, what: str) -> None:
        own = {key.removeprefix(beginning): value for key, value in self.objective.items() if key.startswith(beginning)}
        _load(module, own, what)

    def load_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Put the optimiser's state into a newly built one. Raises `CheckpointError` for that of other weights."""
        try:
            optimizer.load_state_dict(self.optimizer)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint's state of the optimiser does not fit the model that its config names: {error}"
            ) from error

    def load_objective(self, objective: Objective) -> None:
        """Put all weights, those of the encoder too, into a newly built objective. Raises `CheckpointError`."""
        _load(
            objective, self.objective | {f"encoder.{name}": value for name, value in self.encoder.items()}, "objective"
        )


def data_summary(store: ClipStore) -> dict[str, Any]:
    """What checkpoints and bundles say about the clips they come from: content, number, sources with licences."""
    return {
        "content_sha256": store.content_digest,
        "num_clips": len(store),
        "dimensions": store.dimensions,
        "sources": [dataclasses.asdict(source) for source in store.sources],
    }


def split_state(objective: Objective) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The weights of an objective: those of the encoder, and the rest."""
    state = objective.state_dict()
    rest = {name: value for name, value in state.items() if not name.startswith("encoder.")}
    return objective.encoder.state_dict(), rest


def _few(build: Callable[[], nn.Module]) -> nn.Module:
    """A model of some tokens. Raises `InvalidRequestError` for a number that does not fit, or an encoder."""
    try:
        return build()
    except ValueError as error:
        raise InvalidRequestError(f"{error}") from error


def _save(values: dict[str, Any], file: BinaryIO) -> None:
    try:
        torch.save(values, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # the disk's reason, which torch's message lacks
            raise error.__context__ from None
        raise


def _load(module: torch.nn.Module, state: dict[str, torch.Tensor], what: str) -> None:
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"the checkpoint's {what} weights do not fit the model that its config names: {error}"
        ) from error

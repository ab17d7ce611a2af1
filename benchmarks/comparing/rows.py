"""The rows of the table, and how each is trained."""

from benchmarks.reproducing.rows import config_of
from trainer.config import TrainConfig
from trainer.objectives import installed

# The same for all: the encoder, the clips of a step, and the rate of the preset `demo`, which was chosen for gfp.
SHARED = ("--width", "64", "--depth", "3", "--num-heads", "2", "--batch-clips", "32", "--peak-lr", "2e-3")
# MAMP's script has 3 blocks for every width of the encoder.
_DECODER = dict.fromkeys(("mamp", "nat", "s_jepa", "skeleton_mae"), ("--decoder-depth", "3"))
# Published values that count steps or clips, for a run of 182 steps. At its end a slow copy has 0.4 % of its first
# weights: 0.97 ** 182, or half as many steps of 0.94 where the share rises to 1. HaLP's queue is filled twice by 64
# steps.
_SHORTER = {
    "halp": ("--key-momentum", "0.97", "--queue-keys", "1024"),
    **dict.fromkeys(("s_jepa", "slim"), ("--target-momentum", "0.94")),
}
OWN_ENCODER = "slim, its own encoder"
# As published, with half as many frames as the others.
_OF_OWN_ENCODER = ("--encoder", "slim", "--num-frames", "64")

# Row -> what `gfp-train` gets beside the shared settings. Objectives of other packages are rows too.
ROWS = {name: ("--objective", name, *_DECODER.get(name, ()), *_SHORTER.get(name, ())) for name in installed()}
ROWS[OWN_ENCODER] = (*ROWS["slim"], *_OF_OWN_ENCODER)
# USDRL with fewer tokens: each view shows 75, a tenth of all, as many as GFP's encoder sees.
ROWS["usdrl, 75 tokens"] = (*ROWS["usdrl"], "--view-tokens", "75")

POSE_STATISTICS = "pose statistics"
# Of the report: the part that has rows which were asked with all changes of the suite.
ROBUSTNESS = "robustness"
# Encoders before they are trained -> a row that has this encoder.
UNTRAINED = {"untrained": "gfp", "untrained, encoder of slim": OWN_ENCODER}


def settings_of(row: str, seed: int) -> TrainConfig:
    """The settings of a run; `OfSteps` gives it its steps."""
    run = ("--epochs", "2", "--warmup-epochs", "1", "--save-every-epochs", "1", "--log-every-steps", "20")
    return config_of([*SHARED, *ROWS[row], *run, "--seed", str(seed), "--device", "cpu"])

"""What every phase is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Settings:
    """`out` is the folder of all reports, `seconds` what the phase may take, and `store` the clips to learn from."""

    out: Path
    device: Literal["cpu", "cuda"]
    tiny: bool
    seconds: float
    store: Path | None = None


def wait(settings: Settings) -> None:
    """Wait until the device has done everything."""
    if settings.device == "cuda":
        import torch  # loads for seconds, and the process that only starts phases does without

        torch.cuda.synchronize()


def caught(run: Any) -> dict[str, Any]:
    """What a function returns, or its error as a text: one check that fails must not hide the others."""
    try:
        return run()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:2000]}

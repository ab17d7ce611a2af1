"""How far a long command is, on stderr: a bar with ETA on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Seconds between two lines, where there is no terminal.
LINE_EVERY_S = 30.0

errors = Console(stderr=True)


def clip_progress() -> Progress:
    """A bar of clips with ETA, on a terminal; it is gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("clips, ETA"))
    return Progress(*columns, TimeRemainingColumn(), console=errors, transient=True)


@contextmanager
def learning_progress(num_clips: int) -> Iterator[Callable[[int, str], None]]:
    """One bar for all runs of a protocol; the function takes clips that were read, and words on what they were for."""
    with clip_progress() as progress:
        task = progress.add_task("", total=num_clips)
        done = done_at_line = 0
        line_at = time.monotonic()

        def show(clips: int, said: str) -> None:
            nonlocal done, done_at_line, line_at
            done += clips
            progress.update(task, completed=done, description=said)
            now = time.monotonic()
            if not errors.is_terminal and now - line_at >= LINE_EVERY_S:
                clips_per_s = (done - done_at_line) / (now - line_at)
                left = f", ETA {(num_clips - done) / clips_per_s / 60:.1f} min" if clips_per_s else ""
                errors.print(f"{said}: {done}/{num_clips} clips{left}", highlight=False, soft_wrap=True)
                done_at_line, line_at = done, now

        yield show

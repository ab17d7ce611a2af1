"""Pictures of matplotlib as files that appear whole or not at all."""

from pathlib import Path

from matplotlib.figure import Figure

from gfp_serve.files import written_whole


def save_figure(figure: Figure, path: Path, *, dpi: int) -> None:
    """Write a figure as the kind of picture that the file's name ends in, such as .png.

    matplotlib's own errors name no file. Raises `OSError` that names `path` when the disk refuses, see `replacing`.
    """
    with written_whole(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix("."), dpi=dpi)

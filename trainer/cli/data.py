"""`gfp-data`: import recordings into a clip store, and look at stores and recordings."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click
from rich.table import Column, Table
from rich.text import Text

from gfp_serve.cli.options import Group, options_from, version_option
from gfp_serve.cli.printing import cell, output, print_json, say
from gfp_serve.cli.progress import errors, progress, warn
from gfp_serve.cli.reading import joint_map_option, label_from_option, say_how_files_were_read
from gfp_serve.conventions import Conventions
from gfp_serve.cores import num_cores
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import (
    Clip,
    Remark,
    acclaim,
    bvh,
    c3d_file,
    clip_file,
    csv_file,
    find_named_files,
    ntu,
    read_clips,
    trc,
)
from gfp_serve.formats.file_names import stem
from gfp_serve.formats.folder_labels import label_files
from gfp_serve.formats.remark import Remarks
from gfp_serve.joint_map import JointMap, write_guess
from gfp_serve.preprocess import MODEL_LAYOUT, CleanConfig
from trainer.data.choice import choose_clips
from trainer.data.description import describe_clips, describe_store
from trainer.data.importing import (
    ImportConfig,
    find_sources,
    import_recordings,
    read_clip_names,
    total_bytes,
)
from trainer.data.reading import ReadConfig
from trainer.data.store import ClipStore, is_store

# `plot` draws at most this many clips if no clip is named.
DEFAULT_STRIPS = 8

_PATH = click.Path(path_type=Path)
# Of more people than these, `info` does not list each.
_MOST_PEOPLE = 20
_PICTURES = (".png", ".pdf", ".svg")


@click.group(cls=Group, name="gfp-data")
@version_option
def gfp_data() -> None:
    """Import recordings into a clip store, and look at stores and recordings."""


@gfp_data.command("import", no_args_is_help=True)
@click.argument("paths", metavar="SOURCE...", nargs=-1, required=True, type=_PATH)
@click.option("--out", required=True, metavar="STORE", type=_PATH, help="Folder to write.")
@options_from(CleanConfig, into="cleaning")
@options_from(Conventions, into="conventions")
@joint_map_option
@click.option(
    "--test-subject",
    "test_subjects",
    metavar="SOURCE/SUBJECT",
    multiple=True,
    help="Make the clips of this subject test clips, and all others of its source training clips, whatever the file "
    "says; may be given several times.",
)
@click.option(
    "--licence",
    "licences",
    metavar="SOURCE=TEXT",
    multiple=True,
    help="Licence of a source, kept in the store and in what is trained on it; may be given several times.",
)
@click.option(
    "--protocol",
    type=click.Choice(["x-sub", "x-view", "x-set"]),
    help="Protocol that splits the clips which have it. [default: the usual one of a data set, x-sub for NTU RGB+D]",
)
@label_from_option
@click.option(
    "--leave-out",
    "lists",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Leave out the clips named in this text file, one a line; may be given several times. The 535 recordings of "
    "NTU RGB+D 120 that its authors list as incomplete are always left out.",
)
@click.option(
    "--compat",
    is_flag=True,
    help="Read NTU RGB+D files as published pipelines do, with their mistakes: frames without a body are cut out, and "
    "a body that vanishes and returns has no gap in time.",
)
@click.option(
    "--second-body",
    type=click.Choice(["absent", "copy"]),
    default="absent",
    show_default=True,
    help="What the second body of a clip with one body is: nothing, or a copy as in published NTU RGB+D 120 files.",
)
@click.option(
    "--num-workers",
    type=click.IntRange(min=1),
    metavar="INTEGER",
    help="Processes that read; their number does not change the store. [default: one for each processor core]",
)
@click.option("--strict", is_flag=True, help="Write nothing and fail when any file or clip cannot be used.")
@click.option("--overwrite", is_flag=True, help="Replace the store if it exists.")
def import_command(
    paths: Sequence[Path],
    out: Path,
    cleaning: CleanConfig,
    conventions: Conventions,
    joint_map: JointMap | None,
    test_subjects: Sequence[str],
    licences: Sequence[str],
    protocol: str | None,
    label_from: str | None,
    lists: Sequence[Path],
    compat: bool,
    second_body: Literal["absent", "copy"],
    num_workers: int | None,
    strict: bool,
    overwrite: bool,
) -> None:
    """Clean recordings and store them for training.

    A SOURCE is a recording or a folder of recordings: clip files and data sets of CTR-GCN and VideoPose3D (.npz), NTU
    RGB+D (.skeleton), PKU-MMD (.txt), annotations of PYSKL and MMAction2 (.pkl), arrays of ST-GCN, 2s-AGCN and
    HumanML3D (.npy), motion capture (.bvh, and .amc beside its .asf), markers (.trc, .c3d), what pose estimators and
    depth sensors write (.json, .csv), NW-UCLA (.json), videos of one person (.mp4, .m4v, .mov, .mkv, .webm, .avi, .mpg,
    .mpeg, .wmv, .3gp; gfp-pose makes a clip file of them). Its clips are named after the file if it is .npz or .pkl,
    and after the folder otherwise; where two have the same name, the folders above them are kept too. Damaged files,
    and clips in which nobody is seen, are named and left out. The store appears complete or not at all. If an import is
    interrupted, repeat the command: it goes on where it stopped.
    """
    _check_form(test_subjects, "/", "--test-subject", "SOURCE/SUBJECT")
    _check_form(licences, "=", "--licence", "SOURCE=TEXT")
    sources = find_sources(paths)
    config = ImportConfig(
        read=ReadConfig(
            cleaning=cleaning,
            conventions=conventions,
            joint_map=joint_map,
            as_published=compat,
            second_body=second_body,
        ),
        protocol=protocol,
        test_subjects=frozenset(test_subjects),
        licences=dict(licence.split("=", 1) for licence in licences),
        leave_out=ntu.incomplete_recordings().union(*map(read_clip_names, lists)),
        labels=None if label_from is None else label_files(label_from, find_named_files(paths)),
        strict=strict,
    )
    with progress() as bars:
        bar = bars.add("import", "bytes", total=total_bytes(sources))
        try:
            summary = import_recordings(
                sources,
                out,
                config,
                num_workers=num_workers or num_cores(),
                overwrite=overwrite,
                advance=bar.advance,
                report=lambda problem: warn(f"left out: {problem}"),
            )
        except KeyboardInterrupt:
            errors.print("interrupted; repeat the command to go on where it stopped.")
            raise
    say_how_files_were_read(summary.remarks, config.labels)
    if summary.num_resumed:
        errors.print(f"{summary.num_resumed} of the files were done by an earlier, interrupted import.")
    say(f"{out}: {summary}.")


@gfp_data.command("info", no_args_is_help=True)
@click.argument("paths", metavar="STORE|FILE...", nargs=-1, required=True, type=_PATH)
@label_from_option
@options_from(Conventions, into="conventions")
@joint_map_option
@click.option("--verify", is_flag=True, help="Read a store's content and compare it with its digest.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def info_command(
    paths: Sequence[Path],
    label_from: str | None,
    conventions: Conventions,
    joint_map: JointMap | None,
    verify: bool,
    as_json: bool,
) -> None:
    """Show what a store, or recordings and folders of them, hold."""
    if (store := _store_at(paths)) is not None:
        _check_unread(store, label_from, conventions, joint_map)
        if verify:
            store.verify()
        description = describe_store(store)
    elif verify:
        raise click.UsageError(f"--verify needs a store, and {paths[0]} is not one: `gfp-data import` makes one.")
    else:
        description = describe_clips(_clips(paths, label_from, conventions, joint_map))
    if as_json:
        print_json(description)
        return
    console = output()
    tables = {name: description.pop(name, None) for name in ("sources", "classes")}
    value_column = Column("value", overflow="fold")
    overview = Table("name", value_column, title=Text(_named(paths)), show_header=False, title_justify="left")
    for name, value in description.items():
        overview.add_row(name.replace("_", " "), cell(_people(value) if name == "subjects" else _as_text(value)))
    console.print(overview)
    if tables["sources"]:
        sources = Table("source", "clips", "split by", "licence", "sha256")
        for source in tables["sources"]:
            licence = source["licence"] or "not stated"
            split_by = source["protocol"] or "the file"
            cells = (source["name"], str(source["num_clips"]), split_by, licence, source["sha256"][:12])
            sources.add_row(*map(cell, cells))
        console.print(sources)
    if tables["classes"]:
        classes = Table("class", "clips")
        for name, count in tables["classes"].items():
            classes.add_row(cell(name), str(count))
        console.print(classes)


# The names of a file's joints, and what those that are known are called.
_GUESSES = {
    ".bvh": bvh.guess,
    ".amc": acclaim.guess,
    ".npz": clip_file.guess,
    ".trc": trc.guess,
    ".c3d": c3d_file.guess,
    ".csv": csv_file.guess,
}


@gfp_data.command("joint-map", no_args_is_help=True)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def joint_map_command(file: Path) -> None:
    """Print a joint map of a file to start from.

    FILE is motion capture (.bvh, .amc), markers (.trc, .c3d), a depth sensor's table (.csv) or a clip file (.npz).
    Joints whose names are known have their meaning in the map, and the others are comments. Mend it, and give it to
    other commands with --joint-map.
    """
    guess = _GUESSES.get(file.suffix.lower())
    if guess is None:
        raise click.BadParameter(f"{file} must end in {', '.join(_GUESSES)}; other formats say what their joints are.")
    names, guessed = guess(file)
    say(write_guess(names, guessed), nl=False)


@gfp_data.command("plot", no_args_is_help=True)
@click.argument("paths", metavar="STORE|FILE...", nargs=-1, required=True, type=_PATH)
@label_from_option
@options_from(Conventions, into="conventions")
@joint_map_option
@click.option("--out", required=True, metavar="PICTURE", type=_PATH, help="Picture to write, .png, .pdf or .svg.")
@click.option(
    "--clip",
    "names",
    metavar="NAME",
    multiple=True,
    help=f"Clip to draw; may be given several times. [default: one from each of the first {DEFAULT_STRIPS} classes]",
)
def plot_command(
    paths: Sequence[Path],
    label_from: str | None,
    conventions: Conventions,
    joint_map: JointMap | None,
    out: Path,
    names: Sequence[str],
) -> None:
    """Draw clips of a store or of recordings as strips of poses.

    Left limbs are blue, right limbs orange. Each clip is turned to its front.
    """
    from gfp_serve.figure_file import save_figure
    from trainer.figures import Strip, draw_strips

    if out.suffix not in _PICTURES:
        raise click.BadParameter(f"{out} must end in {', '.join(_PICTURES)}.", param_hint="--out")
    if (store := _store_at(paths)) is not None:
        _check_unread(store, label_from, conventions, joint_map)
        labels = [None if label < 0 else store.class_names[label] for label in store.labels]
        chosen = choose_clips([str(name) for name in store.names], labels, names, most=DEFAULT_STRIPS)
        drawn = [(str(store.names[i]), labels[i], store.clip(i), MODEL_LAYOUT, float(store.fps[i])) for i in chosen]
    else:
        clips = _clips(paths, label_from, conventions, joint_map)
        chosen = choose_clips([clip.name for clip in clips], [clip.label for clip in clips], names, most=DEFAULT_STRIPS)
        drawn = [(c.name, c.label, c.sequence, c.layout, c.fps) for c in (clips[index] for index in chosen)]
    strips = [
        Strip(title=name if label is None else f"{name}: {label}", sequence=sequence, layout=layout, fps=fps)
        for name, label, sequence, layout, fps in drawn
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of names in other alphabets
        save_figure(draw_strips(strips), out, dpi=150)
    say(f"{out}: {len(strips)} clips.")


def _store_at(paths: Sequence[Path]) -> ClipStore | None:
    """The store that a command was given; None if it was given recordings."""
    stores = [path for path in paths if is_store(path)]
    if stores and len(paths) > 1:
        raise click.UsageError(f"{stores[0]} is a store; name it alone, or recordings.")
    return ClipStore.open(stores[0]) if stores else None


def _check_unread(
    store: ClipStore, label_from: str | None, conventions: Conventions, joint_map: JointMap | None
) -> None:
    """Raise `UsageError` for options that say how recordings are read."""
    if label_from is not None or joint_map is not None or conventions != Conventions():
        raise click.UsageError(
            f"{store.path} is a store, whose clips were read when they were imported; leave out --label-from, "
            f"--joint-map and what else says how recordings are read."
        )


def _named(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _clips(
    paths: Sequence[Path], label_from: str | None, conventions: Conventions, joint_map: JointMap | None
) -> list[Clip]:
    """The clips of the recordings at these paths, read in this way; what readers say about the files is printed."""
    remarks = Remarks()
    clips = []
    files = find_named_files(paths)
    labels = None if label_from is None else label_files(label_from, files)
    sizes = [file.path.stat().st_size for file in files]
    with progress() as bars:
        bar = bars.add("read", "bytes", total=sum(sizes))
        for number, file in enumerate(files):

            def report(remark: Remark, file: Path = file.path) -> None:
                if remark.left_out:
                    warn(f"left out: {file}, {remark}")
                else:
                    remarks.add(file, remark.text)

            def advance(share: float, size: int = sizes[number]) -> None:
                bar.advance(share * size)

            # As an import does: FILE is needed where several files have the same name.
            prefix = "" if file.name == stem(file.path) else f"{file.name}/"
            try:
                read = list(
                    read_clips(file.path, conventions=conventions, joint_map=joint_map, report=report, advance=advance)
                )
            except DamagedFileError as error:
                if [file.path] == [*paths]:
                    raise
                warn(f"left out: {error}")
                continue
            labelled = read if labels is None else [labels.applied_to(clip, file.path) for clip in read]
            clips += [replace(clip, name=prefix + clip.name) for clip in labelled]
            bar.reach(sum(sizes[: number + 1]))
    say_how_files_were_read(remarks, labels)
    if not clips:
        raise click.ClickException(f"no usable clip was found in {_named(paths)}.")
    return clips


def _people(clips: Mapping[str, int]) -> str:
    """The number of clips of each person; of many, how many people there are."""
    if len(clips) <= _MOST_PEOPLE:
        return _as_text(clips)
    least, most = min(clips.values()), max(clips.values())
    counts = f"{least}" if least == most else f"{least} to {most}"
    return f"{len(clips)}, with {counts} {'clip' if most == 1 else 'clips'} each; --json lists them"


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_as_text(part)}" for name, part in value.items())
    return ", ".join(map(_as_text, value)) if isinstance(value, list) else str(value)


def _check_form(values: Sequence[str], separator: str, option: str, form: str) -> None:
    for value in values:
        if separator not in value:
            raise click.BadParameter(f"{value!r} must look like {form}.", param_hint=option)

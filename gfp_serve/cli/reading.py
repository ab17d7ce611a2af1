"""What commands that read recordings share: the option for labels, and what they say about how files were read."""

from pathlib import Path

import click

from gfp_serve.cli.progress import warn
from gfp_serve.formats.folder_labels import FolderLabels
from gfp_serve.formats.remark import Remarks
from gfp_serve.joint_map import read_joint_map

# The command is called with `label_from=`, a rule of `folder_labels` or None.
label_from_option = click.option(
    "--label-from",
    metavar="RULE",
    help="Label clips by something else than what is in their files: `folder` is the name of each file's folder; a "
    "regular expression with a group (?P<label>...), and (?P<subject>...) and (?P<camera>...) if wanted, is searched "
    "for in each path below the folder that is named; a .csv file has the columns file and label, and if wanted "
    "subject, camera and split (train or test). Such a label replaces the file's own.",
)


# The command is called with `joint_map=`, a `JointMap` or None.
joint_map_option = click.option(
    "--joint-map",
    metavar="FILE.toml",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    callback=lambda _context, _option, path: None if path is None else read_joint_map(path),
    help="Which joints of clip files, CSV, markers and motion capture are which, where names do not say it; `gfp-data "
    "joint-map` writes one to start from. It may say up, unit and hand too.",
)


def say_how_files_were_read(remarks: Remarks, labels: FolderLabels | None) -> None:
    """Print what readers said about the files, and which files a rule for labels did not label."""
    for line in remarks.lines():
        warn(f"note: {line}")
    if labels is not None and (about := labels.about_unlabelled()):
        warn(f"note: {about}")

"""Make the store that the shipped encoder's recipe learns from, with the classes that `gfp-evaluate suite` asks for.

    python benchmarks/encoder_store.py DATA --out STORE         nothing is learned of people whom the suite asks
    python benchmarks/encoder_store.py DATA --out STORE --all   all are learned but those whom `make demo` asks

Of some sets a class is more than the label of the file: of UI-PRMD it is the exercise and whether it was done right, of
KinderGator the coarse class. `gfp-data import` reads labels only, so copies of such files are written first. With --all
the files' own test clips are learned, too.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.array_files import open_archive, read_arrays
from trainer.data.importing import ImportConfig, find_sources, import_recordings
from trainer.evaluate.suite.protocols import PROTOCOLS
from trainer.evaluate.suite.run import SuiteConfig, open_sets
from trainer.evaluate.suite.sets import find_sets

ASKED = ("cad60", "cmu_mocap", "kindergator_adults", "msrc12", "precog", "uiprmd_kinect", "utdmhad")
# Those that repeat recordings of cmu_mocap would carry its queries into the store.
BESIDE = ("cdta", "dance_tang2018", "gtu3d", "hdm05", "mediapipe33_signs", "nwucla_train", "pushfit_mediapipe")
# All people of Florence are asked.
ONLY_SHIPPED = ("cmu_eval", "cmu_sample", "florence3d")
# `make demo` asks with the recordings of these people.
OF_DEMO = frozenset(f"precog/{person}" for person in (3, 6, 9, 12))
ALL_CLIPS = 1_000_000
# They go with the store into the manifest of each bundle that learned from it.
LICENCES = {
    "cmu_eval": "CMU: free for all uses; cite mocap.cs.cmu.edu",
    "cmu_mocap": "CMU: free for all uses; cite mocap.cs.cmu.edu",
    "cmu_sample": "CMU: free for all uses; cite mocap.cs.cmu.edu",
    "hdm05": "CC BY-SA 3.0 by third-party documentation",
    "kindergator_adults": "no licence file; its README allows recognition research",
    "mediapipe33_signs": "none stated; subject 1: MIT",
    "precog": "MIT",
    "uiprmd_kinect": "public domain (PDDL 1.0)",
}


@click.command(help=__doc__)
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The store.")
@click.option("--all", "everything", is_flag=True, help="Learn from the clips that the suite asks, too.")
def main(data: Path, out: Path, everything: bool) -> None:
    names = (*ASKED, *BESIDE, *(ONLY_SHIPPED if everything else ()))
    test_subjects = OF_DEMO if everything else frozenset(_asked(data))
    with tempfile.TemporaryDirectory() as folder:
        files = [_with_classes(data / f"{name}.npz", Path(folder), keep_split=not everything) for name in sorted(names)]
        licences = {name: LICENCES.get(name, "none stated") for name in names}
        importing = ImportConfig(test_subjects=test_subjects, licences=licences)
        click.echo(str(import_recordings(find_sources(files), out, importing, overwrite=True)))


def _asked(data: Path) -> Iterable[str]:
    """The people whom the suite may ask, with their set."""
    config = SuiteConfig(gallery_clips=ALL_CLIPS, query_clips=ALL_CLIPS)
    for given in open_sets(find_sets(data, ASKED), config, click.echo, must_all=True):
        for fold in given.folds:
            yield from (f"{given.clips.name}/{given.clips.people[int(query)]}" for query in fold.test)


def _with_classes(path: Path, folder: Path, *, keep_split: bool) -> Path:
    """The file, or a copy with the classes that the suite asks for, and without a split if none is to be kept."""
    protocol = PROTOCOLS.get(path.stem)
    columns = ("label",) if protocol is None else protocol.labels
    with open_archive(path) as archive:
        arrays = read_arrays(archive, [Path(member).stem for member in archive.namelist()])
    if columns == ("label",) and (keep_split or "split" not in arrays):
        return path
    if columns != ("label",):
        classes = [" / ".join(map(str, values)) for values in zip(*(arrays[name] for name in columns), strict=True)]
        arrays["class_names"], arrays["label"] = np.unique(classes, return_inverse=True)
    if not keep_split:
        arrays.pop("split", None)
    np.savez_compressed(folder / path.name, **arrays)
    return folder / path.name


if __name__ == "__main__":
    main()

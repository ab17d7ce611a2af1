"""Files that are cut off or have wrong bytes, for the readers of all formats."""

from pathlib import Path

from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import read_clips


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Make the content with up to three bytes replaced; it may be cut off, too."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(0, 3))):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    length = draw(st.just(len(changed)) | st.integers(0, len(changed)))
    return bytes(changed[:length])


def check_gives_clips_or_is_refused_by_name(path: Path, *beside: Path) -> None:
    """An error must name the file or one that is read with it. Other exceptions, and warnings, fail the test."""
    refusal = ""
    try:
        for clip in read_clips(path):
            assert clip.sequence.shape[2:] == (clip.layout.num_joints, 3)
    except DamagedFileError as error:
        refusal = str(error)
    assert not refusal or any(str(file) in refusal for file in (path, *beside))

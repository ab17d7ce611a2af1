"""Files that no recorder wrote, where a recording is expected: a line, little memory, and nothing is waited for."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve import array_files
from gfp_serve.cli.ask import gfp
from gfp_serve.errors import DamagedFileError, InvalidRequestError, SettingsError
from gfp_serve.formats import READERS, Clip, find_named_files, read_clips, video, write_clip_file
from gfp_serve.formats.text import MAX_TEXT_BYTES
from gfp_serve.joint_map import read_joint_map
from gfp_serve.layouts import NTU25
from gfp_serve.service.access import Tokens
from gfp_serve.service.tls import Certificates
from tests.support.tiny_bundle import walk

# An .amc is read after its skeleton, and by the same function. All videos are read by one.
ALONE = sorted(READERS.keys() - {".amc"} - set(video.SUFFIXES[1:]))


def name_for(suffix: str) -> str:
    return f"0002-L{suffix}"  # as PKU-MMD's text files must be called


@pytest.mark.parametrize("suffix", ALONE)
def test_a_pipe_in_the_place_of_a_recording_is_not_waited_for(tmp_path, suffix):
    path = tmp_path / name_for(suffix)
    os.mkfifo(path)
    with pytest.raises(DamagedFileError, match="it is a pipe, not an ordinary file"):
        list(read_clips(path))


@pytest.mark.parametrize("suffix", ALONE)
def test_a_device_in_the_place_of_a_recording_is_not_read(tmp_path, suffix):
    path = tmp_path / name_for(suffix)
    path.symlink_to("/dev/zero")
    with pytest.raises(DamagedFileError, match="it is a device, not an ordinary file"):
        list(read_clips(path))


@pytest.mark.parametrize("suffix", sorted({*ALONE, ".amc"} - {".npy", ".mp4"}))  # these may be larger than memory
def test_a_file_that_is_a_hole_of_a_terabyte_takes_no_memory(tmp_path, suffix):
    path = tmp_path / name_for(suffix)
    with path.open("wb") as file:
        file.truncate(2**40)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError, match=str(path)):
            list(read_clips(path))
        assert tracemalloc.get_traced_memory()[1] < MAX_TEXT_BYTES
    finally:
        tracemalloc.stop()


def test_a_folder_with_a_pipe_in_it_is_read_without_the_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    write_clip_file(tmp_path / "good.npz", [clip()])
    assert [file.path.name for file in find_named_files([tmp_path])] == ["good.npz"]


def test_settings_tokens_certificates_and_joint_maps_are_ordinary_files_too(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InvalidRequestError, match="it is a pipe"):
        read_joint_map(pipe)
    with pytest.raises(SettingsError, match="it is a pipe"):
        Tokens(pipe)
    with pytest.raises(SettingsError, match="it is a pipe"):
        Certificates(pipe, pipe, None)
    result = CliRunner().invoke(gfp, ["info", "--token-file", str(pipe)])
    assert "it is a pipe" in result.output
    assert result.exit_code != 0


def clip(name: str = "walk", **fields: object) -> Clip:
    return Clip(name=name, sequence=walk(1), layout=NTU25, fps=30.0, **fields)  # type: ignore[arg-type]


@pytest.fixture
def members(tmp_path: Path) -> dict[str, bytes]:
    """Return the members of a sound clip file."""
    write_clip_file(tmp_path / "sound.npz", [clip()])
    with zipfile.ZipFile(tmp_path / "sound.npz") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npy(shape: str, dtype: str = "'<f4'", content: bytes = b"", version: int = 1) -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + content


class Evil:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return print, ("this was run",)


def pickled() -> bytes:
    content = io.BytesIO()
    np.save(content, np.array([Evil()], dtype=object), allow_pickle=True)
    return content.getvalue()


LONG_HEADER = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 1000


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        ("positions", pickle.dumps(Evil()), "the magic string is not correct"),
        ("positions", pickled(), "it holds object, and only numbers and text are read"),
        ("positions", npy("(1099511627776, 25, 3)"), "announces 1099511627776 × 25 × 3"),
        ("positions", npy("(4611686018427387904, 4611686018427387904, 0)") + b"x", "announces"),
        ("positions", npy("(-1, -3)", content=bytes(12)), "announces"),
        ("positions", npy("(True, 3)", content=bytes(12)), "announces"),
        ("positions", LONG_HEADER, "its header has 4294967295 bytes"),
        ("positions", npy("(" * 5000), "its header is damaged"),
        ("positions", npy("(2,)", "[('a', '<i4')]", bytes(8)), "only numbers and text are read"),
        ("joint_names", npy("(1099511627776,)", "'<U0'"), "announces 1099511627776 of"),
        ("joint_names", npy("(1,)", "'<U1'", struct.pack("<I", 0x7FFFFFFF)), "characters that do not exist"),
        ("joint_names", npy("(1,)", "'>U1'", struct.pack(">I", 0xD800)), "characters that do not exist"),
        ("fps", b"", "expected 8 bytes got 0"),
    ],
)
def test_an_array_that_is_not_what_it_says_is_named_and_not_run(tmp_path, members, capsys, member, content, words):
    path = tmp_path / "hostile.npz"
    write_archive(path, {**members, f"{member}.npy": content})
    with pytest.raises(DamagedFileError, match=f"array '{member}' cannot be read: .*{words}"):
        list(read_clips(path))
    assert capsys.readouterr().out == ""


def write_archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_numpy_did_not_pack_is_refused(tmp_path, members, method):
    write_archive(tmp_path / "packed.npz", members, method)
    with pytest.raises(DamagedFileError, match="compressed in a way that numpy does not use"):
        list(read_clips(tmp_path / "packed.npz"))


def test_an_archive_with_a_member_that_is_encrypted_is_refused(tmp_path, members):
    path = tmp_path / "locked.npz"
    write_archive(path, members)
    content = bytearray(path.read_bytes())
    place = content.find(b"PK\x01\x02")
    while place >= 0:  # the flag in the list of members
        content[place + 8] |= 1
        place = content.find(b"PK\x01\x02", place + 1)
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="cannot be read"):
        list(read_clips(path))


def test_an_archive_with_an_endless_list_of_members_is_refused_before_the_list_is_read(tmp_path, members):
    path = tmp_path / "many.npz"
    write_archive(path, members)
    content = path.read_bytes()
    end = content.rfind(b"PK\x05\x06")
    start = content.find(b"PK\x01\x02")
    entry = content[start : content.find(b"PK\x01\x02", start + 1)]
    listed = entry * (5 * 2**20 // len(entry))
    number = struct.pack("<HH", 60_000, 60_000)
    path.write_bytes(
        content[:start] + listed + content[end : end + 8] + number + struct.pack("<II", len(listed), start) + b"\0\0"
    )
    with pytest.raises(DamagedFileError, match="its list of members has"):
        list(read_clips(path))


def test_a_data_set_whose_arrays_are_zeros_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(array_files, "_FREE_BYTES", 2_000_000)
    frames = 5000
    arrays = {
        "x_train.npy": npy(f"(1, {frames}, 150)", content=bytes(frames * 150 * 4)),
        "y_train.npy": npy("(1, 1)", content=np.ones(1, "<f4").tobytes()),
    }
    write_archive(tmp_path / "bomb.npz", arrays)
    with pytest.raises(DamagedFileError, match="would take 3 MB of memory"):
        list(read_clips(tmp_path / "bomb.npz"))


def test_names_that_no_message_takes_are_escaped(tmp_path):
    assert clip("Z\udce9", label="\ud800 x", subject="ü\udc00", description="é").name == "Z\\udce9"
    assert clip(label="\ud800 x").label == "\\ud800 x"
    assert clip(description="é").description == "é"


def test_a_file_whose_name_is_not_unicode_gives_names_that_can_be_sent(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Z\xe9.npz"))
    write_clip_file(path, [clip()])
    (found,) = find_named_files([tmp_path])
    assert found.name == "Z\\udce9"
    assert [each.name for each in read_clips(found.path)] == ["walk"]

"""Hostile files: snapshots to restore, bundles to read again, clip files and tables for the command line."""

import hashlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.attacks.callers import drawn, filled
from benchmarks.attacks.kinds import OWN_CONNECTION, Attack, Bounds, Stop, Tally
from benchmarks.attacks.scene import BUNDLES, ROOT, Target
from gfp_serve.layouts import NTU25
from gfp_serve.v1 import (
    embedding_pb2,
    embedding_pb2_grpc,
    snapshot_pb2,
    snapshot_pb2_grpc,
)

KEPT, BASE = "kept", "base"
RESTORE_S = 60.0
COUNTING = "WITH RECURSIVE counting(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counting"
# What is done to a sound snapshot, and whether it may be restored.
SNAPSHOTS = {
    "sound": ("", True),
    "trigger that deletes": (
        "CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items WHERE seq = NEW.seq; END;",
        False,
    ),
    "trigger that keeps": ("CREATE TRIGGER t BEFORE DELETE ON items BEGIN SELECT RAISE(IGNORE); END;", False),
    "trigger that counts for ever": (
        f"CREATE TRIGGER t AFTER INSERT ON items BEGIN SELECT ({COUNTING}) SELECT n FROM counting); END;",
        False,
    ),
    "endless view": (
        f"ALTER TABLE items RENAME TO kept; CREATE VIEW items AS {COUNTING}) SELECT kept.* FROM kept, counting;",
        False,
    ),
    "column that is computed": (
        "ALTER TABLE items ADD COLUMN z INTEGER AS (abs(-9223372036854775808)) VIRTUAL;",
        False,
    ),
    "table of its own": ("CREATE TABLE junk(x); INSERT INTO junk VALUES (zeroblob(50000000));", False),
}

MOST_COMMAND_MB, MOST_COMMAND_S = 1500, 60
COMMAND = (sys.executable, "-c", "from gfp_serve.cli.ask import gfp; gfp()")


def kept_snapshot(target: Target) -> None:
    filled(target, KEPT, drawn(40))
    with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
        snapshot_pb2_grpc.SnapshotServiceStub(channel).CreateSnapshot(
            snapshot_pb2.CreateSnapshotRequest(gallery=KEPT, name=BASE), metadata=target.as_admin(), timeout=60
        )


def hostile_snapshots(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Put altered snapshots beside sound ones, and restore them over gRPC."""
    folder = target.galleries / "_snapshots" / KEPT
    with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
        stub = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        for number, (what, (change, may_be_restored)) in enumerate(SNAPSHOTS.items()):
            file = folder / f"altered-{number}.sqlite"
            shutil.copy(folder / f"{BASE}.sqlite", file)
            database = sqlite3.connect(file)
            database.executescript(change)
            database.close()
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")
            request = snapshot_pb2.RestoreSnapshotRequest(gallery=KEPT, name=file.stem, into=f"restored-{number}")
            code = "OK"
            try:
                stub.RestoreSnapshot(request, metadata=target.as_admin(), timeout=RESTORE_S)
            except grpc.RpcError as error:
                code = str(error.code().name)
            tally.count(code)
            if (code == "OK") != may_be_restored or code in ("INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED"):
                tally.fault(f"a snapshot with {what}: {code}")
            if stop.is_set():
                return
    stop.wait()


def bundles_to_refuse(work: Path) -> dict[str, Path]:
    """Bundles that must not be served, by what is wrong with them."""
    sound = work / BUNDLES[0]

    def altered(name: str, change: Callable[[Path], None]) -> Path:
        folder = work / name
        shutil.copytree(sound, folder)
        change(folder)
        return folder

    def manifest(**changed: Any) -> Callable[[Path], None]:
        def change(folder: Path) -> None:
            file = folder / "manifest.json"
            values = json.loads(file.read_text())
            values["preprocess"].update(changed.pop("preprocess", {}))
            file.write_text(json.dumps({**values, **changed}))

        return change

    def pipe(folder: Path) -> None:
        (folder / "encoder.onnx").unlink()
        os.mkfifo(folder / "encoder.onnx")

    def zip_bomb() -> Path:
        file = work / "bomb.zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in ("encoder.onnx", "canonical.npz"):
                archive.write(sound / each, each)
            with archive.open("manifest.json", "w", force_zip64=True) as member:
                for _ in range(1024):
                    member.write(b" " * 2**20)
        return file

    return {
        "a billion frames": altered("frames", manifest(preprocess={"num_frames": 10**9})),
        "vectors of a billion numbers": altered("vectors", manifest(embedding_size=10**9)),
        "half a model": altered("half", lambda folder: os.truncate(folder / "encoder.onnx", 20_000)),
        "a pipe as the model": altered("pipe", pipe),
        "a manifest of a gigabyte of spaces": zip_bomb(),
        "nothing": work / "nothing",
    }


def prepare_bundles(target: Target) -> dict[str, Path]:
    return bundles_to_refuse(target.work)


def hostile_bundles(target: Target, bundles: dict[str, Path], stop: Stop, tally: Tally) -> None:
    """Put bundles that must not be served where the server looks for its own, and let it read them."""
    link, fresh, log = target.work / "bundle", target.work / "bundle.hostile", target.work / "server.log"
    with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)

        def digest() -> str:
            info = stub.GetInfo(embedding_pb2.GetInfoRequest(), metadata=target.as_reader(), timeout=60)
            return str(info.encoder_digest)

        served = digest()
        try:
            for what, path in bundles.items():
                if stop.is_set():
                    break
                fresh.symlink_to(path)
                fresh.rename(link)
                refusals, end = log.read_text().count("is served as before"), time.monotonic() + RESTORE_S
                os.kill(target.pid, 1)  # SIGHUP
                while log.read_text().count("is served as before") == refusals and time.monotonic() < end:
                    time.sleep(0.05)
                if time.monotonic() >= end:
                    tally.fault(f"a bundle with {what} was not refused within {RESTORE_S:g} s")
                    continue
                tally.count("refused")
                if digest() != served:
                    tally.fault(f"a bundle with {what} is served")
        finally:
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(target.work / BUNDLES[0])
            fresh.rename(link)
    stop.wait()


def npy(shape: object, kind: str = "<f4", content: bytes = b"") -> bytes:
    """A .npy file that says this shape, whatever follows."""
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape!r}}}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def saved(array: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


def clip_files(folder: Path) -> dict[str, Path]:
    """Clip files and tables, by what is wrong with them."""
    folder.mkdir()
    sound = {
        "positions": saved(np.random.default_rng(0).uniform(-0.5, 0.5, (60, 25, 3)).astype(np.float32)),
        "offsets": saved(np.array([0, 30, 60])),
        "fps": saved(np.array(30.0, np.float32)),
        "joint_names": saved(np.array(NTU25.joint_names)),
        "parents": saved(np.array(NTU25.parents, np.int16)),
        "clip_name": saved(np.array(["a", "b"])),
    }

    def put(name: str, **members: bytes) -> Path:
        file = folder / name
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in {**sound, **members}.items():
                archive.writestr(f"{member}.npy", content)
        return file

    def bomb(name: str, mebibytes: int) -> Path:
        file = folder / name
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in ("offsets", "fps", "clip_name"):
                archive.writestr(f"{member}.npy", sound[member])
            with archive.open("positions.npy", "w", force_zip64=True) as member_file:
                member_file.write(npy((mebibytes * 2**20 // 300, 25, 3)))
                for _ in range(mebibytes):
                    member_file.write(bytes(2**20))
        return file

    def cut(name: str, source: Path, length: int) -> Path:
        file = folder / name
        file.write_bytes(source.read_bytes()[:length])
        return file

    def pipe(name: str) -> Path:
        os.mkfifo(folder / name)
        return folder / name

    surrogate = bytearray(saved(np.array(["x", "y"])))
    surrogate[-4:] = (0xD800).to_bytes(4, "little")
    whole = put("whole.npz")
    (folder / "junk.parquet").write_bytes(b"PAR1" + bytes(range(256)) * 4 + b"PAR1")
    return {
        "nothing wrong": whole,
        "two gigabytes of zeros": bomb("bomb.npz", 2048),
        "a shape beyond memory": put("absurd.npz", positions=npy((2**40, 25, 3))),
        "a negative shape": put("negative.npz", positions=npy((-1, 25, 3))),
        "offsets that go back": put("offsets.npz", offsets=saved(np.array([60, 30, 0]))),
        "three million clips of nothing": put("nothing.npz", offsets=saved(np.zeros(3_000_000, np.int64))),
        "half a character in a name": put("surrogate.npz", clip_name=bytes(surrogate)),
        "a pickle": put("pickle.npz", positions=b"\x80\x04cos\nsystem\n(Vtrue\ntR."),
        "only its beginning": cut("cut.npz", whole, 2000),
        "a pipe": pipe("pipe.npz"),
        "a folder": folder,
        "junk as a table": folder / "junk.parquet",
    }


def prepare_files(target: Target) -> dict[str, Path]:
    return clip_files(target.work / "clips")


def hostile_files(target: Target, files: dict[str, Path], stop: Stop, tally: Tally) -> None:
    """Give them to commands, as somebody who has got them by mail."""
    token = target.work / "write.token"
    token.write_text(target.write)
    token.chmod(0o600)
    environment = {**os.environ, "GFP_ADDRESS": target.address, "GFP_TOKEN_FILE": str(token)}
    most_mb = 0.0
    for what, file in files.items():
        if stop.is_set():
            break
        if what == "a folder":
            words = ["gallery", "check", str(file)]
        elif file.suffix == ".parquet":
            words = ["gallery", "import", str(target.work / "imported"), str(file), "--encoder-digest", "0" * 64]
        else:
            words = ["add", str(file)]
        begin = time.monotonic()
        command = subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT
        )
        try:
            said, _ = command.communicate(timeout=MOST_COMMAND_S)
        except subprocess.TimeoutExpired:
            command.kill()
            said, _ = command.communicate()
            tally.fault(f"a file with {what}: no end after {MOST_COMMAND_S} s")
        tally.count(f"exit code {command.returncode}")
        most_mb = max(most_mb, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3)
        if "Traceback" in said:
            tally.fault(f"a file with {what}: a traceback, {said[-200:]}")
        if (command.returncode == 0) != (what == "nothing wrong"):
            tally.fault(f"a file with {what}: exit code {command.returncode}, {said[-200:]}")
        tally.facts["slowest, s"] = round(max(tally.facts.get("slowest, s", 0.0), time.monotonic() - begin), 1)
    tally.facts["largest command, MB"] = round(most_mb)
    if most_mb > MOST_COMMAND_MB:
        tally.fault(f"a command took {most_mb:.0f} MB")
    stop.wait()


FILES = {
    "hostile-snapshots": Attack(
        does=f"{len(SNAPSHOTS) - 1} altered snapshots to restore, beside a sound one",
        prepare=kept_snapshot,
        run=hostile_snapshots,
        seconds=20,
        beside_others=False,
    ),
    "hostile-bundles": Attack(
        does="6 bundles that cannot be served, read at SIGHUP",
        prepare=prepare_bundles,
        run=hostile_bundles,
        seconds=20,
        beside_others=False,
    ),
    "hostile-files": Attack(
        does="11 damaged files for `gfp add`, `gfp gallery import` and `gfp gallery check`",
        prepare=prepare_files,
        run=hostile_files,
        bounds=Bounds(health_p99_ms=500),
        seconds=60,
        beside_others=False,
    ),
}

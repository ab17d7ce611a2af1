"""What an operator kept of an earlier release goes on with this one, as docs/upgrade.md says."""

import json
import shutil
import signal
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from gfp_serve.bundle import Bundle
from gfp_serve.cli.ask import gfp
from gfp_serve.client import Client
from gfp_serve.errors import ForbiddenError
from gfp_serve.gallery.care.live_snapshots import LiveSnapshots
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from tests.support.server_processes import process

GOLDEN = Path(__file__).parents[1] / "golden"
RELEASES = sorted(path.name for path in GOLDEN.glob("served-*") if path.is_dir())
BUNDLE = GOLDEN / "bundle-format-1"


@pytest.mark.parametrize("release", RELEASES)
def test_this_release_serves_what_an_earlier_one_kept(release: str, tmp_path: Path) -> None:
    kept = shutil.copytree(GOLDEN / release, tmp_path / "kept")
    expected = json.loads((GOLDEN / f"{release}.json").read_text())
    (kept / "tokens").chmod(0o600)
    served = process(
        *("--config", kept / "gfp-serve.toml", "--bundle", BUNDLE),
        *("--gallery", kept / "galleries", "--tokens", kept / "tokens"),
    )
    with served as (server, address):
        with Client(address, token="reads-and-no-more") as client:
            assert client.info().encoder_digest == expected["encoder_digest"]
            found = {each.name: each.description.num_items for each in client.list_galleries() if each.description}
            assert found == expected["num_items"]
            ids = [id for id, _, _ in expected["items"]]
            assert [[each.id, each.label, dict(each.attributes)] for each in client.get(ids)] == expected["items"]
            for number, clip in enumerate(Bundle.read(BUNDLE).canonical[1:], start=1):
                (nearest,) = client.search(clip.sequence, 1, clip.layout)
                assert (nearest.id, round(nearest.similarity, 4)) == (f"recording/Gang {number}", 1.0)
            with pytest.raises(ForbiddenError):
                client.delete(ids)
        with Client(address, token="writes-and-reads-too") as client:
            client.delete(["later"])
            with pytest.raises(ForbiddenError, match="needs a token with the role admin"):
                client.list_snapshots()
        (kept / "tokens").write_text("admin does-all-there-is\n")
        with Client(address, token="does-all-there-is") as client:
            assert [(each.gallery, each.name) for each in client.list_snapshots()] == [("default", "monday")]
            client.restore_snapshot("monday", "as-it-was")
            items = client.get(expected["snapshot_items"], gallery="as-it-was")
            assert len(items) == client.describe_gallery("as-it-was").num_items
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    for gallery in ("default", "people", "as-it-was"):
        result = CliRunner().invoke(gfp, ["gallery", "check", str(kept / "galleries"), "--gallery", gallery])
        assert result.exit_code == 0, result.output


def test_the_gallery_of_the_first_release_lies_in_the_root_and_is_the_default_one(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "gallery-format-1.sqlite", tmp_path / "gallery.sqlite")
    with closing(FolderGalleries(tmp_path, encoder_digest="5e" * 32, embedding_size=4)) as galleries:
        assert len(galleries[""]) == 11
        galleries.create("beside")
        kept = LiveSnapshots(galleries)
        made = kept.create("", "before", should_stop=lambda: False)
        assert made.state is not None
        assert made.state.num_items == 11
        assert len(kept.restore("", "before", "again", should_stop=lambda: False)) == 11
    with closing(FolderGalleries(tmp_path, encoder_digest="5e" * 32, embedding_size=4)) as galleries:
        assert list(galleries.encoder_digests()) == ["again", "beside", "default"]

"""Values of other types than a call takes. The program is its own process, without the tests' checks of types."""

import subprocess
import sys

from tests.support.servers import running_in_thread

PROGRAM = """
import sys
import numpy as np
from gfp_serve.client import Client, ClipItem
from gfp_serve.errors import GfpError
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.items import Item
from gfp_serve.layouts import NTU25

motion = np.random.default_rng(0).normal(size=(20, 1, 25, 3)).astype(np.float32)
vector = np.ones(16, np.float32)

def clip(**other):
    return Clip(**{"name": "wave", "sequence": motion, "layout": NTU25, "fps": 30.0, **other})

def write(*clips):
    return write_clip_file("clips.npz", clips)

with Client(sys.argv[1]) as client:
    for call in (
        lambda: client.search(motion, where="subject!=1"),
        lambda: client.search(motion, top_k="3"),
        lambda: client.search(motion, top_k=2.5),
        lambda: client.search(motion, effort="exact"),
        lambda: client.search(motion, gallery=3),
        lambda: client.search(None),
        lambda: client.embed(motion, layout=None),
        lambda: client.embed(motion, conventions="mm"),
        lambda: client.embed([[1.0]]),
        lambda: client.classify(motion, num_neighbours="5"),
        lambda: client.classify(motion, temperature="5"),
        lambda: client.classify(motion, unknown_below="5"),
        lambda: client.upsert([motion]),
        lambda: client.upsert(Item("a", vector)),
        lambda: client.upsert([Item(3, vector)]),
        lambda: client.upsert([ClipItem("a", motion, label=None)]),
        lambda: client.upsert([ClipItem("a", motion, attributes=None)]),
        lambda: client.upsert([ClipItem("a", motion, source="day")]),
        lambda: client.get("a"),
        lambda: client.get([3]),
        lambda: client.delete(3),
        lambda: client.create_gallery(None),
        lambda: Client(None),
        lambda: Client("localhost"),
        lambda: Client(timeout_s="3"),
        lambda: write(clip(subject=None)),
        lambda: write(clip(label=3)),
        lambda: write(clip(fps=None)),
        lambda: write(clip(layout="ntu25")),
        lambda: write(clip(sequence=motion[:, 0])),
        lambda: write(clip(), motion),
    ):
        try:
            print("was accepted:", call())
        except GfpError as error:
            print(str(error))
"""

SAID = """\
where: it is 'subject!=1', of type str; give a Filter; gfp_serve.filter_text.read_filter(['subject!=1']) makes one of
top_k: it is '3', of type str; give a whole number.
top_k: it is 2.5, of type float; give a whole number.
effort: it is 'exact', of type str; give an Effort, such as Effort(exact=True).
gallery: it is 3, of type int; give a text.
queries[0]: a sequence must be an array of numbers, got NoneType
layout: it is None, of type NoneType; give a Layout or a name: azure32, bandai21, body25,
conventions: it is 'mm', of type str; give Conventions, such as Conventions(up="-y").
sequences[0]: a sequence must be an array of numbers, got list
num_neighbours: it is '5', of type str; give a whole number.
temperature: it is '5', of type str; give a number.
unknown_below: it is '5', of type str; give a number.
items[0]: it is of type ndarray; give a ClipItem, which has a sequence, or an Item, which has a vector.
items: it is of type Item; give a list of items, even for one.
items[0]: the id is 3, of type int; give a text.
items[0]: the label is None, of type NoneType; give a text.
items[0]: attributes is None, of type NoneType; give a dict of texts, numbers, booleans
items[0]: the source is 'day', of type str; give a Source, or None for all of a recording.
ids: it is the text 'a'; give a list of ids, even for one.
ids[0]: it is 3, of type int; give a text.
ids: it is 3, of type int; give a list of ids, even for one.
gallery: it is None, of type NoneType; give a text.
address: it is None, of type NoneType; give the text HOST:PORT
the address 'localhost' has no port; give HOST:PORT, e.g. localhost:50051.
timeout_s: it is '3', of type str; give a number of seconds; 30 is usual.
subject of clip 'wave': it is None, of type NoneType; give a text; 'unknown' says that it is not known.
label of clip 'wave': it is 3, of type int; give the action's name, or None where it is not known.
fps of clip 'wave': it is None, of type NoneType; give frames a second.
layout of clip 'wave': it is 'ntu25', of type str; give a Layout, such as LAYOUTS['ntu25'].
clip 'wave' has an array of shape 20 × 25 × 3; a clip of layout ntu25 has frames × bodies × 25 × 3.
clips[1]: it is of type ndarray; give a Clip.
""".splitlines()


def test_a_value_of_another_type_is_refused_with_what_to_give_instead(tmp_path):
    with running_in_thread(tmp_path / "server") as address:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, address], capture_output=True, text=True, cwd=tmp_path, timeout=120
        )
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.splitlines()
    assert [(line, expected) for line, expected in zip(said, SAID, strict=True) if not line.startswith(expected)] == []
    assert not (tmp_path / "clips.npz").exists()

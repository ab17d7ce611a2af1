"""A bundle's model runs in a browser, by onnxruntime-web, with the vectors that the bundle promises.

onnxruntime-web comes from npm once and is kept beside what tests fetch from Debian. The browser itself finds no host.
"""

import base64
import dataclasses
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, Route

from gfp_serve.bundle import CANONICAL_TOLERANCE, ROUNDED_TOLERANCE, Bundle
from gfp_serve.config import SHIPPED_BUNDLES
from gfp_serve.encoder import Encoder
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25, layout_named
from gfp_serve.preprocess import PreprocessConfig, SampleConfig, prepare
from tests.support.browser import launched
from tests.support.debian import cache
from tests.support.small_runs import moving_body
from trainer.agreement import prepared
from trainer.embedding import ClipEmbedding, sampling_for
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.export import Origin, export_bundle
from trainer.int8 import quantized
from trainer.learned_head import LearnedHead
from trainer.onnx_graph import FORMS, Form, to_onnx
from trainer.token_choice import Budget

VERSION = "1.30.0"
PARTS = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
ORIGIN = "http://models.test"

# Clips as [shape, base64 of float32], the vectors back as lists.
RUN = """async ({model, clips}) => {
  const bytes = text => Uint8Array.from(atob(text), each => each.charCodeAt(0));
  ort.env.wasm.wasmPaths = '/';
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(bytes(model));
  const vectors = [];
  for (const [shape, text] of clips) {
    const given = new ort.Tensor('float32', new Float32Array(bytes(text).buffer), shape);
    vectors.push(Array.from((await session.run({clips: given})).embeddings.data));
  }
  return vectors;
}"""


@pytest.fixture(scope="module")
def parts() -> dict[str, bytes]:
    """The files of onnxruntime-web."""
    folder = cache() / f"onnxruntime-web-{VERSION}"
    if not folder.exists():
        if shutil.which("npm") is None:
            pytest.skip("there is no npm to fetch onnxruntime-web with")
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            words = ["npm", "pack", "--ignore-scripts", f"onnxruntime-web@{VERSION}"]
            if subprocess.run(words, cwd=made, capture_output=True, check=False).returncode:
                pytest.skip("onnxruntime-web cannot be fetched from npm")
            unpacked = Path(made) / "unpacked"
            unpacked.mkdir()
            with tarfile.open(next(Path(made).glob("*.tgz"))) as archive:
                for part in PARTS:
                    file = archive.extractfile(f"package/dist/{part}")
                    assert file is not None
                    (unpacked / part).write_bytes(file.read())
            try:
                unpacked.rename(folder)
            except OSError:  # another test, running at the same time, was quicker
                assert folder.exists()
    return {part: (folder / part).read_bytes() for part in PARTS}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with launched(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def page(browser: Browser, parts: dict[str, bytes]) -> Iterator[Page]:
    """A page with onnxruntime-web in it, which can load nothing else."""
    kinds = {"js": "text/javascript", "mjs": "text/javascript", "wasm": "application/wasm"}

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(f"{ORIGIN}/")
        if not name:
            route.fulfill(body="<!doctype html><title>model</title>", content_type="text/html")
        elif name in parts:
            route.fulfill(body=parts[name], content_type=kinds[name.rpartition(".")[2]])
        else:
            route.abort()

    opened = browser.new_page()
    opened.route("**/*", answer)
    opened.goto(f"{ORIGIN}/")
    opened.add_script_tag(url=f"{ORIGIN}/ort.wasm.min.js")
    yield opened
    opened.close()


def in_browser(page: Page, bundle: Bundle) -> np.ndarray:
    """Return the vectors of the canonical clips, prepared here."""
    clips: list[Any] = []
    for clip in bundle.canonical:
        given = prepare(clip.sequence, layout_named(clip.layout), bundle.manifest.preprocess)[None]
        clips.append([given.shape, base64.b64encode(given.tobytes()).decode()])
    model = base64.b64encode(bundle.model).decode()
    return np.array(page.evaluate(RUN, {"model": model, "clips": clips}))


def test_the_shipped_encoder_runs_in_a_browser(page: Page) -> None:
    bundle = Bundle.read(SHIPPED_BUNDLES / "general-features")
    expected = np.stack([clip.embedding for clip in bundle.canonical])
    np.testing.assert_allclose(in_browser(page, bundle), expected, atol=CANONICAL_TOLERANCE)


@pytest.fixture(scope="module")
def in_forms() -> dict[Form, Bundle]:
    """A small encoder of tokens in every form of its graph."""
    torch.manual_seed(0)
    encoder = Transformer(TransformerConfig(width=32, depth=1, num_heads=2), num_frames=24)
    clips = [Clip(name=str(n), sequence=moving_body(n, num_bodies=n), layout=NTU25, fps=30.0) for n in (1, 2)]
    origin = Origin(name="small", objective="gfp", step=1, data={}, training=None)
    preprocess = PreprocessConfig(sampling=SampleConfig(num_frames=24))
    graph = to_onnx(ClipEmbedding(encoder).eval(), 24)  # takes long and is the same for all
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("trainer.export.to_onnx", lambda *_: graph)
        return {form: export_bundle(encoder, clips, preprocess, origin, {}, form=form).bundle for form in FORMS}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_graph_runs_in_a_browser(form: Form, in_forms: dict[Form, Bundle], page: Page) -> None:
    bundle = in_forms[form]
    expected = np.stack([clip.embedding for clip in bundle.canonical])
    np.testing.assert_allclose(in_browser(page, bundle), expected, atol=CANONICAL_TOLERANCE)


@pytest.fixture(scope="module")
def student() -> Bundle:
    """What a student embeds: some of its tokens, chosen in the graph where joints lack, and a linear layer."""
    torch.manual_seed(0)
    encoder = Transformer(TransformerConfig(width=32, depth=1, num_heads=2, frame="body"), num_frames=24)
    model = LearnedHead(encoder, torch.nn.Linear(32, 16), Budget(30)).eval()
    clips = [Clip(name=str(n), sequence=moving_body(n, num_bodies=n), layout=NTU25, fps=30.0) for n in (1, 2)]
    lacking = clips[0].sequence.copy()
    lacking[:, :, 7] = np.nan
    clips.append(dataclasses.replace(clips[0], name="no hand", sequence=lacking))
    origin = Origin(name="student", objective="gfp", step=1, data={}, training=None)
    preprocess = PreprocessConfig(sampling=sampling_for(model, SampleConfig(num_frames=24)))
    return export_bundle(model, clips, preprocess, origin, {}, form="fused").bundle


def test_a_student_runs_in_a_browser(student: Bundle, page: Page) -> None:
    expected = np.stack([clip.embedding for clip in student.canonical])
    assert np.abs(expected[0] - expected[2]).max() > 1e-3
    np.testing.assert_allclose(in_browser(page, student), expected, atol=CANONICAL_TOLERANCE)


def test_a_bundle_of_8_bits_runs_in_a_browser(student: Bundle, page: Page) -> None:
    smaller = quantized(student, "unsigned")
    encoder = Encoder(smaller, device="cpu", num_threads=1)
    expected = np.concatenate([encoder.encode(prepared(smaller, clip)[None]) for clip in smaller.canonical])
    np.testing.assert_allclose(in_browser(page, smaller), expected, atol=ROUNDED_TOLERANCE)

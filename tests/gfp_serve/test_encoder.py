import os
import types

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail

from gfp_serve import encoder as encoder_module
from gfp_serve.bundle import OUTPUT_NAME
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError, DeviceError
from gfp_serve.preprocess import PreprocessConfig, SampleConfig
from gfp_serve.runtime import LARGEST_BATCH, check_packages
from tests.support.tiny_bundle import SIZE, tiny_bundle, tiny_encode, tiny_model


def some_clips(batch: int, bodies: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((batch, bodies, 6, 25, 3)).astype(np.float32)


class SaysCuda(onnxruntime.InferenceSession):
    """A session on the CPU that says it runs on what it was asked for."""

    nodes = 4

    def __init__(self, model, sess_options, providers, enable_fallback):
        assert enable_fallback == 0
        super().__init__(model, sess_options=sess_options, providers=["CPUExecutionProvider"])
        self.asked = dict(each for each in providers if isinstance(each, tuple))

    def get_providers(self):
        return [*self.asked, "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self):
        def part(name, count):
            return types.SimpleNamespace(ep_name=name, get_nodes=lambda: [None] * count)

        return [part(self.get_providers()[0], self.nodes), part("CPUExecutionProvider", 1)]


def stand_in(monkeypatch, session, *more):
    """Let this machine look as if it had a GPU, on which this class of sessions runs, for CUDA and more providers."""
    names = [*more, "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(encoder_module, "_GPU_MEMORY", "cpu")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")


@pytest.mark.parametrize(("batch", "bodies"), [(1, 1), (1, 2), (5, 1), (3, 2)])
def test_every_batch_size_and_body_count_gives_the_vectors_of_the_formula(batch, bodies):
    clips = some_clips(batch, bodies)
    vectors = Encoder(tiny_bundle(), num_threads=1).encode(clips)
    assert vectors.shape == (batch, SIZE)
    np.testing.assert_allclose(vectors, tiny_encode(clips), atol=1e-5)


def test_the_reported_device_is_the_one_on_which_the_session_runs():
    encoder = Encoder(tiny_bundle(), device="cpu")
    assert (encoder.provider, encoder.device) == ("CPUExecutionProvider", "cpu")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is here")
def test_cuda_without_cuda_is_refused_with_what_to_do():
    with pytest.raises(DeviceError, match=r"extra 'gpu'.*--device cpu"):
        Encoder(tiny_bundle(), device="cuda")


def test_a_session_that_falls_back_to_the_cpu_is_an_error_for_cuda_and_a_warning_for_auto(monkeypatch, caplog):
    # A package with CUDA on a machine without a driver lists the provider, but its session does not use it.
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    real = onnxruntime.InferenceSession
    asked = []

    def fall_back(model, sess_options, providers, **_):
        asked.append(providers)
        return real(model, sess_options=sess_options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fall_back)
    with pytest.raises(DeviceError, match="the session runs on CPUExecutionProvider"):
        Encoder(tiny_bundle(), device="cuda")
    assert Encoder(tiny_bundle(), device="auto").device == "cpu"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    (name, options), _ = asked[0]
    assert (name, options["use_tf32"]) == ("CUDAExecutionProvider", "0")


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (
            "libcudnn.so.9: cannot open shared object file: No such file or directory",
            "the library libcudnn.so.9 is not",
        ),
        ("libonnxruntime_providers_cuda.so: undefined symbol: Provider_GetHost", None),
        ("/a/libonnxruntime_providers_cuda.so: cannot open shared object file: No such file or directory", None),
    ],
)
def test_the_error_for_cuda_names_the_library_that_is_missing(monkeypatch, capsys, found, named):
    def load(path: str) -> None:
        assert path.endswith("libonnxruntime_providers_cuda.so")
        raise OSError(found)

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcudnn.so.9"))  # noqa: T201
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda model, sess_options, **_: real(model, sess_options, providers=["CPUExecutionProvider"]),
    )
    monkeypatch.setattr("gfp_serve.runtime.ctypes.CDLL", load)
    with pytest.raises(DeviceError, match=named or r"runs on CPUExecutionProvider\.") as raised:
        Encoder(tiny_bundle(), device="cuda")
    assert "extra 'gpu'" in str(raised.value)
    assert capsys.readouterr().out == ""


def test_batches_on_cuda_have_few_sizes_and_the_same_vectors(monkeypatch):
    sizes = []

    class Session(SaysCuda):
        def run_with_iobinding(self, binding, options=None):
            sizes.append(binding.get_outputs()[0].shape()[0])
            super().run_with_iobinding(binding, options)

    stand_in(monkeypatch, Session)
    encoder = Encoder(tiny_bundle(), device="cuda")
    assert (encoder.provider, encoder.device, encoder.num_threads) == ("CUDAExecutionProvider", "cuda", 1)
    for batch in (1, 2, 3, 5, 8, 9, LARGEST_BATCH + 1):
        clips = some_clips(batch, 2)
        vectors = encoder.encode(clips)
        assert vectors.shape == (batch, SIZE)
        np.testing.assert_allclose(vectors, tiny_encode(clips), atol=1e-5)
    assert sizes == [1, 2, 4, 8, 8, 16, LARGEST_BATCH, 1]


def test_a_call_that_fails_on_cuda_raises_and_does_not_go_on_on_the_cpu(monkeypatch):
    class Session(SaysCuda):
        def run_with_iobinding(self, binding, options=None):
            raise EPFail("CUDA error")

    stand_in(monkeypatch, Session)
    encoder = Encoder(tiny_bundle(), device="cuda")
    with pytest.raises(EPFail, match="CUDA error"):
        encoder.encode(some_clips(1, 1))
    assert encoder.provider == "CUDAExecutionProvider"


def test_cuda_graphs_are_recorded_where_the_session_allows_it(monkeypatch, caplog):
    opened, graphs = [], []

    class Session(SaysCuda):
        def __init__(self, model, sess_options, providers, enable_fallback):
            super().__init__(model, sess_options, providers, enable_fallback)
            opened.append(self.asked["CUDAExecutionProvider"].get("enable_cuda_graph"))

        def run_with_iobinding(self, binding, options=None):
            graphs.append(options.get_run_config_entry("gpu_graph_id"))
            super().run_with_iobinding(binding, options)

    stand_in(monkeypatch, Session)
    encoder = Encoder(tiny_bundle(), device="cuda", cuda_graphs=True)
    clips = some_clips(2, 1)
    np.testing.assert_allclose(encoder.encode_first(clips), tiny_encode(clips), atol=1e-5)
    np.testing.assert_allclose(encoder.encode(clips), tiny_encode(clips), atol=1e-5)
    assert (opened, graphs) == (["1"], ["-1", "-1", "1", "1", "1"])
    assert caplog.records == []


@pytest.mark.parametrize("fails", ["opening", "recording"])
def test_an_encoder_whose_graphs_fail_says_so_once_and_goes_on_without(monkeypatch, caplog, fails):
    class Session(SaysCuda):
        def __init__(self, model, sess_options, providers, enable_fallback):
            super().__init__(model, sess_options, providers, enable_fallback)
            self.graphs = "enable_cuda_graph" in self.asked["CUDAExecutionProvider"]
            if self.graphs and fails == "opening":
                raise Fail("nodes are not on CUDA")

        def run_with_iobinding(self, binding, options=None):
            if self.graphs and options.get_run_config_entry("gpu_graph_id") != "-1":
                raise Fail("operation not permitted when stream is capturing")
            super().run_with_iobinding(binding, options)

    stand_in(monkeypatch, Session)
    encoder = Encoder(tiny_bundle(), device="cuda", cuda_graphs=True)
    for size in (2, 3, 2):
        clips = some_clips(size, 1)
        np.testing.assert_allclose(encoder.encode(clips), tiny_encode(clips), atol=1e-5)
    assert encoder.device == "cuda"
    (record,) = caplog.records
    assert "CUDA graphs cannot be used" in record.message
    assert ("nodes are not" if fails == "opening" else "stream is capturing") in record.message


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_an_encoder_whose_graphs_and_cuda_fail_does_not_go_on_on_the_cpu(monkeypatch, device):
    class Session(SaysCuda):
        fails = False

        def __init__(self, model, sess_options, providers, enable_fallback):
            super().__init__(model, sess_options, providers, enable_fallback)
            if self.fails and self.asked:
                raise RuntimeError("CUDA failure 2: out of memory")

        def run_with_iobinding(self, binding, options=None):
            if self.fails:
                raise Fail("operation not permitted when stream is capturing")
            super().run_with_iobinding(binding, options)

    stand_in(monkeypatch, Session)
    encoder = Encoder(tiny_bundle(), device=device, cuda_graphs=True)
    clips = some_clips(2, 1)
    np.testing.assert_allclose(encoder.encode(clips), tiny_encode(clips), atol=1e-5)
    Session.fails = True
    with pytest.raises(DeviceError, match="out of memory"):
        encoder.encode(clips)
    Session.fails = False
    np.testing.assert_allclose(encoder.encode(clips), tiny_encode(clips), atol=1e-5)
    assert encoder.device == "cuda"


def test_cuda_graphs_without_cuda_are_said_to_have_no_effect_and_open_no_session_more(monkeypatch, caplog):
    opened = []
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: opened.append(1) or real(*a, **k))
    assert Encoder(tiny_bundle(), device="cpu", cuda_graphs=True).device == "cpu"
    assert len(opened) == 1
    assert "--cuda-graphs has no effect" in caplog.text


@pytest.mark.parametrize(("graph", "halves"), [("standard", "0"), ("fp16", "1")])
def test_tensorrt_gets_one_engine_for_all_batches_in_a_folder_of_the_model(monkeypatch, tmp_path, graph, halves):
    stand_in(monkeypatch, SaysCuda, "TensorrtExecutionProvider")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle = tiny_bundle(graph=graph)
    encoder = Encoder(bundle, device="tensorrt")
    assert (encoder.provider, encoder.device, encoder.num_threads) == ("TensorrtExecutionProvider", "tensorrt", 1)
    assert list(encoder._session.asked) == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    options = encoder._session.asked["TensorrtExecutionProvider"]
    folder = tmp_path / "gfp-serve" / "tensorrt" / f"{bundle.manifest.model_sha256[:32]}-{onnxruntime.__version__}"
    assert options["trt_engine_cache_path"] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert options["trt_fp16_enable"] == halves
    assert options["trt_profile_min_shapes"] == "clips:1x1x6x25x3"
    assert options["trt_profile_max_shapes"] == "clips:128x2x6x25x3"
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"
    clips = some_clips(3, 2)
    np.testing.assert_allclose(encoder.encode(clips), tiny_encode(clips), atol=1e-5)


@pytest.mark.parametrize(("device", "instead"), [("tensorrt", "cuda"), ("cuda", "cpu")])
def test_a_gpu_that_takes_no_node_is_refused(monkeypatch, tmp_path, device, instead):
    stand_in(monkeypatch, SaysCuda, "TensorrtExecutionProvider")
    monkeypatch.setattr(SaysCuda, "nodes", 0)
    with pytest.raises(DeviceError, match=rf"takes no node of this model .*--device {instead}"):
        Encoder(tiny_bundle(), device=device, tensorrt_cache=tmp_path)


class FailsOnCuda(SaysCuda):
    """The CPU's session works."""

    def __init__(self, model, sess_options, providers, enable_fallback):
        super().__init__(model, sess_options, providers, enable_fallback)
        if self.asked:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")


def test_why_cuda_fails_is_said_and_not_hidden_by_a_second_attempt(monkeypatch, capsys):
    stand_in(monkeypatch, FailsOnCuda)
    with pytest.raises(DeviceError, match=r"CUDA cannot be used: onnxruntime says: CUDA failure 100: .*--device cpu"):
        Encoder(tiny_bundle(), device="cuda")
    assert capsys.readouterr().out == ""


def test_a_model_that_nothing_loads_is_not_the_fault_of_cuda(monkeypatch):
    stand_in(monkeypatch, SaysCuda)
    with pytest.raises(BundleError, match="cannot be loaded"):
        Encoder(tiny_bundle(b"no model"), device="cuda")


def test_a_gpu_that_fails_and_that_nobody_asked_for_is_replaced_by_the_cpu_with_the_reason(monkeypatch, caplog):
    stand_in(monkeypatch, FailsOnCuda)
    encoder = Encoder(tiny_bundle(), device="auto")
    assert encoder.device == "cpu"
    clips = some_clips(2, 1)
    np.testing.assert_allclose(encoder.encode(clips), tiny_encode(clips), atol=1e-5)
    assert "because CUDA failed: CUDA failure 100" in caplog.text


def test_a_session_that_falls_back_from_tensorrt_to_cuda_is_refused(monkeypatch, tmp_path):
    class Session(SaysCuda):
        def get_providers(self):
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def load(path):
        assert path.endswith("libonnxruntime_providers_tensorrt.so")
        raise OSError("libnvinfer.so.10: cannot open shared object file: No such file or directory")

    stand_in(monkeypatch, Session, "TensorrtExecutionProvider")
    monkeypatch.setattr("gfp_serve.runtime.ctypes.CDLL", load)
    with pytest.raises(DeviceError, match=r"TensorRT .*runs on CUDAExecutionProvider, because .* libnvinfer.so.10"):
        Encoder(tiny_bundle(), device="tensorrt", tensorrt_cache=tmp_path)


def test_tensorrt_without_tensorrt_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(DeviceError, match=r"TensorRT cannot be used: this onnxruntime is built without it.*LD_LIBRARY"):
        Encoder(tiny_bundle(), device="tensorrt", tensorrt_cache=tmp_path)


def test_a_folder_for_engines_that_cannot_be_made_is_named(monkeypatch, tmp_path):
    stand_in(monkeypatch, SaysCuda, "TensorrtExecutionProvider")
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match=r"file.*cannot be made .*--tensorrt-cache"):
        Encoder(tiny_bundle(), device="tensorrt", tensorrt_cache=tmp_path / "file")


@pytest.mark.parametrize("installed", [{"onnxruntime"}, {"onnxruntime-gpu"}, set()])
def test_one_onnxruntime_package_is_fine(installed):
    check_packages(installed.__contains__)


def test_both_onnxruntime_packages_are_refused():
    with pytest.raises(DeviceError, match=r"Uninstall both"):
        check_packages({"onnxruntime", "onnxruntime-gpu"}.__contains__)


def test_bytes_that_are_not_a_model_are_a_bundle_error():
    with pytest.raises(BundleError, match="cannot be loaded"):
        Encoder(tiny_bundle(b"no model"))


def test_a_model_with_other_inputs_is_named():
    graph = helper.make_graph(
        [helper.make_node("Identity", ["pixels"], ["embeddings"])],
        "other",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(BundleError, match="pixels"):
        Encoder(tiny_bundle(model.SerializeToString()))


def test_the_canonical_check_finds_an_encoder_that_gives_other_vectors():
    bundle = tiny_bundle()
    assert bundle.check(Encoder(bundle).encode) < 1e-5
    with pytest.raises(BundleError, match="other vectors"):
        bundle.check(lambda clips: np.roll(tiny_encode(clips), 1, axis=1))


def test_a_manifest_with_another_number_of_frames_than_the_model_is_a_bundle_error():
    bundle = tiny_bundle(preprocess=PreprocessConfig(sampling=SampleConfig(num_frames=5, crop=1.0)))
    with pytest.raises(BundleError, match="cannot be run on canonical clip 0"):
        bundle.check(Encoder(bundle).encode)


@pytest.mark.parametrize("location", ["weights.bin", "../other/weights.bin", "{folder}/other/weights.bin"])
def test_a_model_reads_no_file_beside_it(tmp_path, monkeypatch, location):
    model = onnx.load_from_string(tiny_model())
    (weights,) = model.graph.initializer
    content = onnx.numpy_helper.to_array(weights).tobytes()
    for folder in ("work", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "weights.bin").write_bytes(content)
    monkeypatch.chdir(tmp_path / "work")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location.format(folder=tmp_path), "length": str(len(content))}.items():
        weights.external_data.add(key=key, value=value)
    with pytest.raises(BundleError, match="cannot be loaded"):
        Encoder(tiny_bundle(model.SerializeToString()), num_threads=1)


def test_a_model_whose_loop_has_no_end_is_refused_in_time(monkeypatch):
    monkeypatch.setattr(encoder_module, "_FIRST_CALL_S", 0.2)
    bundle = tiny_bundle(endless_model())
    with pytest.raises(BundleError, match=r"cannot be run on canonical clip 0: .*terminate flag"):
        bundle.check(Encoder(bundle, device="cpu").encode_first)


def endless_model() -> bytes:
    """Return the tiny model with a loop before its end that counts up to 2**62."""
    model = onnx.load_from_string(tiny_model())
    last = next(node for node in model.graph.node if OUTPUT_NAME in node.output)
    last.output[0] = "before"
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["goes_on"], ["still"]), helper.make_node("Add", ["x", "x"], ["sum"])],
        "round",
        [
            value("i", TensorProto.INT64, []),
            value("goes_on", TensorProto.BOOL, []),
            value("x", TensorProto.FLOAT, None),
        ],
        [value("still", TensorProto.BOOL, []), value("sum", TensorProto.FLOAT, None)],
    )
    model.graph.node.append(helper.make_node("Loop", ["rounds", "", "before"], [OUTPUT_NAME], body=body))
    model.graph.initializer.append(helper.make_tensor("rounds", TensorProto.INT64, [], [2**62]))
    return model.SerializeToString()

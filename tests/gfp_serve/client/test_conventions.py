"""The Python clients say how coordinates are meant, and send joints of an image as they are."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.client import AsyncClient, ClipItem, StreamSettings
from gfp_serve.conventions import Conventions
from gfp_serve.errors import InvalidRequestError, InvalidSkeletonError
from gfp_serve.image_joints import from_image
from gfp_serve.layouts import NTU25
from tests.support.person import waving
from tests.support.servers import running

Z_UP_MM = Conventions(up="z", unit="mm")
TURNED = waving()[..., [0, 2, 1]] * np.float32([1000, -1000, 1000])
PIXELS = waving()[..., :2] * np.float32([300, -300]) + np.float32([200, 700])


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with running(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as connected:
        yield connected


async def test_every_call_takes_conventions(client: AsyncClient) -> None:
    expected = await client.embed(waving())
    np.testing.assert_allclose(await client.embed(TURNED, conventions=Z_UP_MM), expected, atol=1e-5)
    await client.upsert([ClipItem("a", TURNED, "wave", conventions=Z_UP_MM)])
    (found,) = await client.get(["a"])
    np.testing.assert_allclose(found.vector, expected, atol=1e-5)
    for call in (client.search, client.search_moments):
        (nearest,) = await call(TURNED, conventions=Z_UP_MM)
        assert nearest.similarity == pytest.approx(1, abs=1e-5)
    assert (await client.classify([TURNED], conventions=Z_UP_MM))[0].neighbours[0].similarity > 0.9999


async def test_a_stream_takes_millimetres(client: AsyncClient) -> None:
    async def frames():
        yield TURNED

    settings = StreamSettings(window_frames=60, stride_frames=60, conventions=Z_UP_MM, lossless=True)
    (window,) = [window async for window in client.stream(frames(), settings)]
    np.testing.assert_allclose(window.embedding, await client.embed(waving()), atol=1e-5)


async def test_millimetres_without_their_unit_are_still_refused_at_once(client: AsyncClient) -> None:
    with pytest.raises(InvalidSkeletonError, match="divide millimetres by 1000"):
        await client.embed(TURNED)


@pytest.mark.parametrize("joints", [PIXELS, PIXELS[:, 0]])
async def test_arrays_that_end_in_two_are_joints_of_an_image(client: AsyncClient, joints: np.ndarray) -> None:
    expected = await client.embed(from_image(PIXELS, NTU25).sequence)
    np.testing.assert_allclose(await client.embed(joints), expected, atol=1e-5)
    upwards = joints * np.float32([1, -1])
    np.testing.assert_allclose(await client.embed(upwards, conventions=Conventions(up="y")), expected, atol=1e-5)


async def test_2d_joints_of_another_shape_are_refused_with_the_right_one(client: AsyncClient) -> None:
    with pytest.raises(InvalidSkeletonError, match="2-D ntu25 joints must be an array of frames × bodies × 25 × 2"):
        await client.embed(PIXELS[:, :, :17])


@pytest.mark.parametrize("spelt_out", [{}, {"unit": "m", "hand": "right"}])
async def test_y_up_in_an_image_is_y_up_however_it_is_said(client: AsyncClient, spelt_out: dict[str, str]) -> None:
    expected = await client.embed(PIXELS)
    said = Conventions(up="y", dimensions=2, **spelt_out)  # type: ignore[arg-type]
    np.testing.assert_allclose(await client.embed(PIXELS * np.float32([1, -1]), conventions=said), expected, atol=1e-5)


async def test_confidence_and_the_size_of_the_image_go_with_every_call(client: AsyncClient) -> None:
    parts = PIXELS / np.float32([1280, 720])
    seen = np.ones((*parts.shape[:-1], 1), dtype=np.float32)
    seen[3:9, 0, 7] = 0.4
    said = Conventions(dimensions=2, image_size=(1280, 720), min_confidence=0.5)
    placed = from_image(PIXELS, NTU25, confidence=seen[..., 0], min_confidence=0.5)
    expected = await client.embed(placed.sequence)
    joints = np.concatenate([parts, seen], axis=-1)
    np.testing.assert_allclose(await client.embed(joints, conventions=said), expected, atol=1e-4)
    faint = await client.embed(joints, conventions=replace(said, min_confidence=0))
    np.testing.assert_allclose(faint, await client.embed(PIXELS), atol=1e-4)

    async def frames():
        yield joints

    settings = StreamSettings(window_frames=60, stride_frames=60, conventions=said, lossless=True)
    (window,) = [window async for window in client.stream(frames(), settings)]
    np.testing.assert_allclose(window.embedding, expected, atol=1e-4)


async def test_what_is_said_of_images_is_refused_for_joints_in_space(client: AsyncClient) -> None:
    for said in (Conventions(min_confidence=0.5), Conventions(image_size=(1280, 720))):
        with pytest.raises(InvalidRequestError, match="is for joints of an image, and this array ends in x, y, z"):
            await client.embed(waving(), conventions=said)


async def test_a_rate_is_refused_where_it_changes_nothing(client: AsyncClient) -> None:
    with pytest.raises(InvalidRequestError, match="fps is for files; the rate of an array changes nothing"):
        await client.embed(waving(), conventions=Conventions(fps=30))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conventions": Conventions(fps=25)}, "fps: conventions.fps is for files; the rate of a stream is"),
        (
            {"dimensions": 2, "conventions": Conventions(dimensions=3)},
            "dimensions: it is 2, and that of `conventions` is 3",
        ),
        ({"image_size": (1, 1), "conventions": Conventions(image_size=(2, 1))}, "say it once"),
        ({"image_size": (100, 50)}, "image_size is for joints of an image, and this array ends in x, y, z"),
        ({"conventions": Conventions(min_confidence=0.9)}, "min_confidence is for joints of an image"),
        ({"fps": 0.0}, "fps: it is 0.0; expected a number from 0.001"),
    ],
)
async def test_settings_of_a_stream_that_contradict_or_do_nothing_are_refused(
    client: AsyncClient, settings: dict[str, Any], message: str
) -> None:
    async def frames():
        yield waving()

    with pytest.raises(InvalidRequestError, match=re.escape(message)):
        async for _ in client.stream(frames(), StreamSettings(window_frames=60, stride_frames=60, **settings)):
            pass


async def test_a_stream_of_arrays_that_end_in_two_is_one_of_an_image(client: AsyncClient) -> None:
    async def frames():
        yield PIXELS

    settings = StreamSettings(window_frames=60, stride_frames=60, lossless=True)
    (window,) = [window async for window in client.stream(frames(), settings)]
    np.testing.assert_allclose(window.embedding, await client.embed(PIXELS), atol=1e-5)

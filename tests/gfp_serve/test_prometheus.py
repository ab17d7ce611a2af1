"""A real Prometheus scrapes a real server, and every line of the shipped dashboard is drawn from what it then knows."""

import json
import math
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gfp_serve.client import Client, ClipItem
from gfp_serve.service.convert import write_sequence
from gfp_serve.skeleton import NTU25
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from tests.gfp_serve.debian import command_of
from tests.gfp_serve.processes import process
from tests.gfp_serve.tiny import walk

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]

OBSERVE = Path(__file__).parents[2] / "examples" / "observe"
DASHBOARD = json.loads((OBSERVE / "dashboard.json").read_text())
LINES = [(target["expr"], target["legendFormat"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]

TOKEN = "t" * 32
EMBED = "gfp_serve.v1.EmbeddingService/Embed"


class Prometheus:
    """The HTTP API of a running one."""

    def __init__(self, address: str) -> None:
        self._address = address

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Its result now: labels under `metric`, time and number under `value`."""
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://{self._address}/api/v1/query?{asked}", timeout=10) as reply:
            told = json.load(reply)
        assert told["status"] == "success"
        return told["data"]["result"]

    def numbers(self, expression: str) -> list[float]:
        return [float(series["value"][1]) for series in self.query(expression)]


@pytest.fixture(scope="module")
def server(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Address and metrics port of a server that asks for tokens."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text(f"write {TOKEN}\n")
    arguments = ("--bundle", bundle_path, "--tokens", tokens, "--port", 0, "--metrics-port", 0)
    with process(*arguments, "--log-format", "text") as (running, address):
        for line in running.stderr:
            if told := re.search(r"metrics=http://127\.0\.0\.1:(\d+)/metrics", line):
                break
        yield address, int(told[1])


@pytest.fixture(scope="module")
def prometheus(server: tuple[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One with the shipped configuration, which asks this server, every second."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = (OBSERVE / "prometheus.yml").read_text()
    for shipped, ours in (("server:9464", f"127.0.0.1:{server[1]}"), ("scrape_interval: 5s", "scrape_interval: 1s")):
        assert shipped in config
        config = config.replace(shipped, ours)
    (folder / "prometheus.yml").write_text(config)
    command = [
        *command_of("prometheus", alone=True),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with (folder / "log").open("w+") as log, subprocess.Popen(command, stderr=log, stdout=log) as running:
        try:
            while "Server is ready" not in (told := (folder / "log").read_text()):
                assert running.poll() is None, told
                time.sleep(0.02)
            yield Prometheus(re.search(r'msg="Listening on" address=(\S+)', told)[1])
        finally:
            running.kill()


@pytest.fixture(scope="module")
def calls(server: tuple[str, int]) -> Iterator[Callable[[], Counter[str]]]:
    """Makes a round of calls, good and refused; gives how many calls to Embed have ended with each status so far."""
    statuses: Counter[str] = Counter()
    good = embedding_pb2.EmbedRequest(sequences=[write_sequence(walk(1), NTU25)])
    token = (("authorization", f"Bearer {TOKEN}"),)
    with grpc.insecure_channel(server[0]) as channel, Client(server[0], token=TOKEN) as client:
        embed = embedding_pb2_grpc.EmbeddingServiceStub(channel).Embed

        def round_of_calls() -> Counter[str]:
            client.upsert([ClipItem("one", walk(1), "walk")])
            for request, metadata in ((good, token), (good, token), (embedding_pb2.EmbedRequest(), token), (good, ())):
                try:
                    embed(request, metadata=metadata)
                    statuses["OK"] += 1
                except grpc.RpcError as failure:
                    statuses[failure.code().name] += 1
            return statuses

        yield round_of_calls


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it does before long: numbers are in Prometheus after the next scrape, and rates after two."""
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_prometheus_with_the_shipped_configuration_reaches_the_server(prometheus: Prometheus) -> None:
    assert eventually(lambda: prometheus.numbers('up{job="gfp-serve"}') == [1])


def test_prometheus_knows_how_many_calls_ended_with_each_status(prometheus: Prometheus, calls) -> None:
    made = calls()
    assert made.keys() == {"OK", "INVALID_ARGUMENT", "UNAUTHENTICATED"}

    def known() -> Counter[str]:
        series = prometheus.query(f'gfp_requests_total{{rpc="{EMBED}"}}')
        return Counter({each["metric"]["code"]: int(each["value"][1]) for each in series})

    assert eventually(lambda: known() == made), known()


@pytest.mark.parametrize(("expression", "legend"), LINES)
def test_every_line_of_the_dashboard_has_numbers_while_calls_are_made(
    prometheus: Prometheus, calls, expression: str, legend: str
) -> None:
    def has_numbers() -> bool:
        calls()
        return any(math.isfinite(number) for number in prometheus.numbers(expression))

    assert eventually(has_numbers)
    for series in prometheus.query(expression):
        assert series["metric"].keys() >= set(re.findall(r"{{(\w+)}}", legend))

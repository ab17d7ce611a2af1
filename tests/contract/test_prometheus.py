"""A real Prometheus scrapes two real servers, and then has numbers for every line of the shipped dashboard."""

import json
import math
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from gfp_serve.client import Client, ClipItem
from gfp_serve.layouts import NTU25
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from gfp_serve.wire.arrays import write_sequence
from tests.support.debian import command_of
from tests.support.server_processes import process
from tests.support.tiny_bundle import walk

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]

OBSERVE = Path(__file__).parents[2] / "examples" / "observe"
DASHBOARD = json.loads((OBSERVE / "dashboard.json").read_text())
LINES = [(target["expr"], target["legendFormat"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
(REPLICAS,) = DASHBOARD["templating"]["list"]

TOKEN = "t" * 32
EMBED = "gfp_serve.v1.EmbeddingService/Embed"


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, path: str, **parameters: str) -> Any:
        asked = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self._address}/api/v1/{path}?{asked}", timeout=10) as reply:
            told = json.load(reply)
        assert told["status"] == "success"
        return told["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the query's present result: labels under `metric`, time and number under `value`."""
        return self.ask("query", query=expression)["result"]

    def numbers(self, expression: str) -> list[float]:
        return [float(series["value"][1]) for series in self.query(expression)]


@dataclass(frozen=True, slots=True)
class Replica:
    """A server: its address, and the address of its metrics, which is its name in Prometheus."""

    address: str
    instance: str
    running: subprocess.Popen[str]


@pytest.fixture(scope="module")
def replicas(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    """Two servers that require tokens."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text(f"write {TOKEN}\n")
    arguments = ("--bundle", bundle_path, "--tokens", tokens, "--port", 0, "--metrics-port", 0)
    found = []
    with ExitStack() as stack:
        for _ in range(2):
            running, address = stack.enter_context(process(*arguments, "--log-format", "text"))
            for line in running.stderr:
                if told := re.search(r"metrics=http://(127\.0\.0\.1:\d+)/metrics", line):
                    break
            found.append(Replica(address, told[1], running))
        yield found


@pytest.fixture(scope="module")
def prometheus(replicas: list[Replica], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the shipped configuration, which scrapes these servers every second."""
    targets = json.dumps([replica.instance for replica in replicas])
    with running_prometheus(
        tmp_path_factory.mktemp("prometheus"), "prometheus.yml", {'["gfp-server:9464"]': targets}
    ) as it:
        yield it


@contextmanager
def running_prometheus(folder: Path, name: str, places: dict[str, str]) -> Iterator[Prometheus]:
    """Run a Prometheus with a shipped configuration, in which these `places` are replaced."""
    config = (OBSERVE / name).read_text()
    for shipped, ours in {**places, "scrape_interval: 5s": "scrape_interval: 1s"}.items():
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
def calls(replicas: list[Replica]) -> Iterator[Callable[[], Counter[str]]]:
    """Makes good and bad calls to each server; returns how many calls to Embed ended with each status so far."""
    statuses: Counter[str] = Counter()
    good = embedding_pb2.EmbedRequest(sequences=[write_sequence(walk(1), NTU25)])
    token = (("authorization", f"Bearer {TOKEN}"),)
    round_of_requests = ((good, token), (good, token), (embedding_pb2.EmbedRequest(), token), (good, ()))
    with ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(replica.address)) for replica in replicas]
        clients = [stack.enter_context(Client(replica.address, token=TOKEN)) for replica in replicas]

        def round_of_calls() -> Counter[str]:
            for channel, client in zip(channels, clients, strict=True):
                client.upsert([ClipItem("one", walk(1), "walk")])
                for request, metadata in round_of_requests:
                    try:
                        embedding_pb2_grpc.EmbeddingServiceStub(channel).Embed(request, metadata=metadata)
                        statuses["OK"] += 1
                    except grpc.RpcError as failure:
                        statuses[failure.code().name] += 1
            return statuses

        yield round_of_calls


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until the condition holds. Prometheus has numbers after the next scrape, and rates after two."""
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_prometheus_with_the_shipped_configuration_reaches_the_servers(prometheus: Prometheus) -> None:
    assert eventually(lambda: prometheus.numbers('up{job="gfp-serve"}') == [1, 1])


@pytest.mark.parametrize("name", ["prometheus-tls.yml", "prometheus-mutual-tls.yml"])
def test_prometheus_with_the_configuration_for_tls_reaches_a_server_with_tls_and_tokens(
    bundle_path: Path, tmp_path: Path, name: str
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("gfp.example")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "tokens").write_text(f"read {TOKEN} prometheus\n")
    security = ("--tls-certificate", tmp_path / "certificate.pem", "--tls-key", tmp_path / "key.pem")
    is_mutual = name == "prometheus-mutual-tls.yml"
    security += ("--tls-client-ca", tmp_path / "ca.pem") if is_mutual else ()
    metrics = ("--metrics-host", "0.0.0.0", "--metrics-port", 0)
    arguments = ("--bundle", bundle_path, "--port", 0, "--tokens", tmp_path / "tokens", "--log-format", "text")
    with process(*arguments, *security, *metrics) as (running, _):
        for line in running.stderr:
            if told := re.search(r"metrics=https://0\.0\.0\.0:(\d+)/metrics", line):
                break
        places = {"gfp-server:9464": f"127.0.0.1:{told[1]}", "/run/secrets/metrics_token": str(tmp_path / "token")}
        if is_mutual:
            places["/run/secrets/metrics_certificate"] = str(tmp_path / "certificate.pem")
            places["/run/secrets/metrics_key"] = str(tmp_path / "key.pem")
        with running_prometheus(tmp_path, name, places) as prometheus:
            assert eventually(lambda: prometheus.numbers('up{job="gfp-serve"}') == [1])


def test_prometheus_knows_how_many_calls_ended_with_each_status(prometheus: Prometheus, calls) -> None:
    made = calls()
    assert made.keys() == {"OK", "INVALID_ARGUMENT", "UNAUTHENTICATED"}

    def known() -> Counter[str]:
        series = prometheus.query(f'sum by (code) (gfp_requests_total{{rpc="{EMBED}"}})')
        return Counter({each["metric"]["code"]: int(each["value"][1]) for each in series})

    assert eventually(lambda: known() == made), known()


def test_a_reload_is_counted_by_its_result(prometheus: Prometheus, replicas: list[Replica]) -> None:
    def counts() -> dict[str, int]:
        series = prometheus.query(f'gfp_reloads_total{{instance="{replicas[1].instance}"}}')
        return {each["metric"]["result"]: int(each["value"][1]) for each in series}

    assert eventually(lambda: counts() == {"switched": 0, "unchanged": 0, "refused": 0}), counts()
    replicas[1].running.send_signal(signal.SIGHUP)
    assert eventually(lambda: counts() == {"switched": 0, "unchanged": 1, "refused": 0}), counts()


def chosen(expression: str, instances: str) -> str:
    """Return the query that Grafana sends, with the reader's choice filled in."""
    return expression.replace("$instance", instances)


def test_the_dashboard_lets_its_reader_choose_every_replica(prometheus: Prometheus, replicas: list[Replica]) -> None:
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", REPLICAS["query"]).groups()
    assert (REPLICAS["name"], REPLICAS["multi"], REPLICAS["includeAll"]) == ("instance", True, True)
    instances = {replica.instance for replica in replicas}
    assert eventually(lambda: set(prometheus.ask(f"label/{label}/values", **{"match[]": metric})) == instances)


@pytest.mark.parametrize(("expression", "legend"), LINES)
def test_every_line_of_the_dashboard_has_numbers_and_only_of_the_chosen_replicas(
    prometheus: Prometheus, replicas: list[Replica], calls, expression: str, legend: str
) -> None:
    every = chosen(expression, REPLICAS["allValue"])

    def has_numbers() -> bool:
        calls()
        return any(math.isfinite(number) for number in prometheus.numbers(every))

    assert eventually(has_numbers)
    named = set(re.findall(r"{{(\w+)}}", legend))
    for series in prometheus.query(every):
        assert series["metric"].keys() >= named
    if "instance" in named:
        instances = {replica.instance for replica in replicas}
        assert eventually(lambda: {each["metric"]["instance"] for each in prometheus.query(every)} == instances)
        of_one = prometheus.query(chosen(expression, replicas[0].instance))
        assert {each["metric"]["instance"] for each in of_one} == {replicas[0].instance}
    assert prometheus.query(every)
    assert not prometheus.query(chosen(expression, "nobody"))

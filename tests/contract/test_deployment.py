"""The examples for systemd and Kubernetes agree with the server and keep to the rules of what reads them."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.cli.serve import gfp_serve

ROOT = Path(__file__).parents[2]
SYSTEMD, KUBERNETES = ROOT / "examples" / "systemd", ROOT / "examples" / "kubernetes"
SPECIFICATION = json.loads((Path(__file__).parent / "kubernetes_spec" / "kubernetes-1.34.json").read_text())

TYPES = {
    "Service": "io.k8s.api.core.v1.Service",
    "StatefulSet": "io.k8s.api.apps.v1.StatefulSet",
    "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
}


def settings_of(*arguments: object, **environment: str) -> dict[str, Any]:
    """Return the settings that the server would run with."""
    result = CliRunner().invoke(gfp_serve, [*map(str, arguments), "config"], env=environment)
    assert result.exit_code == 0, result.output
    return tomllib.loads(result.output)


# systemd


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    """The settings of the unit by name, each with its values in order."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / "gfp-serve.service").read_text().splitlines():
        if named := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(named[1], []).append(named[2])
    return found


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return settings_of("--config", SYSTEMD / "serve.toml")


def test_the_unit_starts_the_server_with_the_settings_beside_it(unit, settings) -> None:
    (command,) = unit["ExecStart"]
    assert Path(command.split()[0]).name == "gfp-serve"
    assert command.split()[1:] == ["--config", "/etc/gfp-serve/serve.toml"]
    assert settings["host"] == "0.0.0.0"
    assert settings["insecure"] is False


def test_the_unit_gives_the_server_time_to_drain(unit, settings) -> None:
    assert int(unit["TimeoutStopSec"][0]) > settings["notice_s"] + settings["drain_s"]


def test_the_server_writes_only_where_the_unit_lets_it(unit, settings) -> None:
    assert unit["ProtectSystem"] == ["strict"]
    assert settings["gallery"].startswith(f"/var/lib/{unit['StateDirectory'][0]}/")
    for log in ("access_log", "audit_log"):
        assert settings[log].startswith(f"/var/log/{unit['LogsDirectory'][0]}/")


def test_every_log_of_the_settings_is_rotated(settings) -> None:
    rotated = re.findall(r"^(/\S+) \{", (SYSTEMD / "gfp-serve.logrotate").read_text(), re.MULTILINE)
    assert rotated == [settings["access_log"], settings["audit_log"]]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd's own check of units")
def test_systemd_finds_no_fault_in_the_unit_and_calls_it_well_protected(tmp_path: Path) -> None:
    text = (SYSTEMD / "gfp-serve.service").read_text()
    # Its own check looks whether the program is there.
    (tmp_path / "gfp-serve.service").write_text(text.replace("/opt/gfp-serve/bin/gfp-serve", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "gfp-serve.service"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [line for line in checked.stderr.splitlines() if "gfp-serve" in line]
    assert (checked.returncode, said) == (0, []), checked.stderr
    # From 0 (safe) to 100. A unit without any of this has 96.
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", tmp_path / "gfp-serve.service"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert rated.returncode == 0, rated.stdout + rated.stderr


# Kubernetes


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """The objects of the example, by kind."""
    return {each["kind"]: each for each in yaml.safe_load_all((KUBERNETES / "gfp-serve.yaml").read_text())}


@pytest.fixture(scope="module")
def container(objects) -> dict[str, Any]:
    (found,) = objects["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    return found


@pytest.fixture(scope="module")
def environment(container) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


def problems_of(each: dict[str, Any]) -> Iterator[str]:
    schema = {**SPECIFICATION, "$ref": f"#/$defs/{TYPES[each['kind']]}"}
    for error in jsonschema.Draft202012Validator(schema).iter_errors(each):
        yield f"{error.json_path}: {error.message}"


def test_every_object_keeps_to_the_schema_of_kubernetes(objects) -> None:
    assert set(objects) == set(TYPES)
    assert [problem for each in objects.values() for problem in problems_of(each)] == []


@pytest.mark.parametrize("wrong", [{"replica": 1}, {"replicas": "one"}, {"template": {"spec": {"container": []}}}])
def test_the_schema_refuses_a_misspelt_key_or_a_wrong_type(objects, wrong) -> None:
    right = objects["StatefulSet"]
    assert list(problems_of({**right, "spec": {**right["spec"], **wrong}}))


def test_the_pod_runs_the_server_with_tls_and_tokens(environment) -> None:
    settings = settings_of("--host", "0.0.0.0", **{n: v for n, v in environment.items() if n.startswith("GFP_SERVE_")})
    assert settings["insecure"] is False
    assert settings["tls_certificate"] == "/etc/gfp-serve/tls/tls.crt"


def test_every_variable_of_the_pod_is_a_setting_of_the_server_or_an_option_of_the_probes(environment) -> None:
    settings = {f"GFP_SERVE_{option.name.upper()}" for option in gfp_serve.params}
    assert set(environment) <= settings | {option.envvar for option in gfp.commands["health"].params}


def test_every_file_of_the_pod_lies_in_a_volume_that_the_pod_has(objects, container, environment) -> None:
    spec = objects["StatefulSet"]["spec"]
    volumes = {each["name"] for each in spec["template"]["spec"]["volumes"]}
    volumes |= {each["metadata"]["name"] for each in spec["volumeClaimTemplates"]}
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}

    assert set(mounts.values()) == volumes
    assert all(any(path.startswith(f"{m}/") for m in mounts) for path in environment.values() if path.startswith("/"))
    for volume in spec["template"]["spec"]["volumes"]:
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] & 0o007 == 0


def test_the_probes_ask_whether_the_server_takes_calls(container) -> None:
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["exec"]["command"] == ["gfp", "health"]


def test_the_pod_gives_the_server_time_to_drain(objects, environment) -> None:
    settings = settings_of(GFP_SERVE_NOTICE_S=environment["GFP_SERVE_NOTICE_S"])
    grace = objects["StatefulSet"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > settings["notice_s"] + settings["drain_s"]


def test_service_and_policy_name_ports_and_labels_that_the_pod_has(objects, container, environment) -> None:
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    labels = objects["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    service, policy = objects["Service"]["spec"], objects["NetworkPolicy"]["spec"]

    assert ports == {"grpc": 50051, "metrics": int(environment["GFP_SERVE_METRICS_PORT"])}
    assert {each["targetPort"]: each["port"] for each in service["ports"]} == ports
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == set(ports)
    assert service["selector"] == policy["podSelector"]["matchLabels"] == labels

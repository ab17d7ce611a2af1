"""The container files agree with each other and with the repository. The tests only read them: no engine is needed."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.cli.serve import gfp_serve
from gfp_serve.config import DEFAULT_BUNDLE, ServeConfig
from gfp_serve.service.metrics import Metrics

ROOT = Path(__file__).parents[2]
SPECIFICATION = json.loads((Path(__file__).parent / "compose_spec" / "compose-spec.json").read_text())

SERVERS = ("server", "server-gpu", "server-milvus")

# What an operator sets for examples/compose/tls.yml.
TLS = {
    "GFP_SERVER_CERTIFICATE": "c.pem",
    "GFP_SERVER_KEY": "k.pem",
    "GFP_TLS_CA": "ca.pem",
    "GFP_TLS_SERVER_NAME": "gfp.example",
    "GFP_TOKENS": "tokens",
}

# And for examples/compose/mutual_tls.yml beside it.
MUTUAL = {"GFP_CLIENT_CA": "cca.pem", "GFP_HEALTH_CERTIFICATE": "hc.pem", "GFP_HEALTH_KEY": "hk.pem"}

INSTRUCTIONS = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"}
INSTRUCTIONS |= {"CMD"}


class _Loader(yaml.SafeLoader):
    """Reads Compose's own tag: a list with !override takes the place of the other file's."""


class _Override(list):
    pass


_Loader.add_constructor("!override", lambda loader, node: _Override(loader.construct_sequence(node)))


def read(path, **variables):
    """Return a Compose file with the variables filled in, as Compose does it. Raises `KeyError` for a required one."""

    def value(found):
        if variables.get(found["name"]):
            return variables[found["name"]]
        if found["kind"] == ":?":
            raise KeyError(found["rest"])
        return found["rest"]

    text = re.sub(r"\$\{(?P<name>\w+)(?P<kind>:[-?])(?P<rest>[^}]*)\}", value, (ROOT / path).read_text())
    assert "${" not in text
    return yaml.load(text, _Loader)


def merged(first, second):
    """Return two Compose files as Compose merges them: maps by key, lists behind each other."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {
            key: merged(first[key], second[key]) if key in first and key in second else {**first, **second}[key]
            for key in {**first, **second}
        }
    if isinstance(first, list) and isinstance(second, list) and not isinstance(second, _Override):
        return first + second
    return list(second) if isinstance(second, list) else second


@pytest.fixture(scope="module")
def compose():
    return read("docker-compose.yml")


@pytest.fixture(scope="module")
def with_tls():
    return merged(read("docker-compose.yml"), read("examples/compose/tls.yml", **TLS))


@pytest.fixture(scope="module")
def stages():
    """Return, by name of each stage of the Dockerfile, its (instruction, rest of the line) in order."""
    text = (ROOT / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    found = {}
    for line in filter(str.strip, lines):
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            name = re.fullmatch(r"(?P<base>\S+) AS (?P<name>\S+)", rest)
            assert name is not None, f"a stage without a name: {line}"
            found[name["name"]] = []
        found[list(found)[-1]].append((instruction, rest))
    return found


@pytest.fixture(scope="module")
def with_mutual_tls(with_tls):
    return merged(with_tls, read("examples/compose/mutual_tls.yml", **MUTUAL))


def validate(compose):
    # The draft is named, because jsonschema does not recognise it from the schema's "$schema", which ends in "#".
    jsonschema.Draft201909Validator(SPECIFICATION).validate(compose)


def values(stage, instruction):
    return [rest for name, rest in stage if name == instruction]


def test_the_compose_files_keep_to_the_compose_specification(compose, with_tls, with_mutual_tls):
    validate(compose)
    validate(with_tls)
    validate(with_mutual_tls)


@pytest.mark.parametrize(
    "wrong", [{"port": ["1:1"]}, {"build": {"stage": "x"}}, {"stop_grace_period": 30}, {"profiles": "gpu"}]
)
def test_the_compose_specification_refuses_a_misspelt_key_or_a_wrong_type(compose, wrong):
    broken = {**compose, "services": {"server": {**compose["services"]["server"], **wrong}}}

    with pytest.raises(jsonschema.ValidationError):
        validate(broken)


def test_only_the_cpu_server_starts_by_default(compose):
    assert [name for name, service in compose["services"].items() if "profiles" not in service] == ["server"]


def test_every_target_that_compose_builds_is_a_stage_of_the_dockerfile(compose, stages):
    targets = {service["build"]["target"] for service in compose["services"].values() if "build" in service}

    assert targets == {"server", "server-gpu", "trainer"}
    assert targets <= set(stages)


def test_without_the_file_for_tls_every_port_is_published_on_loopback_only_whatever_the_variables_say():
    compose = read("docker-compose.yml", **TLS, GFP_HOST="0.0.0.0")
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", SERVERS)
def test_with_the_file_for_tls_a_server_listens_to_others_and_is_no_longer_insecure(with_tls, name):
    server = with_tls["services"][name]

    assert server["ports"] == ["0.0.0.0:50051:50051", "0.0.0.0:8080:8080"]
    assert server["environment"]["GFP_SERVE_HTTP_PORT"] == "8080"
    settings = {name: value for name, value in server["environment"].items() if name.startswith("GFP_SERVE_")}
    result = CliRunner().invoke(gfp_serve, ["--host", "0.0.0.0", "config"], env=settings)
    assert result.exit_code == 0, result.output
    read_back = tomllib.loads(result.output)
    assert read_back["insecure"] is False
    secrets = {read_back[setting] for setting in ("tls_certificate", "tls_key", "tokens")}
    assert secrets == {f"/run/secrets/{name}" for name in server["secrets"]} - {"/run/secrets/tls_ca"}
    assert set(server["secrets"]) | set(with_tls["services"]["prometheus"]["secrets"]) == set(with_tls["secrets"])
    for left_out in ("GFP_SERVE_TLS_CERTIFICATE", "GFP_SERVE_TOKENS"):
        less = {name: value for name, value in settings.items() if name != left_out}
        assert CliRunner().invoke(gfp_serve, ["--host", "0.0.0.0", "config"], env=less).exit_code == 2


@pytest.mark.parametrize("variable", TLS)
def test_the_file_for_tls_says_which_variable_is_missing(variable):
    given = {name: value for name, value in TLS.items() if name != variable}
    with pytest.raises(KeyError, match=r"a PEM file of|a name that|the file of tokens"):
        read("examples/compose/tls.yml", **given)


@pytest.mark.parametrize("name", SERVERS)
def test_with_the_file_for_mutual_tls_callers_and_the_health_check_show_certificates(with_mutual_tls, name):
    server = with_mutual_tls["services"][name]
    settings = {name: value for name, value in server["environment"].items() if name.startswith("GFP_SERVE_")}
    result = CliRunner().invoke(gfp_serve, ["--host", "0.0.0.0", "config"], env=settings)

    assert tomllib.loads(result.output)["tls_client_ca"] == "/run/secrets/client_ca"
    shown = {server["environment"][name] for name in ("GFP_TLS_CERTIFICATE", "GFP_TLS_KEY")}
    assert shown == {"/run/secrets/health_certificate", "/run/secrets/health_key"}
    assert (
        {"client_ca", "health_certificate", "health_key"} <= set(server["secrets"]) <= set(with_mutual_tls["secrets"])
    )


@pytest.mark.parametrize("name", SERVERS)
def test_every_variable_of_a_server_is_a_setting_of_the_server_or_an_option_of_its_health_check(with_mutual_tls, name):
    names = set(with_mutual_tls["services"][name]["environment"]) - {"ORT_DISABLE_TELEMETRY"}
    settings = {f"GFP_SERVE_{option.name.upper()}" for option in gfp_serve.params}
    options = {option.envvar for option in gfp.commands["health"].params}

    assert names <= settings | options


def test_a_server_serves_the_bundle_and_keeps_the_galleries_that_variables_name():
    server = read("docker-compose.yml", GFP_BUNDLES="./mine", GFP_BUNDLE="walks", GFP_GALLERIES="/srv/gfp")["services"]

    for name in SERVERS:
        assert server[name]["volumes"] == ["/srv/gfp:/var/lib/gfp", "./mine:/bundles:ro"]
        assert server[name]["environment"]["GFP_SERVE_BUNDLE"] == "/bundles/walks"


def test_the_bundle_that_is_served_by_default_lies_in_the_folder_that_is_mounted(compose):
    for name in SERVERS:
        mount = next(mount for mount in compose["services"][name]["volumes"] if mount.endswith(":/bundles:ro"))
        bundle = compose["services"][name]["environment"]["GFP_SERVE_BUNDLE"].removeprefix("/bundles/")
        assert ROOT / mount.split(":")[0] / bundle == DEFAULT_BUNDLE


def test_what_runs_on_has_a_limit_of_memory(compose):
    running = [service for service in compose["services"].values() if "restart" in service]

    assert {name for name, service in compose["services"].items() if service not in running} == {"train", "train-gpu"}
    assert all(re.fullmatch(r"\d+g", service["mem_limit"]) for service in running)
    assert read("docker-compose.yml", GFP_MEMORY="12g")["services"]["server-gpu"]["mem_limit"] == "12g"


@pytest.mark.parametrize("file", ["prometheus.yml", "prometheus-tls.yml", "prometheus-mutual-tls.yml"])
def test_prometheus_asks_whichever_server_runs(compose, file):
    (job,) = yaml.safe_load((ROOT / "examples" / "observe" / file).read_text())["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]

    for name in SERVERS:
        server = compose["services"][name]
        (alias,) = server["networks"]["default"]["aliases"]
        assert target == f"{alias}:{server['environment']['GFP_SERVE_METRICS_PORT']}"


def test_with_tls_prometheus_has_a_configuration_for_it_and_a_token(compose, with_tls):
    mounted = dict(mount.split(":")[:2] for mount in compose["services"]["prometheus"]["volumes"])
    command = with_tls["services"]["prometheus"]["command"]
    assert command[0] == f"--config.file={mounted['./examples/observe']}/prometheus-tls.yml"
    (job,) = yaml.safe_load((ROOT / "examples" / "observe" / "prometheus-tls.yml").read_text())["scrape_configs"]
    (secret,) = with_tls["services"]["prometheus"]["secrets"]
    assert (job["scheme"], job["authorization"]["credentials_file"]) == ("https", f"/run/secrets/{secret}")


def test_with_mutual_tls_prometheus_shows_a_certificate(compose, with_mutual_tls):
    mounted = dict(mount.split(":")[:2] for mount in compose["services"]["prometheus"]["volumes"])
    prometheus = with_mutual_tls["services"]["prometheus"]
    assert prometheus["command"][0] == f"--config.file={mounted['./examples/observe']}/prometheus-mutual-tls.yml"
    (job,) = yaml.safe_load((ROOT / "examples" / "observe" / "prometheus-mutual-tls.yml").read_text())["scrape_configs"]
    files = {job["authorization"]["credentials_file"], job["tls_config"]["cert_file"], job["tls_config"]["key_file"]}
    assert files == {f"/run/secrets/{secret}" for secret in prometheus["secrets"]}
    assert set(prometheus["secrets"]) <= set(with_mutual_tls["secrets"])


def test_a_server_is_killed_only_after_it_has_had_time_to_drain(compose):
    for name in SERVERS:
        seconds = re.fullmatch(r"(\d+)s", compose["services"][name]["stop_grace_period"])
        assert seconds is not None
        assert int(seconds[1]) > ServeConfig().notice_s + ServeConfig().drain_s


def test_every_named_volume_is_declared_and_mounted_on_a_volume_of_its_image(compose, stages):
    for service in compose["services"].values():
        for mount in service["volumes"]:
            name, target, *_ = mount.split(":")
            if name.startswith("./"):
                assert (ROOT / name).exists()
                continue
            assert name in compose["volumes"]
            if "build" in service:
                assert target in " ".join(values(stages[service["build"]["target"]], "VOLUME"))


def test_every_image_that_we_do_not_build_is_pinned(compose):
    images = [service["image"] for service in compose["services"].values() if "build" not in service]
    assert images
    assert all(re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+", image) for image in images)


@pytest.mark.parametrize("name", ["server", "server-gpu", "trainer"])
def test_images_and_services_turn_off_the_telemetry_of_onnxruntime(compose, stages, name):
    services = [service for service in compose["services"].values() if service.get("build", {}).get("target") == name]

    assert "ORT_DISABLE_TELEMETRY=1" in " ".join(values(stages[name], "ENV")).split()
    assert services
    assert all(service["environment"]["ORT_DISABLE_TELEMETRY"] == "1" for service in services)


def test_grafana_sends_no_reports(compose):
    told = compose["services"]["grafana"]["environment"]
    off = {"ANALYTICS_REPORTING", "ANALYTICS_CHECK_FOR_UPDATES", "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "NEWS_NEWS_FEED"}

    assert {
        name.removeprefix("GF_").removesuffix("_ENABLED") for name, value in told.items() if value == "false"
    } == off
    assert told["GF_PLUGINS_PREINSTALL_DISABLED"] == told["GF_SECURITY_DISABLE_GRAVATAR"] == "true"


def test_the_dashboard_asks_only_for_metrics_that_exist():
    dashboard = json.loads((ROOT / "examples" / "observe" / "dashboard.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"gfp_\w+", target["expr"])
    }
    known = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    # Metrics with labels have no samples before the first call, gallery or encoder.
    labelled = ("requests_total", "rejected_total", "request_duration_seconds_bucket")
    known |= {f"gfp_{name}" for name in (*labelled, "gallery_items", "gallery_generation", "model_info")}
    assert asked <= known


def test_docker_knows_every_instruction(stages):
    assert {instruction for stage in stages.values() for instruction, _ in stage} <= INSTRUCTIONS


def test_every_stage_starts_from_a_pinned_image_or_from_an_earlier_stage(stages):
    earlier = []
    for name, stage in stages.items():
        base = values(stage, "FROM")[0].split()[0]
        assert base in earlier or re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", base), base
        earlier.append(name)


def test_everything_copied_exists_and_is_not_ignored_by_dockerignore(stages):
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    earlier = []
    for name, stage in stages.items():
        for rest in values(stage, "COPY"):
            *sources, _ = rest.split()
            if sources[0].startswith("--from="):
                assert sources[0].removeprefix("--from=") in earlier
            else:
                copied.update(sources)
        earlier.append(name)

    assert copied == let_through
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("name", ["server", "server-gpu", "trainer"])
def test_an_image_runs_one_of_our_commands_without_root_and_without_a_shell(stages, name):
    stage = stages[name]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert values(stage, "USER") == ["gfp"]
    (entrypoint,) = values(stage, "ENTRYPOINT")
    assert json.loads(entrypoint)[0] in scripts
    assert "--insecure" not in json.loads(entrypoint), "whoever starts it says so"
    assert all(isinstance(json.loads(command), list) for command in values(stage, "CMD"))


@pytest.mark.parametrize("name", ["server", "server-gpu"])
def test_a_server_image_keeps_its_gallery_on_its_volume_even_with_more_flags(stages, name):
    assert "GFP_SERVE_GALLERY=/var/lib/gfp/gallery" in " ".join(values(stages[name], "ENV"))
    assert values(stages[name], "VOLUME") == ["/var/lib/gfp"]
    assert values(stages[name], "CMD") == []


@pytest.mark.parametrize("name", ["server", "server-gpu"])
def test_the_health_check_of_a_server_image_asks_the_exposed_port(stages, name):
    assert values(stages[name], "EXPOSE") == ["50051 8080"]
    (check,) = values(stages[name], "HEALTHCHECK")
    assert json.loads(check[check.index("CMD") + len("CMD") :]) == ["gfp", "health"]


def test_the_trainer_has_the_compiler_that_torch_needs_on_a_gpu(stages):
    (install,) = (rest for rest in values(stages["trainer"], "RUN") if "apt-get install" in rest)
    assert {"gcc", "libc6-dev"} <= set(install.split())


def test_every_image_installs_tested_versions_and_an_extra_that_exists(stages):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installs = [rest for stage in stages.values() for rest in values(stage, "RUN") if "pip install" in rest]

    assert len(installs) == 3
    for install in installs:
        assert re.search(r"-c \S*constraints\.txt", install)
        named = re.search(r"\[([\w,]+)\]", install)
        assert named is not None
        assert set(named[1].split(",")) <= set(extras)

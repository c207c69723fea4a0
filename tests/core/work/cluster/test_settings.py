"""Settings of a cluster: what is refused, what a driver process gets, and which computers may take part."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

import msgspec
import pytest

from transfer_core.errors import InvalidConfigError
from transfer_core.work.cluster import settings as module
from transfer_core.work.cluster.settings import (
    ADDRESS_VARIABLE,
    AUTH_MODE_VARIABLE,
    CPUS_VARIABLE,
    DASHBOARD_VARIABLE,
    PACKAGES,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
    ClusterSettings,
    NodeFacts,
    cluster_settings,
    driver_environment,
    node_facts,
    node_problem,
    processor_kind,
)

NETWORK_ADDRESS = "192.168.1.20:6379"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without settings, in an account without a token, with Ray."""
    for name in (ADDRESS_VARIABLE, CPUS_VARIABLE, DASHBOARD_VARIABLE, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name in (AUTH_MODE_VARIABLE, TOKEN_VARIABLE, TOKEN_FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(module, "own_token_file", lambda: tmp_path / "own")
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: True)
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "2.60.0" if name == "ray" else version(name)
    )
    return monkeypatch


def token_file(folder: Path, token: str = "secret\n", mode: int = 0o600) -> str:
    file = folder / "token"
    file.write_text(token)
    file.chmod(mode)
    return str(file)


def test_a_local_cluster_needs_no_more(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(ADDRESS_VARIABLE, "local")
    assert cluster_settings() == ClusterSettings("local", num_cpus_of_a_run=1, has_dashboard=False)
    assert cluster_settings().is_local and cluster_settings().is_on_loopback


def test_cores_and_dashboard_are_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(ADDRESS_VARIABLE, "local")
    environment.setenv(CPUS_VARIABLE, "4")
    environment.setenv(DASHBOARD_VARIABLE, "on")
    assert cluster_settings() == ClusterSettings("local", num_cpus_of_a_run=4, has_dashboard=True)


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "localhost:6379", "[::1]:6379", "127.0.0.2:1"])
def test_a_cluster_of_this_computer_alone_needs_no_token(
    environment: pytest.MonkeyPatch, address: str
) -> None:
    environment.setenv(ADDRESS_VARIABLE, address)
    assert cluster_settings().is_on_loopback
    assert not cluster_settings().is_local


@pytest.mark.parametrize(
    "address",
    [
        *(None, "", "auto", "192.168.1.20", "192.168.1.20:", "a:70000", "a:0", ":6379", "ray://a:10001"),
        *("a:6379/x", "me@a:6379", "::1:6379", "[::1:6379", "a:6379 b", "a:x"),
    ],
)
def test_another_address_is_refused(environment: pytest.MonkeyPatch, address: str | None) -> None:
    if address is not None:
        environment.setenv(ADDRESS_VARIABLE, address)
    with pytest.raises(InvalidConfigError, match=r"TRANSFER_STUDIO_RAY_ADDRESS is .*192\.168\.1\.20:6379"):
        cluster_settings()


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "two", "2000", "٣", "9" * 5000])
def test_another_number_of_cores_is_refused(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv(ADDRESS_VARIABLE, "local")
    environment.setenv(CPUS_VARIABLE, text)
    with pytest.raises(InvalidConfigError, match=r"TRANSFER_STUDIO_RAY_CPUS is .* from 1 to 1024"):
        cluster_settings()


@pytest.mark.parametrize("address", [NETWORK_ADDRESS, "lab-01:6379", "0.0.0.0:6379", "[fd00::2]:6379"])
@pytest.mark.parametrize("mode", [None, "disabled", "k8s"])
def test_a_network_without_token_mode_is_refused(
    environment: pytest.MonkeyPatch, address: str, mode: str | None
) -> None:
    environment.setenv(ADDRESS_VARIABLE, address)
    environment.setenv(TOKEN_VARIABLE, "secret")
    if mode:
        environment.setenv(AUTH_MODE_VARIABLE, mode)
    with pytest.raises(InvalidConfigError, match="Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH"):
        cluster_settings()


@pytest.mark.parametrize("address", [NETWORK_ADDRESS, "127.0.0.1:6379"])
def test_token_mode_without_a_token_is_refused(environment: pytest.MonkeyPatch, address: str) -> None:
    """Ray would end the process without an exception."""
    environment.setenv(ADDRESS_VARIABLE, address)
    environment.setenv(AUTH_MODE_VARIABLE, "token")
    with pytest.raises(InvalidConfigError, match=r"There is no token in .*auth_token"):
        cluster_settings()


@pytest.mark.parametrize("token", ["", " \n"])
def test_an_empty_token_file_is_refused(environment: pytest.MonkeyPatch, tmp_path: Path, token: str) -> None:
    environment.setenv(ADDRESS_VARIABLE, NETWORK_ADDRESS)
    environment.setenv(AUTH_MODE_VARIABLE, "token")
    environment.setenv(TOKEN_FILE_VARIABLE, token_file(tmp_path, token))
    with pytest.raises(InvalidConfigError, match="There is no token in"):
        cluster_settings()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no bits of others")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_can_use_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path, mode: int
) -> None:
    environment.setenv(ADDRESS_VARIABLE, NETWORK_ADDRESS)
    environment.setenv(AUTH_MODE_VARIABLE, "token")
    environment.setenv(TOKEN_FILE_VARIABLE, token_file(tmp_path, mode=mode))
    with pytest.raises(InvalidConfigError, match=r"chmod 600 .*token"):
        cluster_settings()


@pytest.mark.parametrize("place", [TOKEN_VARIABLE, TOKEN_FILE_VARIABLE, "own", ".ray/auth_token"])
def test_a_token_is_found_where_ray_finds_it(
    environment: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    environment.setenv(ADDRESS_VARIABLE, NETWORK_ADDRESS)
    environment.setenv(AUTH_MODE_VARIABLE, "Token")
    if place == TOKEN_VARIABLE:
        environment.setenv(place, "secret")
    elif place == TOKEN_FILE_VARIABLE:
        environment.setenv(place, token_file(tmp_path))
    else:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Path(token_file(tmp_path)).rename(tmp_path / place)
        assert driver_environment(cluster_settings())[TOKEN_FILE_VARIABLE] == str(tmp_path / place)
    assert cluster_settings() == ClusterSettings(NETWORK_ADDRESS)
    assert not cluster_settings().is_on_loopback


def test_a_missing_ray_is_said_with_the_install_line(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(ADDRESS_VARIABLE, "local")
    environment.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InvalidConfigError, match=r"pip install -r requirements-cluster\.txt"):
        cluster_settings()


def test_a_ray_that_knows_no_tokens_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(ADDRESS_VARIABLE, "local")
    environment.setattr(importlib.metadata, "version", lambda _name: "2.9.3")
    with pytest.raises(InvalidConfigError, match=r"Ray 2\.9\.3 is too old"):
        cluster_settings()


def test_each_local_cluster_gets_a_new_token_and_listens_here(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(TOKEN_FILE_VARIABLE, "/somewhere")
    environment.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    first, second = (driver_environment(ClusterSettings("local")) for _ in range(2))
    assert first[AUTH_MODE_VARIABLE] == "token"
    assert len(first[TOKEN_VARIABLE]) == 64
    assert first[TOKEN_VARIABLE] != second[TOKEN_VARIABLE]
    assert not first.keys() & {TOKEN_FILE_VARIABLE, "RAY_ADDRESS"}
    assert first["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert first["RAY_USAGE_STATS_ENABLED"] == "0"
    assert first["PATH"] == os.environ["PATH"]


def test_the_token_of_a_cluster_is_passed_on(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(TOKEN_FILE_VARIABLE, "/somewhere")
    environment.setenv(AUTH_MODE_VARIABLE, "token")
    passed = driver_environment(ClusterSettings(NETWORK_ADDRESS))
    assert passed[TOKEN_FILE_VARIABLE] == "/somewhere"
    assert TOKEN_VARIABLE not in passed
    assert passed["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "1"


def facts(**changes: object) -> NodeFacts:
    own = NodeFacts("lab-01", "3.11", dict.fromkeys(PACKAGES, "2.0"), "abc", "Some processor")
    return msgspec.structs.replace(own, **changes)


def test_the_same_versions_are_no_problem() -> None:
    assert node_problem(facts(), facts(name="lab-02", processor="Another one")) == ""


@pytest.mark.parametrize("package", PACKAGES)
def test_another_version_is_named_with_both(package: str) -> None:
    theirs = facts(name="lab-02", packages={**dict.fromkeys(PACKAGES, "2.0"), package: "1.9"})
    assert node_problem(facts(), theirs) == f"lab-02 has {PACKAGES[package]} 1.9; this computer has 2.0."


def test_a_missing_package_is_named() -> None:
    theirs = facts(name="lab-02", packages={**dict.fromkeys(PACKAGES, "2.0"), "keras": ""})
    assert node_problem(facts(), theirs) == "lab-02 has no Keras; this computer has 2.0."


def test_another_python_is_named_first() -> None:
    theirs = facts(name="lab-02", python="3.10", packages=dict.fromkeys(PACKAGES, "1.9"))
    assert node_problem(facts(), theirs) == "lab-02 has Python 3.10; this computer has 3.11."


def test_other_code_is_a_problem() -> None:
    assert "another copy" in node_problem(facts(), facts(name="lab-02", code="def"))


def test_facts_are_of_this_python(environment: pytest.MonkeyPatch) -> None:
    environment.undo()
    found = node_facts()
    assert found.python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert found.packages["keras"] == importlib.metadata.version("keras")
    assert found.code == node_facts().code
    assert msgspec.json.decode(msgspec.json.encode(found), type=NodeFacts) == found


def test_changed_code_has_another_hash(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setattr(module, "_PACKAGE_FOLDER", tmp_path)
    hashes = []
    for name, code in (("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", "x = 2")):
        (tmp_path / name).write_text(code)
        hashes.append(node_facts().code)
    assert len(set(hashes)) == 3
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert node_facts().code == hashes[-1]


X86 = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8488C
cpu family\t: 6
model\t\t: 143
cache size\t: 107520 KB
flags\t\t: fpu sse4_1 avx avx2 fma avx512f amx_tile hypervisor

processor\t: 1
model name\t: another one
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd sve bf16\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            X86,
            "Intel(R) Xeon(R) Platinum 8488C (family 6, model 143, cache 107520 KB, "
            "sse4_1, avx, fma, avx2, avx512f, amx_tile)",
        ),
        (ARM, "aarch64 (implementer 0x41, part 0xd40, asimd, sve, bf16)"),
    ],
)
def test_a_processor_is_named_with_its_instruction_sets(
    environment: pytest.MonkeyPatch, text: str, kind: str
) -> None:
    environment.setattr(Path, "read_text", lambda *_args, **_named: text)
    environment.setattr(module.platform, "machine", lambda: "aarch64")
    assert processor_kind() == kind


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_a_processor_is_named_without_proc(environment: pytest.MonkeyPatch, system: str) -> None:
    def refuse(*_args: object, **_named: object) -> str:
        raise FileNotFoundError

    environment.setattr(Path, "read_text", refuse)
    environment.setattr(module.platform, "system", lambda: system)
    environment.setattr(module.subprocess, "check_output", lambda *_args, **_named: "Apple M2\n")
    environment.setattr(module.platform, "processor", lambda: "AMD64 Family 25 Model 33")
    assert processor_kind() == ("Apple M2" if system == "Darwin" else "AMD64 Family 25 Model 33")

"""The files for Kubernetes and Slurm name what the project has: its versions, variables, folders and commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import start

DEPLOY = start.ROOT / "deploy"
MANIFEST = DEPLOY / "kuberay" / "raycluster.yaml"
DOCKERFILE = DEPLOY / "kuberay" / "Dockerfile"
SBATCH = DEPLOY / "slurm" / "transfer-studio.sbatch"
# Writes down how it was called, with the token, instead of starting Python.
STAND_IN = """\
#!/bin/bash
if [[ $1 == -c ]]; then echo made-token; exit; fi
echo "${FAKE_ADDRESS:-first} $RAY_AUTH_MODE $RAY_AUTH_TOKEN ${TRANSFER_STUDIO_RAY_ADDRESS:-} $*" >> calls
"""
SRUN = """\
#!/bin/bash
export FAKE_ADDRESS=10.0.0.1
while [[ $1 == --* ]]; do [[ $1 == --exclude=first ]] && FAKE_ADDRESS=10.0.0.2; shift; done
exec "$@"
"""
HOSTNAME = """\
#!/bin/bash
if [[ ${1:-} == -I ]]; then echo "${FAKE_ADDRESS:-10.0.0.1} 172.17.0.1"; else echo first; fi
"""


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    """The part of the manifest that KubeRay reads."""
    yaml = pytest.importorskip("yaml", reason="Ray brings it along")
    return next(part for part in yaml.safe_load_all(MANIFEST.read_text()) if part["kind"] == "RayCluster")


def containers(cluster: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in (cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]):
        yield from group["template"]["spec"]["containers"]


def test_every_pod_needs_the_token_of_the_secret(cluster: dict[str, Any]) -> None:
    for container in containers(cluster):
        variables = {variable["name"]: variable for variable in container["env"]}
        assert variables["RAY_AUTH_MODE"]["value"] == "token"
        assert variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "transfer-studio-token"


def test_the_head_trains_nothing_and_shows_no_dashboard(cluster: dict[str, Any]) -> None:
    head = cluster["spec"]["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "include-dashboard": "false"}
    assert [port["containerPort"] for port in next(containers(cluster))["ports"]] == [6379]


def test_the_manifest_has_the_tried_ray(cluster: dict[str, Any]) -> None:
    lines = (start.ROOT / "constraints" / "python-3.11.txt").read_text().splitlines()
    assert f"ray=={cluster['spec']['rayVersion']}" in lines
    [ray] = [
        Requirement(line)
        for line in (start.ROOT / start.CLUSTER_REQUIREMENTS).read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert ray.specifier.contains(cluster["spec"]["rayVersion"])


def test_the_image_has_all_of_the_app() -> None:
    text = DOCKERFILE.read_text()
    sources = [name for line in re.findall("COPY (.+) ", text) for name in line.split()]
    assert all((start.ROOT / name).exists() for name in sources)
    assert {"app.py", "welcome.py", "pages", "transfer_core", ".streamlit"} <= set(sources)
    version = re.search(r"FROM python:(\d\.\d+)", text)
    assert version and f"-c constraints/python-{version[1]}.txt -r requirements.txt" in text


@pytest.mark.parametrize("file", [MANIFEST, SBATCH], ids=lambda file: file.name)
def test_every_variable_is_one_of_the_app(file: Path) -> None:
    code = "".join(path.read_text("utf-8") for path in (start.ROOT / "transfer_core").rglob("*.py"))
    named = set(re.findall(r"TRANSFER_STUDIO_[A-Z_]+", file.read_text())) - {"TRANSFER_STUDIO_PYTHON"}
    assert named >= {"TRANSFER_STUDIO_EXECUTOR", "TRANSFER_STUDIO_RAY_ADDRESS"}
    assert [name for name in named if f'"{name}"' not in code] == []


@pytest.mark.skipif(not shutil.which("bash") or os.name == "nt", reason="Slurm runs on Linux")
@pytest.mark.parametrize("num_nodes", [1, 3])
def test_a_slurm_job_starts_head_nodes_and_app(tmp_path: Path, num_nodes: int) -> None:
    for name, text in (("python", STAND_IN), ("srun", SRUN), ("hostname", HOSTNAME)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "TRANSFER_STUDIO_PYTHON": str(tmp_path / "python"),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "4711",
        "SLURM_CPUS_PER_TASK": "8",
        "SLURM_JOB_NUM_NODES": str(num_nodes),
    }
    # The programs of Ray begin at the same time as the app.
    wait = f"until [[ -f calls && $(wc -l < calls) == {min(num_nodes, 2)} ]]; do :; done"
    command = ["bash", str(SBATCH), "bash", "-c", f'{wait}; "$TRANSFER_STUDIO_PYTHON" app']
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert finished.returncode == 0, finished
    calls = sorted((tmp_path / "calls").read_text().splitlines())
    ray = "-m ray.scripts.scripts start --block --num-cpus=8 --include-log-monitor=false --temp-dir=/tmp/ray-4711"
    expected = [
        f"10.0.0.1 token made-token  {ray} --head --node-ip-address=10.0.0.1 --port=24711 --include-dashboard=false",
        f"10.0.0.2 token made-token  {ray} --address=10.0.0.1:24711 --node-ip-address=10.0.0.2",
        "first token made-token 10.0.0.1:24711 app",
    ]
    assert calls == [line for line in expected if num_nodes > 1 or not line.startswith("10.0.0.2")]

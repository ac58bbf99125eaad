"""What the workflows may do, and to whom they hand it: read from their files, each flaw planted once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import untouched

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
DEPLOY = "actions/deploy-pages"


def uses(job: dict) -> list[str]:
    return [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step]


def may_write(job: dict) -> set[str]:
    rights = job.get("permissions") or {}
    return (
        {name for name, right in rights.items() if right == "write"} if isinstance(rights, dict) else {rights}
    )


def complaints(flow: dict) -> Iterator[str]:
    """Say what a workflow may do that it need not."""
    if flow.get("permissions") != {}:
        yield "rights for all jobs"
    if "pull_request_target" in flow.get(True, flow.get("on", ())):  # YAML 1.1 takes `on` for true
        yield "rights for a stranger's pull request"
    for name, job in flow["jobs"].items():
        if not isinstance(job.get("permissions"), dict):
            yield f"{name}: rights are not listed"
        if may_write(job) & {"id-token", "pages"} and uses(job) != [DEPLOY]:
            yield f"{name}: may deploy, and does something else"
        if may_write(job) and "actions/checkout" in uses(job):
            yield f"{name}: may write, and runs what is in the repository"
        for step in job["steps"]:
            if "actions/checkout" in step.get("uses", "") and step.get("with", {}).get(
                "persist-credentials", 1
            ):
                yield f"{name}: leaves its token to all that follows"
            if "@" not in step.get("uses", "@"):
                yield f"{name}: an action without a version"
            if "${{ github.event" in step.get("run", ""):
                yield f"{name}: a stranger's words in a command"


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_definition_every_job_has_the_least_rights(path):
    assert list(complaints(read(path))) == []


def test_definition_one_job_deploys_and_one_writes_issues():
    jobs = [
        (path.stem, name, may_write(job)) for path in WORKFLOWS for name, job in read(path)["jobs"].items()
    ]
    writers = {(flow, name): rights for flow, name, rights in jobs if rights}
    assert writers == {("publish", "deploy"): {"pages", "id-token"}, ("colab", "report"): {"issues"}}


def planted(**job) -> dict:
    checkout = {"uses": "actions/checkout@v4", "with": {"persist-credentials": False}}
    return {"permissions": {}, "jobs": {"a": {"permissions": {}, "steps": [checkout]} | job}}


FLAWS = {
    "rights for all jobs": planted() | {"permissions": {"contents": "read"}},
    "rights for a stranger's pull request": planted() | {True: ["pull_request_target"]},
    "a: rights are not listed": planted(permissions="write-all"),
    "a: may deploy, and does something else": planted(
        permissions={"id-token": "write"}, steps=[{"run": "make"}]
    ),
    "a: may write, and runs what is in the repository": planted(permissions={"issues": "write"}),
    "a: leaves its token to all that follows": planted(steps=[{"uses": "actions/checkout@v4"}]),
    "a: an action without a version": planted(steps=[{"uses": "actions/cache"}]),
    "a: a stranger's words in a command": planted(steps=[{"run": "echo ${{ github.event.issue.title }}"}]),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_coverage_a_flaw_is_seen(flaw):
    assert flaw in complaints(FLAWS[flaw])
    assert list(complaints(planted())) == []


def test_definition_new_versions_are_proposed_for_actions_and_packages():
    kinds = {one["package-ecosystem"] for one in read(ROOT / ".github/dependabot.yml")["updates"]}
    assert kinds == {"github-actions", "pip"}


@pytest.mark.parametrize(("found", "said"), [("", "issue create"), ("7", "issue comment 7")])
def test_definition_a_red_week_opens_one_issue_and_the_next_adds_to_it(tmp_path, found, said):
    log, gh = tmp_path / "log", tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" >> {log}\n[ "$2" != list ] || echo "{found}"\n')
    gh.chmod(0o755)
    (step,) = read(ROOT / ".github/workflows/colab.yml")["jobs"]["report"]["steps"]
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "REPO": "a/b",
        "RUN": "u",
        "TITLE": "t",
    }
    subprocess.run(["bash", "-e", "-c", step["run"]], env=environment, check=True)
    asked = [line for line in log.read_text().splitlines() if not line.startswith("issue list")]
    assert [line.partition(" --repo")[0] for line in asked] == [said]


def test_definition_what_an_install_replaced_is_named():
    before = ["numpy==2.1.3", "scipy==1.16.3", "torch==2.11.0+cpu"]
    assert untouched.replaced(before, [*before, "pooch==1.9.0"]) == []
    after = ["numpy==2.4.6", "torch==2.11.0+cpu", "pooch==1.9.0"]
    assert untouched.replaced(before, after) == ["numpy was 2.1.3, now 2.4.6", "scipy was 1.16.3, now gone"]


def test_coverage_another_version_fails_the_job(tmp_path, capsys):
    noted = tmp_path / "before.txt"
    noted.write_text("\n".join(untouched.installed()))
    assert untouched.main([str(noted)]) == 0
    noted.write_text(noted.read_text().replace(f"pytest=={pytest.__version__}", "pytest==1.0"))
    assert untouched.main([str(noted)]) == 1
    assert f"pytest was 1.0, now {pytest.__version__}" in capsys.readouterr().out
    noted.write_text("")
    assert untouched.main([str(noted)]) == 1


def test_limit_of_two_packages_with_one_name_the_imported_one_counts(tmp_path):
    for folder, version in (("first", "2"), ("second", "1")):
        info = tmp_path / folder / "twice.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: twice\nVersion: {version}\n")
    path = os.pathsep.join(str(tmp_path / folder) for folder in ("first", "second"))
    done = subprocess.run(
        [sys.executable, untouched.__file__],
        env=os.environ | {"PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("twice")] == ["twice==2"]

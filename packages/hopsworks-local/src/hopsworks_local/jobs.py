"""Jobs: what a cluster gives to a job is done without one, so every job has succeeded.

Each feature group has the materialization job that programs run and wait for. No code is run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .groups import iso
from .protocol import ApiError, Reply, Request, route, take
from .state import Entity

if TYPE_CHECKING:
    from .app import App

LOGS = {"jobs.out": "No job was run: an insert writes to the offline store.\n", "jobs.err": ""}
SCHEDULE = "schedule"
SUFFIX = "_offline_fg_materialization"


def finished_job(app: App, group: Entity, name: str = "") -> dict[str, Any]:
    """Return a job of a group, which has ended; without a name, the one that a call answers with."""
    name = name or f"{group.name}_{group.version}"
    return {
        "id": group.id,
        "name": name,
        "creationTime": iso(group.created),
        "config": {"type": "sparkJobConfiguration", "appName": name, "defaultArgs": ""},
        "jobType": "PYSPARK",
        "creator": app.user,
        "href": f"{app.url}/hopsworks-api/api/project/{app.project_id}/jobs/{name}",
        "jobSchedule": app.folder.items(group.id, SCHEDULE).get("job"),
    }


def group_of(app: App, name: str) -> Entity:
    """Return the feature group of a job: `{name}_{version}_offline_fg_materialization`, or
    `{name}_{version}`, which the answer to `compute_statistics()` names."""
    group, _, version = name.removesuffix(SUFFIX).rpartition("_")
    if version.isascii() and version.isdecimal() and len(version) < 10:
        entity = app.folder.get("featuregroup", group, int(version))
        if entity:
            return entity
    raise ApiError(130009, f"There is no job {name!r}.")


@route("GET", "jobs")
def list_jobs(request: Request) -> Any:
    """`get_jobs()`."""
    groups = request.app.folder.all("featuregroup")
    items = [finished_job(request.app, g, f"{g.name}_{g.version}{SUFFIX}") for g in groups]
    return {"count": len(items), "items": items}


@route("GET", "jobs/{name}")
def get_job(request: Request, name: str) -> Any:
    """`get_job(name)`, `FeatureGroup.materialization_job`."""
    return finished_job(request.app, group_of(request.app, name), name)


def _execution(app: App, group: Entity, id: int) -> dict[str, Any]:
    logs = {}
    for name, text in LOGS.items():  # the client waits minutes for logs that are not there
        place = app.folder.files / "Logs" / name
        place.parent.mkdir(exist_ok=True)
        if not place.exists():
            place.write_text(text)
        logs[name] = f"/Projects/{app.project}/Logs/{name}"
    return {
        "stdoutPath": logs["jobs.out"],
        "stderrPath": logs["jobs.err"],
        "id": id,
        "state": "FINISHED",
        "finalStatus": "SUCCEEDED",
        "submissionTime": iso(group.created),
        "duration": 0,
        "progress": 1.0,
        "user": app.user,
        "href": f"{app.url}/p/{app.project_id}/fs/1/fg/{group.id}",
    }


@route("GET", "jobs/{name}/executions")
def executions(request: Request, name: str) -> Any:
    """`Job.get_state()`, `get_final_state()`, `get_executions()`: one, which has succeeded."""
    group = group_of(request.app, name)
    return {"count": 1, "items": [_execution(request.app, group, 1)]}


@route("POST", "jobs/{name}/executions")
def run(request: Request, name: str) -> Reply:
    """`Job.run()`: the rows are in the offline store since the insert."""
    group = group_of(request.app, name)
    request.app.warn(f"The job {name} has nothing to do: an insert writes to the offline store.")
    return Reply(201, _execution(request.app, group, int(time.time())))


@route("GET", "jobs/{name}/executions/{id:int}")
def execution(request: Request, name: str, id: int) -> Any:
    """`Job.run()`, while it waits."""
    return _execution(request.app, group_of(request.app, name), id)


@route("POST", "jobs/{name}/schedule/v2")
@route("PUT", "jobs/{name}/schedule/v2")
def schedule(request: Request, name: str) -> Any:
    """`Job.schedule`, `pause_schedule`, `resume_schedule`: kept, and nothing runs by it."""
    app, group, doc = request.app, group_of(request.app, name), request.json()
    take(doc, "cronExpression", str)
    kept = {**doc, "id": group.id, "enabled": take(doc, "enabled", bool, True)}
    kept.setdefault("startDateTime", group.created)
    app.folder.set_item(group.id, SCHEDULE, "job", kept)
    app.warn(f"The schedule of the job {name} is kept, but no job runs here.")
    return kept


@route("DELETE", "jobs/{name}/schedule/v2")
def unschedule(request: Request, name: str) -> Reply:
    """`Job.unschedule`."""
    request.app.folder.drop_item(group_of(request.app, name).id, SCHEDULE, "job")
    return Reply(204)

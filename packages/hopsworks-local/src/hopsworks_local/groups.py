"""Feature groups: their metadata here, their rows in Delta tables that the client itself writes."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import tag_schemas
from .expressions import arrow_type
from .protocol import ApiError, Reply, Request, illegal, route, take, unsupported
from .state import Entity, Exists
from .tables import NoTable, add_columns, drop_table, history, location

if TYPE_CHECKING:
    from .app import App

STORE_ID = 1
MAX_DESCRIPTION = 256
EVENT_TIME_TYPES = ("timestamp", "date", "bigint")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PRIMITIVE = re.compile(
    r"tinyint|smallint|int|bigint|float|double|decimal\(\d{1,2},\s*\d{1,2}\)|"
    r"timestamp|boolean|string|date|binary"
)
_NESTED = re.compile(r"(array|map|struct|uniontype)<.+>", re.DOTALL)
_PARENT = {"id": int, "name": str, "version": int}
STATISTICS_DEFAULT = {
    "enabled": True,
    "histograms": False,
    "correlations": False,
    "exactUniqueness": False,
    "columns": [],
}
# Arguments of create_feature_group that are for services this server does not have, such as the online
# store, or for the layout of a cluster's files: accepted, with one warning.
_IGNORED_FIELDS = (
    *("embeddingIndex", "ttl", "partitionedBy", "zorderBy", "clusteredBy", "sortOrder"),
    *("bucketIndex", "notificationTopicName", "onlineConfig"),
)


def check_name(name: str, code: int = 270091, what: str = "name") -> str:
    """Check a name by Hopsworks' rule for feature groups, views, features, splits and prefixes."""
    if not _NAME.fullmatch(name):
        raise ApiError(
            code,
            f"Illegal {what} {name!r}: 1 to 63 characters, a-z, 0-9 and _, a lower-case letter "
            "first.",
        )
    return name


def check_description(text: str, code: int = 270092) -> str:
    """Check that the description of a group, view or feature has at most 256 characters."""
    if len(text) > MAX_DESCRIPTION:
        raise ApiError(
            code, f"The description has {len(text)} characters; {MAX_DESCRIPTION} are allowed."
        )
    return text


def check_version(version: int | None, code: int) -> int | None:
    """Check that a version is at least 1."""
    if version is not None and version < 1:
        raise ApiError(code, f"Illegal version {version}: it must be a positive integer.")
    return version


def group_by_id(request: Request, id: int) -> Entity:
    """Return the feature group of that id, or raise 404."""
    group = request.app.folder.by_id("featuregroup", id)
    if not group:
        raise ApiError(270009, f"There is no feature group with id {id}.")
    return group


def iso(created: int) -> str:
    """Return milliseconds since 1970 as the backend writes a date."""
    return datetime.fromtimestamp(created / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def short(app: App, group: Entity) -> dict[str, Any]:
    """Return a feature group as it appears inside features and serving keys."""
    return {
        "type": "featuregroupDTO",
        "id": group.id,
        "name": group.name,
        "version": group.version,
        "featurestoreId": STORE_ID,
        "featurestoreName": app.feature_store,
        "onlineEnabled": False,
        "timeTravelFormat": "DELTA",
        "deprecated": group.doc.get("deprecated", False),
        "spine": False,
    }


def full(app: App, group: Entity) -> dict[str, Any]:
    """Return the whole feature group, as a GET answers it.

    `location` is a local path and the storage connector claims S3 without credentials: that is
    what makes the unmodified client write its Delta table straight to that path.
    """
    from .validation import suite_dto

    doc = group.doc
    features = [{**f, "featureGroupId": group.id} for f in doc["features"]]
    connector = {
        "type": "featurestoreS3ConnectorDTO",
        "storageConnectorType": "S3",
        "id": 1,
        "name": "local_folder",
        "featurestoreId": STORE_ID,
    }
    return {
        **short(app, group),
        "type": "cachedFeaturegroupDTO",
        "description": doc["description"],
        "created": iso(group.created),
        "creator": app.user,
        "features": sorted(features, key=lambda f: not f["partition"]),
        "eventTime": doc["eventTime"],
        "location": location(app, group),
        "statisticsConfig": doc["statisticsConfig"],
        "dataSource": {"storageConnector": connector},
        "topicName": doc.get("topicName"),
        "expectationSuite": suite_dto(app, group),
        "transformationFunctions": [
            {**f, "featurestoreId": STORE_ID} for f in doc.get("transformations", [])
        ],
    }


def read_features(doc: dict[str, Any]) -> list[dict[str, Any]]:
    """Check the features of a new group and return what is stored of them."""
    features, seen = [], set()
    for item in take(doc, "features", list, []):
        name = check_name(take(item, "name", str), 270040, "feature name")
        kind = take(item, "type", str, "").strip().lower()
        if not (_PRIMITIVE.fullmatch(kind) or _NESTED.fullmatch(kind)):
            raise ApiError(270212, f"The feature {name!r} has no valid type: {kind!r}.")
        if name in seen:
            raise ApiError(270224, f"The feature {name!r} is given twice.")
        seen.add(name)
        features.append(
            {
                "name": name,
                "type": kind,
                "description": check_description(take(item, "description", str, ""), 270041),
                "primary": take(item, "primary", bool, False),
                "partition": take(item, "partition", bool, False),
                "foreign": take(item, "foreign", bool, False),
                "onDemand": take(item, "onDemand", bool, False),
                "hudiPrecombineKey": False,
                "defaultValue": take(item, "defaultValue", str, None),
                # `onlineType` is left out on purpose: given back for an offline group, it makes
                # the client refuse longer texts that a cluster accepts.
            }
        )
    return features


def _check_event_time(event_time: str | None, features: list[dict[str, Any]]) -> None:
    if event_time is None:
        return
    kinds = {f["name"]: f["type"] for f in features}
    if event_time not in kinds:
        raise ApiError(270172, f"The event time {event_time!r} is not a feature.")
    if kinds[event_time] not in EVENT_TIME_TYPES:
        raise ApiError(
            270171,
            f"The event time {event_time!r} is of type {kinds[event_time]}; it must be "
            f"{', '.join(EVENT_TIME_TYPES[:-1])} or {EVENT_TIME_TYPES[-1]}.",
        )


def _statistics_config(doc: dict[str, Any], features: list[dict[str, Any]]) -> dict[str, Any]:
    given = take(doc, "statisticsConfig", dict, {})
    config = {k: take(given, k, type(v), v) for k, v in STATISTICS_DEFAULT.items()}
    for column in config["columns"]:
        if column not in [f["name"] for f in features]:
            raise ApiError(270108, f"The statistics column {column!r} is not a feature.")
    return config


def _argument(field: str) -> str:
    """Return the name of a field as an argument of create_feature_group."""
    return re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", field)


def _refuse_sources(doc: dict[str, Any]) -> None:
    """Refuse groups whose rows lie elsewhere."""
    if doc.get("sinkEnabled"):
        raise unsupported("create_feature_group(sink_enabled=...)")
    kind = take(doc, "type", str, "cachedFeaturegroupDTO")
    if kind not in ("cachedFeaturegroupDTO", "streamFeatureGroupDTO"):
        raise unsupported("An external feature group or spine group (create_external_...)")
    if doc.get("location") or any(take(doc, "dataSource", dict, {}).values()):
        raise unsupported("create_feature_group(path=..., data_source=..., storage_connector=...)")


def read_group(doc: dict[str, Any]) -> dict[str, Any]:
    """Check a new group and return what is stored of it."""
    features = read_features(doc)
    for feature in features:
        if feature["defaultValue"] is not None:
            raise ApiError(270132, "A default value cannot be given at creation.")
    event_time = take(doc, "eventTime", str, None)
    _check_event_time(event_time, features)
    return {
        "description": check_description(take(doc, "description", str, "")),
        "features": features,
        "eventTime": event_time,
        "statisticsConfig": _statistics_config(doc, features),
        "topicName": take(doc, "topicName", str, None),
        "transformations": read_functions(doc),
        "parents": [
            {key: take(parent, key, kind) for key, kind in _PARENT.items()}
            for parent in take(doc, "parents", list, [])
        ],
    }


def read_functions(doc: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the transformation functions of a new group or view; the client runs them."""
    functions = []
    for i, function in enumerate(take(doc, "transformationFunctions", list, []), 1):
        udf = take(function, "hopsworksUdf", dict)
        take(udf, "sourceCode", str), take(udf, "name", str)
        version = take(function, "version", int, 1)
        functions.append({"id": i, "version": version, "hopsworksUdf": udf})
    return functions


def _label(group: Entity) -> str:
    return f"Feature group {group.name} version {group.version}"


def _say_ignored(app: App, group: Entity, doc: dict[str, Any]) -> None:
    """Warn about arguments without effect."""
    for field in _IGNORED_FIELDS:
        if doc.get(field):
            app.warn(f"{_label(group)}: {_argument(field)} has no effect locally.")


def _say_what_differs(
    app: App, group: Entity, doc: dict[str, Any], travel: str, plain: bool
) -> None:
    """Warn about what a new group will not have, or not do."""
    label = _label(group)
    if travel == "NONE":
        app.warn(
            f"{label}: time_travel_format=None is not supported locally; it is a plain Delta group, "
            "so an insert replaces the rows of the same key."
        )
    elif not plain:
        app.warn(f"{label}: stream/HUDI is not supported locally; it is a plain Delta group.")
    if doc.get("onlineEnabled"):
        app.warn(f"{label}: online_enabled is not supported locally; the group is offline only.")
    _say_ignored(app, group, doc)
    if not group.doc["eventTime"] and not any(f["primary"] for f in group.doc["features"]):
        app.warn(f"{label} has no primary key and no event time: a second insert will fail.")


@route("POST", "featuregroups")
def create(request: Request) -> Reply:
    """`FeatureGroup.save`, and the first `insert` into a new group."""
    from .validation import save_suite

    app, doc = request.app, request.json()
    name = check_name(take(doc, "name", str))
    version = check_version(take(doc, "version", int, None), 270059)
    if version is not None and app.folder.get("featuregroup", name, version):
        raise _exists(name, version)  # also of save() of a group that was read, with its location
    _refuse_sources(doc)
    travel = (take(doc, "timeTravelFormat", str, "NONE") or "NONE").upper()
    plain = take(doc, "type", str, "") != "streamFeatureGroupDTO" and travel != "HUDI"
    stored = read_group(doc)
    if not plain and not any(f["primary"] for f in stored["features"]):
        raise ApiError(270121, "A stream or HUDI feature group needs a primary key.")
    if travel not in ("DELTA", "HUDI", "NONE"):
        raise unsupported(f"create_feature_group(time_travel_format={travel!r})")
    suite = take(doc, "expectationSuite", dict, None)
    with app.folder.transaction():
        group = add_group(app, name, version, stored)
        tag_schemas.attach(app.folder, group, doc)
        if suite is not None:
            save_suite(app, group, suite)
    _say_what_differs(app, group, doc, travel, plain)
    return Reply(201, full(app, group))


def _exists(name: str, version: int | None) -> ApiError:
    return ApiError(270089, f"The feature group {name!r} version {version} already exists.")


def add_group(app: App, name: str, version: int | None, stored: dict[str, Any]) -> Entity:
    """Store a new group, with the name of its table; 270089 when it exists."""
    table = f"{name}-{secrets.token_hex(8)}"
    try:
        return app.folder.add("featuregroup", name, version, {**stored, "table": table})
    except Exists:
        raise _exists(name, version) from None


@route("GET", "featuregroups")
def list_groups(request: Request) -> Any:
    """`FeatureStore.get_feature_groups()`."""
    items = [full(request.app, g) for g in request.app.folder.all("featuregroup")]
    return {"count": len(items), "items": items}


@route("GET", "featuregroups/{id:int}")
def get_by_id(request: Request, id: int) -> Any:
    """`FeatureStore.get_feature_group` by id, for a query that names a group."""
    return full(request.app, group_by_id(request, id))


@route("GET", "featuregroups/{name}")
def get_by_name(request: Request, name: str) -> Any:
    """`get_feature_group(name, version)` and `get_feature_groups(name)`: always a list."""
    version = request.number("version")
    groups = request.app.folder.versions("featuregroup", name)
    if version is not None:
        groups = [g for g in groups if g.version == version]
    if not groups:
        raise ApiError(270009, f"There is no feature group {name!r} version {version}.")
    return [full(request.app, g) for g in groups]


@route("PUT", "featuregroups/{id:int}")
def update(request: Request, id: int) -> Any:
    """`update_description`, `update_topic_name`, `append_features`, `update_feature_description`,
    deprecation and `update_statistics_config`. Features can only be appended."""
    app, sent = request.app, request.json()
    take(sent, "name", str, None)
    with app.folder.transaction():
        group = group_by_id(request, id)
        doc = dict(group.doc)
        if request.flag("updateMetadata"):
            if (text := take(sent, "description", str, None)) is not None:
                doc["description"] = check_description(text)
            doc["topicName"] = take(sent, "topicName", str, doc.get("topicName"))
            doc["features"] = _appended(group, read_features(sent))
            add_columns(app, group, doc["features"][len(group.doc["features"]) :])
        elif request.flag("updateStatsConfig"):
            doc["statisticsConfig"] = _statistics_config(sent, doc["features"])
        elif request.arg("deprecate") is not None:
            doc["deprecated"] = request.flag("deprecate")
        else:
            raise unsupported(f"Updating a feature group with {sorted(request.query)}")
        app.folder.update(id, doc)
    _say_ignored(app, group, sent)
    return full(app, group_by_id(request, id))


def _appended(group: Entity, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the old features, in which only descriptions may change, and then the new ones."""
    given = {f["name"]: f for f in sent}
    features = []
    for old in group.doc["features"]:
        new = given.pop(old["name"], None)
        if new is None or any(new[k] != old[k] for k in ("type", "primary", "partition")):
            raise ApiError(
                270114,
                f"The feature {old['name']!r} cannot be removed or changed; features can only be "
                "appended.",
            )
        features.append({**old, "description": new["description"] or old["description"]})
    for new in given.values():
        if new["primary"] or new["partition"]:
            raise ApiError(
                270114, f"The appended feature {new['name']!r} cannot be a key or partition."
            )
        _check_default(new)
        features.append(new)
    return features


def _check_default(feature: dict[str, Any]) -> None:
    """Check that the default value of an appended feature is one of its type."""
    kind, text = feature["type"], feature["defaultValue"]
    try:
        if text is not None:
            pa.scalar(text).cast(arrow_type(kind))
    except (TypeError, pa.ArrowException):
        message = (
            f"The feature {feature['name']!r} of type {kind} cannot have the default {text!r}."
        )
        raise ApiError(270114, message) from None


def views_of(app: App, id: int) -> list[Entity]:
    """Return the feature views whose query reads a group."""
    return [
        v
        for v in app.folder.all("featureview")
        if id in (v.doc["query"]["group"], *(j["query"]["group"] for j in v.doc["query"]["joins"]))
    ]


@route("DELETE", "featuregroups/{id:int}")
def delete(request: Request, id: int) -> Any:
    """`FeatureGroup.delete`. A group that a view reads goes only with `force` or the views."""
    from .views import remove

    app, with_views = request.app, request.flag("deleteFeatureViews")
    with app.folder.transaction():
        group = group_by_id(request, id)
        views = views_of(app, id)
        if views and not with_views and not request.flag("force"):
            names = ", ".join(f"{v.name} version {v.version}" for v in views)
            raise ApiError(
                120002,
                f"The feature group {group.name!r} version {group.version} is used by the feature "
                f"view {names}. Delete it with force=True or delete_feature_views=True.",
            )
        cleanups = [remove(app, view) for view in views if with_views]
        app.folder.remove(id)
    for remove_files in cleanups:
        remove_files()
    drop_table(app, group)


@route("POST", "featuregroups/{id:int}/clear")
def clear(request: Request, id: int) -> Any:
    """`insert(overwrite=True)`, first call: remove rows and commits."""
    group = group_by_id(request, id)
    drop_table(request.app, group)
    return full(request.app, group)


@route("POST", "featuregroups/{id:int}/updatetableschema")
def update_table(request: Request, id: int) -> Any:
    """`append_features`, second call: `update` has done it already."""
    from .jobs import finished_job

    return finished_job(request.app, group_by_id(request, id))


@route("POST", "featuregroups/{id:int}/commits")
def commit(request: Request, id: int) -> Any:
    """Every insert, last call: the client reports its commit."""
    group_by_id(request, id)
    doc = request.json()
    committed = take(doc, "commitTime", int, None)
    return {**doc, "href": request.app.url, "commitID": committed, "commitTime": committed}


@route("GET", "featuregroups/{id:int}/commits")
def commits(request: Request, id: int) -> Any:
    """`FeatureGroup.commit_details(wallclock_time, limit)`."""
    group = group_by_id(request, id)
    try:
        entries = history(request.app, group)
    except NoTable:
        entries = []
    bound = re.fullmatch(r"commited_on_ltoeq:(\d{1,18})", request.arg("filter_by") or "")
    if bound:
        entries = [c for c in entries if c["commitTime"] <= int(bound[1])]
    offset, limit = request.number("offset", 0) or 0, request.number("limit", 20) or 20
    if offset < 0 or limit < 0:
        raise illegal("offset and limit must not be negative.")
    return {"count": len(entries), "items": entries[offset : offset + limit]}

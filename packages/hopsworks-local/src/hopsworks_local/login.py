"""What a login asks: version, settings, project, certificates, feature store."""

from __future__ import annotations

from typing import Any

from .groups import STORE_ID
from .protocol import ApiError, Request, route

BACKEND_VERSION = "5.2.1"  # the client warns unless major and minor are its own
DOMAIN = "hopsworks.local"
CREATED = "2024-01-01T00:00:00.000Z"


@route("GET", "variables/versions")
def versions(request: Request) -> Any:
    """`login`, first call, without a key."""
    return [{"software": "hopsworks", "version": BACKEND_VERSION}]


@route("GET", "variables/{name}")
def variable(request: Request, name: str) -> Any:
    """Settings of a cluster that the client asks for."""
    known = {
        "service_discovery_domain": DOMAIN,
        "enable_flyingduck": "true",
        "loadbalancer_external_domain_feature_query": request.app.flight_domain,
        "enable_data_science_profile": "false",
        # get_model_serving() reads these; deploying is refused later, by name.
        "kube_kserve_installed": "false",
        "kube_serving_min_num_instances": "0",
        "kube_serving_max_num_instances": "0",
        "kube_knative_domain_name": DOMAIN,
    }
    if name not in known:
        raise ApiError(100050, f"There is no variable {name!r}.")
    return {"successMessage": known[name]}


@route("GET", "project/getProjectInfo/{name}")
def project_info(request: Request, name: str) -> Any:
    """`login`, second call."""
    app = request.app
    app.enter(name)
    return {
        "projectId": app.project_id,
        "projectName": app.project,
        "owner": app.user["email"],
        "created": CREATED,
        "services": ["FEATURESTORE", "SERVING"],
        "projectTeam": [],
        "datasets": [],
    }


@route("GET", "project")
def projects(request: Request) -> Any:
    """`login`: the projects of the user."""
    app = request.app
    project = {"id": app.project_id, "name": app.project, "owner": app.user}
    return [{"project": project, "user": app.user, "teamRole": "Data owner"}]


@route("GET", "credentials")
def credentials(request: Request) -> Any:
    """`login`: the certificates. The client reads the PEM ones only, for Flight."""
    return {**request.app.pem, "kStore": "bm9uZQ==", "tStore": "bm9uZQ==", "password": "none"}


@route("GET", "featurestores")
def feature_stores(request: Request) -> Any:
    """`FeatureStore`s of the project: its own."""
    return [feature_store(request, "")]


@route("GET", "featurestores/{name}")
def feature_store(request: Request, name: str) -> Any:
    """`project.get_feature_store()`."""
    app = request.app
    own = app.feature_store
    if name.lower() not in ("", own, str(STORE_ID)) and not app.any_project:
        raise ApiError(270008, f"There is no feature store {name!r}, only {own!r}.")
    return {
        "featurestoreId": STORE_ID,
        "featurestoreName": own,
        "offlineFeaturestoreName": own,
        "created": CREATED,
        "projectName": app.project,
        "projectId": app.project_id,
        "onlineEnabled": False,
    }

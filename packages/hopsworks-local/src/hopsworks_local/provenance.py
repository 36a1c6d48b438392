"""Explicit provenance: which groups, views, training datasets and models came from which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import training_datasets, views, wire
from .groups import full, group_by_id, views_of
from .protocol import ApiError, Request, route
from .query import from_doc
from .registry import MODELS, check_registry, model_by_id, model_dto
from .state import Entity

if TYPE_CHECKING:
    from .app import App


def _node(kind: str, doc: dict[str, Any], **links: list[Any]) -> dict[str, Any]:
    states = dict.fromkeys(("deleted", "shared", "traversed"), False)
    node = {"artifactType": kind, "artifact": doc, "accessible": True, **states}
    return {"node": node, "upstream": [], "downstream": [], **links}


def _named(app: App, kind: str, name: str, version: int, **states: Any) -> dict[str, Any]:
    """Return what cannot be read: its name is all that is answered."""
    link = _node(kind, {"project": app.project, "name": name, "version": version})
    link["node"].update(accessible=False, **states)
    return link


def _group_node(app: App, link: dict[str, Any]) -> dict[str, Any]:
    group = app.folder.by_id("featuregroup", link["id"])
    if group:
        return _node("FEATURE_GROUP", full(app, group))
    return _named(app, "FEATURE_GROUP", link["name"], link["version"], deleted=True)


def _view_node(request: Request, view: Entity) -> dict[str, Any]:
    try:
        return _node("FEATURE_VIEW", views.view_dto(request, view))
    except ApiError as e:  # a group that it reads was deleted
        name, version = view.name, view.version
        return _named(request.app, "FEATURE_VIEW", name, version, exceptionCause=e.message)


@route("GET", "featuregroups/{id:int}/provenance/links")
def of_group(request: Request, id: int) -> Any:
    """`get_parent_feature_groups()`, `get_generated_feature_groups()` and `_views()`."""
    app, group = request.app, group_by_id(request, id)
    children = [
        _node("FEATURE_GROUP", full(app, other))
        for other in app.folder.all("featuregroup")
        if id in [parent["id"] for parent in other.doc.get("parents", [])]
    ]
    readers = [_view_node(request, view) for view in views_of(app, id)]
    return _node(
        "FEATURE_GROUP",
        full(app, group),
        upstream=[_group_node(app, parent) for parent in group.doc.get("parents", [])],
        downstream=[*children, *readers],
    )


@route("GET", views.VIEW + "/provenance/links")
def of_view(request: Request, name: str, version: int) -> Any:
    """`FeatureView.get_parent_feature_groups()` and `get_models()`."""
    app, view = request.app, views.view_of(request, name, version)
    groups = {group.id: group for group in wire.sources(request, from_doc(view.doc["query"]))}
    datasets = {d.id: d for d in app.folder.all("trainingdataset", owner=view.id)}
    trained: dict[int, list[Any]] = {}
    for model in app.folder.all("model"):
        if (dataset := model.doc.get("dataset")) in datasets:
            doc = model_dto(app, model)
            trained.setdefault(dataset, []).append(_node("MODEL", doc))
    return _node(
        "FEATURE_VIEW",
        views.view_dto(request, view),
        upstream=[_node("FEATURE_GROUP", full(app, group)) for group in groups.values()],
        downstream=[
            _dataset_node(request, view, datasets[id], downstream=models)
            for id, models in trained.items()
        ],
    )


def _dataset_node(
    request: Request, view: Entity, dataset: Entity, **links: list[Any]
) -> dict[str, Any]:
    try:
        doc = training_datasets.dataset_dto(request, view, dataset)
        return _node("TRAINING_DATASET", doc, **links)
    except ApiError as e:
        name, version = view.name, dataset.version
        link = _named(request.app, "TRAINING_DATASET", name, version, exceptionCause=e.message)
        return {**link, **links}


@route("GET", MODELS + "/{id}/provenance/links")
def of_model(request: Request, registry: int, id: str) -> Any:
    """`Model.get_feature_view()`: of the training dataset that the model was saved with."""
    check_registry(request, registry)
    model, app = model_by_id(request, id), request.app
    dataset = app.folder.by_id("trainingdataset", model.doc.get("dataset") or 0)
    view = dataset and app.folder.by_id("featureview", dataset.owner)
    if not dataset or not view:  # deleted since, or by another request at this moment
        return {"upstream": [], "downstream": []}
    node = _dataset_node(request, view, dataset, upstream=[_view_node(request, view)])
    return {"upstream": [node], "downstream": []}

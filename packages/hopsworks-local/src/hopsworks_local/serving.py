"""Deployments: asking for them answers that there are none; making one is refused."""

from __future__ import annotations

from typing import Any

from .protocol import ApiError, Request, route, unsupported


@route("GET", "serving")
def deployments(request: Request) -> Any:
    """`get_deployments()` and `get_deployment(name)`."""
    if (name := request.arg("name")) is not None:
        raise ApiError(240000, f"There is no deployment {name!r}.")
    return {"count": 0, "items": []}


@route("GET", "serving/{id:int}")
def deployment(request: Request, id: int) -> Any:
    """`get_deployment_by_id(id)`."""
    raise ApiError(240000, f"There is no deployment with id {id}.")


@route("PUT", "serving")
def deploy(request: Request) -> Any:
    """`Model.deploy()`, `create_deployment`, `deploy_agent`."""
    raise unsupported(
        "deployments (Model.deploy); the model itself is saved, Model.download gets its files"
    )


@route("GET", "inference/endpoints")
def endpoints(request: Request) -> Any:
    """`get_inference_endpoints()`."""
    return {"count": 0, "items": []}

"""Tags of feature groups, views, training datasets and models."""

from __future__ import annotations

import json
from typing import Any

from . import tag_schemas
from .attachments import PLACES, entity_of
from .protocol import ApiError, Reply, Request, route


def _list_tags(request: Request, **path: Any) -> Any:
    """`get_tags()` and `get_tag(name)`."""
    entity, name = entity_of(request, path), path.get("tag")
    tags = request.app.folder.items(entity.id, "tag")
    if name is not None:
        if name not in tags:
            raise ApiError(370002, f"There is no tag {name!r}.")
        tags = {name: tags[name]}
    items = [{"name": k, "value": json.dumps(v)} for k, v in tags.items()]
    return {"count": len(items), "items": items}


def _set_tag(request: Request, tag: str, **path: Any) -> Reply:
    """`add_tag` and `Model.set_tag`."""
    entity, value = entity_of(request, path), request.json()
    tag_schemas.check(request.app.folder, tag, value)
    request.app.folder.set_item(entity.id, "tag", tag, value)
    return Reply(201, {"count": 1, "items": [{"name": tag, "value": json.dumps(value)}]})


def _delete_tag(request: Request, tag: str, **path: Any) -> Reply:
    """`delete_tag`."""
    entity = entity_of(request, path)
    if tag not in request.app.folder.items(entity.id, "tag"):
        raise ApiError(370002, f"There is no tag {tag!r}.")
    request.app.folder.drop_item(entity.id, "tag", tag)
    return Reply(204)


for _place in PLACES:
    route("GET", _place + "/tags")(_list_tags)
    route("GET", _place + "/tags/{tag}")(_list_tags)
    route("PUT", _place + "/tags/{tag}")(_set_tag)
    route("DELETE", _place + "/tags/{tag}")(_delete_tag)

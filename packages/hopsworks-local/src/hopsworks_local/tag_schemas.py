"""The schemas of tags, from `tag_schemas.json` of the data folder, which on a cluster an administrator
makes. Without one a tag cannot be set."""

from __future__ import annotations

import json
import sys
from typing import Any

from .protocol import ApiError, parse_json, take
from .state import Entity, Folder


def check(folder: Folder, name: str, value: Any) -> None:
    """Check the value of a tag, or refuse it with the backend's codes."""
    # For a format that is not checked here, jsonschema would compile a grammar for two seconds.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from jsonschema import SchemaError, ValidationError, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    schema = _schema(folder, name)
    if not isinstance(schema, dict):
        raise ApiError(370005, f"The schema of the tag {name!r} is wrong: it is not an object.")
    try:
        validator = validators.validator_for(schema)
        validator.check_schema(schema)
        validator(schema, registry=Registry()).validate(value)  # no reference leaves the schema
    except SchemaError as e:
        raise ApiError(370005, f"The schema of the tag {name!r} is wrong: {e.message}") from None
    except (Unresolvable, RecursionError) as e:
        raise ApiError(370005, f"The schema of the tag {name!r} cannot be used: {e}") from None
    except ValidationError as e:
        message = f"The value of the tag {name!r} does not fit its schema: {e.message}"
        raise ApiError(370005, message) from None


def _schema(folder: Folder, name: str) -> Any:
    try:
        schemas = json.loads((folder.path / "tag_schemas.json").read_text())
    except FileNotFoundError:
        schemas = {}
    except ValueError as e:
        raise ApiError(370005, f"The file tag_schemas.json is damaged: {e}") from None
    if not isinstance(schemas, dict) or name not in schemas:
        raise ApiError(370000, f"There is no tag schema {name!r}; add it to tag_schemas.json.")
    return schemas[name]


def attach(folder: Folder, entity: Entity, doc: Any) -> None:
    """Attach the tags that come with a new entity: `"tags": {"items": [{name, value}]}`."""
    for item in take(take(doc, "tags", dict, {}), "items", list, []):
        name, value = take(item, "name", str), item.get("value")
        if isinstance(value, str) and value.startswith("{"):  # how the client sends an object
            value = parse_json(value)
        check(folder, name, value)
        folder.set_item(entity.id, "tag", name, value)

"""Holds manifests against the JSON schemas of several versions of Kubernetes, and those of the Prometheus operator against
its models: unknown fields, missing ones and wrong types are said, one line each. Exit status 1 if there is any.
Usage: kube_schemas.py VERSION[,VERSION...] FILE..."""
import functools
import json
import sys

import jsonschema
import kubernetes_validate
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator
from kubernetes_validate import utils

# The schemas refer to each other, and are read for each object anew.
utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)
# Read by libyaml where there is one: the definitions are long.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def unknown(given, kept, path):
    """Fields that a model has dropped."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{path}.{key}: no such field"
            else:
                yield from unknown(value, kept[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(kept, list):
        for index, (one, other) in enumerate(zip(given, kept)):
            yield from unknown(one, other, f"{path}[{index}]")


def of_operator(document):
    model = getattr(operator, document["kind"], None)
    if model is None:
        return [f"the Prometheus operator has no kind {document['kind']}"]
    try:
        made = model.model_validate(document)
    except ValueError as error:
        return [str(error).replace("\n", " ")]
    return list(unknown(document, json.loads(made.model_dump_json(by_alias=True, exclude_unset=True)), ""))


def of_kubernetes(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        at = "/".join(str(part) for part in getattr(error, "path", []))
        return [f"Kubernetes {version}: {at}: {error.message[:300]}"]
    return []


def main():
    versions, files = sys.argv[1].split(","), sys.argv[2:]
    seen, wrong, checked = set(), [], 0
    for file in files:
        with open(file) as text:
            documents = [document for document in yaml.load_all(text, LOADER) if document]
        for document in documents:
            # The same object in many modes is looked at once.
            key = json.dumps(document, sort_keys=True)
            if key in seen:
                continue
            seen.add(key)
            checked += 1
            name = f"{file}: {document['kind']} {document['metadata']['name']}"
            if document["apiVersion"].startswith("monitoring.coreos.com/"):
                wrong += [f"{name}: {what}" for what in of_operator(document)]
                continue
            for version in versions:
                wrong += [f"{name}: {what}" for what in of_kubernetes(document, version)]
    print("\n".join(wrong + [f"{checked} objects, {len(versions)} versions, {len(wrong)} errors"]))
    sys.exit(1 if wrong or not checked else 0)


main()

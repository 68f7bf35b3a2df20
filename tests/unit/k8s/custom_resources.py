"""Custom resources whose CRD is not at hand: the fields that we use, as the operators' own sources name them.

Written down by hand from milvus-operator's Go types (apis/milvus.io/v1beta1) and CloudNativePG's API reference (v1):
a misspelt field is found, and a value that only an operator would refuse is not. Where a schema ends, the content is a
core type of Kubernetes, or the values of a chart.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
ANYTHING: Schema = {}
TEXT: Schema = {"type": "string"}
YES_OR_NO: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 1}
NAMED: Schema = {
    "type": "object",
    "properties": {"name": TEXT},
    "required": ["name"],
    "additionalProperties": False,
}


def fields(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def resource(api: str, kind: str, spec: Schema) -> Schema:
    return fields(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion={"const": api},
        kind={"const": kind},
        metadata=fields(("name", "namespace"), name=TEXT, namespace=TEXT, labels=ANYTHING),
        spec=spec,
    )


QUANTITIES = fields(cpu=TEXT, memory=TEXT)
RESOURCES = fields(("requests", "limits"), requests=QUANTITIES, limits=QUANTITIES)
MILVUS_PART = fields(replicas=COUNT, resources=RESOURCES)
IN_CLUSTER = fields(
    deletionPolicy={"enum": ["Delete", "Retain"]},
    pvcDeletion=YES_OR_NO,
    values=ANYTHING,  # of the chart that the operator carries
)
MILVUS = resource(
    "milvus.io/v1beta1",
    "Milvus",
    fields(
        ("mode", "components", "dependencies"),
        mode={"enum": ["standalone", "cluster"]},
        components=fields(
            image=TEXT,
            runAsNonRoot=YES_OR_NO,
            env=ANYTHING,
            volumes=ANYTHING,
            volumeMounts=ANYTHING,
            **dict.fromkeys(("proxy", "mixCoord", "dataNode", "queryNode", "streamingNode"), MILVUS_PART),
        ),
        config=ANYTHING,  # milvus.yaml's
        dependencies=fields(
            msgStreamType={"enum": ["pulsar", "kafka", "rocksmq", "natsmq", "woodpecker", ""]},
            etcd=fields(inCluster=IN_CLUSTER, external=YES_OR_NO, endpoints=ANYTHING),
            storage=fields(
                type={"enum": ["MinIO", "S3", "Azure", ""]},
                external=YES_OR_NO,
                endpoint=TEXT,
                secretRef=TEXT,
                inCluster=IN_CLUSTER,
            ),
        ),
    ),
)
POSTGRESQL = resource(
    "postgresql.cnpg.io/v1",
    "Cluster",
    fields(
        ("instances", "storage"),
        instances=COUNT,
        imageName=TEXT,
        bootstrap=fields(initdb=fields(database=TEXT, owner=TEXT, secret=NAMED)),
        postgresql=fields(synchronous=fields(("method", "number"), method={"enum": ["any", "first"]}, number=COUNT)),
        storage=fields(size=TEXT, storageClass=TEXT),
        affinity=fields(
            enablePodAntiAffinity=YES_OR_NO,
            podAntiAffinityType={"enum": ["preferred", "required"]},
            topologyKey=TEXT,
        ),
        resources=RESOURCES,
    ),
)

"""Whether an object is one that the API server would take: Kubernetes' own kinds by its published schemas, strictly, the others
by the schemas below. These are written down here from the APIs' public references; they have the fields that we use and those
beside them that a slip of the pen could mean, and nothing else is let through."""
import copy
import json
import re
from functools import cache

import jsonschema
import kubernetes_validate

NEWEST = "1.37"


def _object(required=(), **fields):
    return {"type": "object", "required": list(required), "properties": fields, "additionalProperties": False}


def _list(of, least=0):
    return {"type": "array", "items": of, "minItems": least}


def _enum(*values):
    return {"enum": list(values)}


def _without(schema, *path):
    """The same, without a field that lies deeper."""
    schema = copy.deepcopy(schema)
    *above, last = path
    inner = schema
    for key in above:
        inner = inner["properties"][key]
    del inner["properties"][last]
    return schema


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
BOOL = {"type": "boolean"}
NAME = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h))+$"}
LABELS = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}}
META = _object(["name", "namespace"], name=NAME, namespace=NAME, labels=LABELS, annotations=LABELS)
SELECTOR = _object(
    matchLabels=LABELS,
    matchExpressions=_list(_object(["key", "operator"], key=TEXT, operator=_enum("In", "NotIn", "Exists", "DoesNotExist"),
                                   values=_list(TEXT))))
RELABELING = _object(
    sourceLabels=_list(TEXT), separator=TEXT, regex=TEXT, targetLabel=TEXT, replacement={"type": "string"}, modulus=COUNT,
    action=_enum("replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"))
SCALING_RULES = _object(
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    selectPolicy=_enum("Max", "Min", "Disabled"),
    policies=_list(_object(["type", "value", "periodSeconds"], type=_enum("Pods", "Percent"), value=COUNT,
                           periodSeconds={"type": "integer", "minimum": 1, "maximum": 1800})))
PARENT = _object(["name"], group=TEXT, kind=TEXT, namespace=NAME, name=NAME, sectionName=TEXT, port=PORT)
BACKEND = _object(["name"], group={"type": "string"}, kind=TEXT, namespace=NAME, name=NAME, port=PORT, weight=COUNT)

GROUPS = _object(
    ["leaderWorkerTemplate"],
    replicas=COUNT, startupPolicy=_enum("LeaderCreated", "LeaderReady"),
    leaderWorkerTemplate=_object(
        ["workerTemplate"], size={"type": "integer", "minimum": 1},
        restartPolicy=_enum("None", "RecreateGroupOnPodRestart", "RecreateGroupAfterStart"),
        leaderTemplate={"type": "object"}, workerTemplate={"type": "object"}),
    rolloutStrategy=_object(["type"], type=_enum("RollingUpdate"), rollingUpdateConfiguration=_object(
        maxUnavailable={"type": ["integer", "string"]}, maxSurge={"type": ["integer", "string"]}, partition=COUNT)),
    networkConfig=_object(subdomainPolicy=_enum("Shared", "UniquePerReplica")))

CUSTOM = {
    "monitoring.coreos.com/v1 PodMonitor": _object(
        ["selector", "podMetricsEndpoints"],
        jobLabel=TEXT, podTargetLabels=_list(TEXT), selector=SELECTOR, sampleLimit=COUNT,
        namespaceSelector=_object(any=BOOL, matchNames=_list(NAME)),
        podMetricsEndpoints=_list(_object(
            port=TEXT, portNumber=PORT, path={"type": "string", "pattern": "^/"}, scheme=_enum("http", "https", "HTTP", "HTTPS"),
            interval=DURATION, scrapeTimeout=DURATION, honorLabels=BOOL, honorTimestamps=BOOL, relabelings=_list(RELABELING),
            metricRelabelings=_list(RELABELING),
            tlsConfig=_object(ca=_object(secret=_object(["name", "key"], name=NAME, key=TEXT)), serverName=TEXT,
                              insecureSkipVerify=BOOL)), 1)),
    "keda.sh/v1alpha1 ScaledObject": _object(
        ["scaleTargetRef", "triggers"],
        scaleTargetRef=_object(["name"], apiVersion=TEXT, kind=TEXT, name=NAME, envSourceContainerName=TEXT),
        pollingInterval=COUNT, cooldownPeriod=COUNT, initialCooldownPeriod=COUNT, idleReplicaCount=COUNT, minReplicaCount=COUNT,
        maxReplicaCount=COUNT, fallback=_object(["failureThreshold", "replicas"], failureThreshold=COUNT, replicas=COUNT),
        advanced=_object(restoreToOriginalReplicaCount=BOOL, horizontalPodAutoscalerConfig=_object(
            name=NAME, behavior=_object(scaleUp=SCALING_RULES, scaleDown=SCALING_RULES))),
        triggers=_list(_object(
            ["type", "metadata"], type=_enum("prometheus"), name=TEXT, metricType=_enum("AverageValue", "Value"),
            useCachedMetrics=BOOL,
            # All of a trigger's metadata are strings.
            metadata=_object(["serverAddress", "query", "threshold"], serverAddress={"type": "string", "pattern": "^https?://"},
                             query=TEXT, threshold={"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"},
                             activationThreshold=TEXT, namespace=NAME, ignoreNullValues=TEXT)), 1)),
    "cert-manager.io/v1 Issuer": {
        **_object(selfSigned=_object(crlDistributionPoints=_list(TEXT)), ca=_object(["secretName"], secretName=NAME)),
        "minProperties": 1, "maxProperties": 1},
    "cert-manager.io/v1 Certificate": _object(
        ["secretName", "issuerRef"],
        secretName=NAME, isCA=BOOL, commonName={"type": "string", "maxLength": 64}, dnsNames=_list(NAME, 1),
        uris=_list({"type": "string", "pattern": "^[a-z]+://"}, 1), ipAddresses=_list(TEXT, 1), duration=DURATION,
        renewBefore=DURATION, revisionHistoryLimit=COUNT,
        usages=_list(_enum("server auth", "client auth", "digital signature", "key encipherment", "cert sign"), 1),
        privateKey=_object(algorithm=_enum("RSA", "ECDSA", "Ed25519"), encoding=_enum("PKCS1", "PKCS8"), size=COUNT,
                           rotationPolicy=_enum("Never", "Always")),
        issuerRef=_object(["name"], name=NAME, kind=_enum("Issuer", "ClusterIssuer"), group=TEXT)),
    "leaderworkerset.x-k8s.io/v1 LeaderWorkerSet": GROUPS,
    "disaggregatedset.x-k8s.io/v1 DisaggregatedSet": _object(
        ["roles"],
        slices={"type": "integer", "minimum": 1, "maximum": 100},
        placementPolicy=_object(type=_enum("None", "ExclusiveSlice", "ExclusiveTopology"), topology=TEXT),
        roles={**_list(_object(
            ["name", "spec"], name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
            scaling=_object(mode=_enum("Static", "External")), metadata=_object(labels=LABELS, annotations=LABELS),
            # The set rolls its roles out itself: no partition of theirs.
            spec=_without(GROUPS, "rolloutStrategy", "rollingUpdateConfiguration", "partition")), 2), "maxItems": 10}),
    "inference.networking.k8s.io/v1 InferencePool": _object(
        ["selector", "targetPorts", "endpointPickerRef"],
        selector=_object(["matchLabels"], matchLabels=LABELS),
        targetPorts=_list(_object(["number"], number=PORT), 1),
        endpointPickerRef=_object(["name"], group={"type": "string"}, kind=TEXT, name=NAME, port=_object(["number"], number=PORT),
                                  failureMode=_enum("FailOpen", "FailClose"))),
    "gateway.networking.k8s.io/v1 HTTPRoute": _object(
        parentRefs=_list(PARENT), hostnames=_list(TEXT),
        rules=_list(_object(
            name=NAME,
            matches=_list(_object(path=_object(type=_enum("Exact", "PathPrefix", "RegularExpression"),
                                               value={"type": "string", "pattern": "^/"}),
                                  method=TEXT)),
            backendRefs=_list(BACKEND),
            timeouts=_object(request=DURATION, backendRequest=DURATION)), 1)),
}


def _fault_of_set(o):
    """What its admission webhook refuses beyond its schema."""
    name, roles = f"DisaggregatedSet/{o['metadata']['name']}", o["spec"]["roles"]
    if len({r["name"] for r in roles}) != len(roles):
        return f"{name}: two roles of one name"
    own = [r["spec"].get("replicas", 0) for r in roles if r.get("scaling", {}).get("mode") != "External"]
    if any(own) and not all(own):
        return f"{name}: replicas of some roles are 0, of others not"
    if len(own) < len(roles) and o["spec"].get("slices", 1) > 1:
        return f"{name}: several slices of roles that something else scales"
    policy = o["spec"].get("placementPolicy", {})
    if policy.get("type", "None") != "None" and "topology" not in policy:
        return f"{name}: a placementPolicy without a topology"
    for r in roles:
        limits = r["spec"].get("rolloutStrategy", {}).get("rollingUpdateConfiguration", {})
        if r["spec"].get("replicas", 0) > 0 and limits and not any(
                limits.get(k, least) not in (0, "0%") for k, least in (("maxUnavailable", 1), ("maxSurge", 0))):
            return f"{name}: role {r['name']} can neither take a group away nor add one"
        # SET-SLICE-REVISION-ROLE-prv is the name of a Service.
        made = f"{o['metadata']['name']}-{o['spec'].get('slices', 1) - 1}-01234567-{r['name']}-prv"
        if len(made) > 63:
            return f"{name}: the name of the Service that role {r['name']} gets is too long"
    return None


@cache
def _fault(text, version):
    o = json.loads(text)
    kind = f"{o.get('apiVersion')} {o.get('kind')}"
    name = f"{o.get('kind')}/{o.get('metadata', {}).get('name')}"
    try:
        if kind in CUSTOM:
            whole = _object(["apiVersion", "kind", "metadata", "spec"], apiVersion=TEXT, kind=TEXT, metadata=META,
                            spec=CUSTOM[kind])
            jsonschema.Draft202012Validator(whole).validate(o)
            for groups in ([o["spec"]] if o["kind"] == "LeaderWorkerSet" else
                           [r["spec"] for r in o["spec"]["roles"]] if o["kind"] == "DisaggregatedSet" else []):
                pod = groups["leaderWorkerTemplate"]["workerTemplate"]
                kubernetes_validate.validate({"apiVersion": "v1", "kind": "PodTemplate", "template": pod}, version, strict=True)
            if o["kind"] == "DisaggregatedSet":
                return _fault_of_set(o)
        else:
            kubernetes_validate.validate(o, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError as e:
        return f"{name}: {e.message}"
    except jsonschema.ValidationError as e:
        return f"{name}: {'.'.join(map(str, e.path))}: {e.message[:300]}"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", o["metadata"]["name"]):
        return f"{name}: not a name"
    return None


def schema_faults(objects, version=NEWEST):
    """In words; empty when all is well. Objects of kinds that nobody knows are faults."""
    return [f for o in objects if (f := _fault(json.dumps(o, sort_keys=True), version))]

"""Whether an object is one that the API server would take: Kubernetes' own kinds by its published schemas, strictly, the others
by the schemas below. These are written down here from the APIs' public references; they have the fields that we use and those
beside them that a slip of the pen could mean, and nothing else is let through."""
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
    "leaderworkerset.x-k8s.io/v1 LeaderWorkerSet": _object(
        ["leaderWorkerTemplate"],
        replicas=COUNT, startupPolicy=_enum("LeaderCreated", "LeaderReady"),
        leaderWorkerTemplate=_object(
            ["workerTemplate"], size={"type": "integer", "minimum": 1},
            restartPolicy=_enum("None", "RecreateGroupOnPodRestart", "RecreateGroupAfterStart"),
            leaderTemplate={"type": "object"}, workerTemplate={"type": "object"}),
        rolloutStrategy=_object(["type"], type=_enum("RollingUpdate"), rollingUpdateConfiguration=_object(
            maxUnavailable={"type": ["integer", "string"]}, maxSurge={"type": ["integer", "string"]}, partition=COUNT)),
        networkConfig=_object(subdomainPolicy=_enum("Shared", "UniquePerReplica"))),
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
            if o["kind"] == "LeaderWorkerSet":
                pod = o["spec"]["leaderWorkerTemplate"]["workerTemplate"]
                kubernetes_validate.validate({"apiVersion": "v1", "kind": "PodTemplate", "template": pod}, version, strict=True)
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

"""What no schema sees: that objects name each other rightly, that ports and probes fit, that the rules of deploy/kubernetes
(least privilege, a drain within the grace period, no secret in an argument) hold. Each check yields faults in words."""
import tomllib

WORKLOADS = ("Deployment", "StatefulSet", "LeaderWorkerSet")


def workloads_of(o):
    """The workloads that an object is: of a DisaggregatedSet each role, in words of a LeaderWorkerSet."""
    if o["kind"] == "DisaggregatedSet":
        return [{"kind": o["kind"], "apiVersion": o["apiVersion"], "spec": r["spec"],
                 "metadata": {**o["metadata"], "name": f"{o['metadata']['name']}:{r['name']}"}} for r in o["spec"]["roles"]]
    return [o] if o["kind"] in WORKLOADS else []


def pod_template(o):
    spec = o["spec"]
    return spec["leaderWorkerTemplate"]["workerTemplate"] if "leaderWorkerTemplate" in spec else spec["template"]


def component(o):
    return pod_template(o)["metadata"]["labels"]["app.kubernetes.io/component"]


class World:
    def __init__(self, objects):
        self.objects = objects
        self.workloads = [w for o in objects for w in workloads_of(o)]
        self.daemons = [o for o in self.workloads if component(o) != "etcd"]  # our own programs

    def of(self, *kinds):
        return [o for o in self.objects if o["kind"] in kinds]

    def named(self, kind, name):
        return next((o for o in self.objects if o["kind"] == kind and o["metadata"]["name"] == name), None)

    def chosen(self, selector):
        """The workloads whose pods a label selector chooses."""
        def chooses(labels):
            for e in selector.get("matchExpressions", []):
                if e["operator"] != "In" or labels.get(e["key"]) not in e["values"]:
                    return False
            return all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())
        return [w for w in self.workloads if chooses(pod_template(w)["metadata"]["labels"])]

    def config(self, workload):
        """{file: text} that its pods have in /etc/sluice."""
        for v in pod_template(workload)["spec"].get("volumes", []):
            if v["name"] == "config":
                found = self.named("ConfigMap", v["configMap"]["name"])
                return found["data"] if found else {}
        return {}

    def settings(self, workload):
        """What the daemon is told, flags over files: {flag without dashes: value}."""
        container = pod_template(workload)["spec"]["containers"][0]
        files = self.config(workload)
        told, flags = {}, {}
        for arg in container["args"]:
            key, _, value = arg.removeprefix("--").partition("=")
            if key == "config":
                told.update(tomllib.loads(files.get(value.rsplit("/", 1)[1], "")))
            else:
                flags[key] = value
        return told | flags


def title(o):
    return f"{o['kind']}/{o['metadata']['name']}"


def ports_of(workload):
    return {p["name"]: p["containerPort"] for c in pod_template(workload)["spec"]["containers"] for p in c.get("ports", [])}


def services(w):
    for s in w.of("Service"):
        pods = w.chosen({"matchLabels": s["spec"]["selector"]})
        if not pods:
            yield f"{title(s)} chooses no pod"
        for p in s["spec"]["ports"]:
            for pod in pods:
                if p["targetPort"] not in ports_of(pod):
                    yield f"{title(s)}: {title(pod)} has no port '{p['targetPort']}'"
    for o in w.of("StatefulSet"):
        head = w.named("Service", o["spec"]["serviceName"])
        if head is None or head["spec"].get("clusterIP") != "None":
            yield f"{title(o)}: its serviceName '{o['spec']['serviceName']}' is no headless Service"


def probes(w):
    for o in w.workloads:
        for c in pod_template(o)["spec"]["containers"]:
            own = {p["name"]: p["containerPort"] for p in c.get("ports", [])}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                if kind not in c:
                    yield f"{title(o)}: no {kind}"
                elif (port := c[kind]["httpGet"]["port"]) not in (*own, *own.values()):
                    yield f"{title(o)}: its {kind} asks at port '{port}', which is none of the container's"
            if c.get("readinessProbe", {}).get("httpGet", {}).get("path") == c.get("livenessProbe", {}).get("httpGet", {}).get(
                    "path"):
                yield f"{title(o)}: readiness and liveness ask the same question"


def listeners(w):
    """The ports that pods declare are those that the daemons are told to listen at."""
    for o in w.daemons:
        said = w.settings(o)
        told = {}
        if "port" in said:
            told["http"] = int(said["port"])
        for flag, name in (("control-listen", "control"), ("admin-listen", "admin"), ("data-listen", "data")):
            if flag in said:
                host, _, port = str(said[flag]).rpartition(":")
                told[name] = int(port)
                if host != "0.0.0.0":
                    yield f"{title(o)}: --{flag} is {said[flag]}, which no other pod reaches"
        if told != ports_of(o):
            yield f"{title(o)}: it listens at {told} and declares {ports_of(o)}"
        for name, number in told.items():
            first, _, last = str(said.get("ucx-port-range", "0-0")).partition("-")
            if int(first) <= number <= int(last):
                yield f"{title(o)}: port {name} lies in ucx-port-range"
        if ("registry" in said) == ("coordinator" in said) and component(o) != "coordinator":
            yield f"{title(o)}: it is told of a registry and a coordinator, or of neither"
        if o["spec"]["replicas"] > 1 and component(o) == "coordinator" and "registry" not in said:
            yield f"{title(o)}: several coordinators without a registry"
        for where in said.get("registry", "").removeprefix("etcd://").split(",") if "registry" in said else ():
            host, _, port = where.rpartition(":")
            service = w.named("Service", host)
            if service is None or int(port) not in [p["port"] for p in service["spec"]["ports"]]:
                yield f"{title(o)}: no Service answers at --registry {where}"
        if "coordinator" in said:
            host, _, port = said["coordinator"].rpartition(":")
            service = w.named("Service", host)
            if service is None or int(port) not in [p["port"] for p in service["spec"]["ports"]]:
                yield f"{title(o)}: no Service answers at --coordinator {said['coordinator']}"
            elif not service["spec"].get("publishNotReadyAddresses"):
                yield f"{title(service)}: nodes must find a coordinator that is not ready, or it never will be"


def network_policies(w):
    for n in w.of("NetworkPolicy"):
        pods = w.chosen(n["spec"]["podSelector"])
        if not pods:
            yield f"{title(n)} chooses no pod"
        for rule in n["spec"].get("ingress", []):
            for source in rule.get("from", []):
                if "podSelector" in source and not w.chosen(source["podSelector"]):
                    yield f"{title(n)}: `from` chooses no pod"
            for p in rule.get("ports", []):
                for pod in pods:
                    if isinstance(p["port"], str):
                        if p["port"] not in ports_of(pod):
                            yield f"{title(n)}: {title(pod)} has no port '{p['port']}'"
                    elif f"{p['port']}-{p['endPort']}" != w.settings(pod).get("ucx-port-range"):
                        yield f"{title(n)}: {p['port']}-{p['endPort']} is not the ucx-port-range of {title(pod)}"
    if w.workloads and w.of("NetworkPolicy"):
        for o in w.workloads:
            for name in ports_of(o):
                if not any(p.get("port") == name for n in w.of("NetworkPolicy") if o in w.chosen(n["spec"]["podSelector"])
                           for rule in n["spec"].get("ingress", []) for p in rule.get("ports", [])):
                    yield f"{title(o)}: no NetworkPolicy lets anybody to port '{name}'"


def scraping(w, monitor, endpoint, pod):
    """A pod is scraped as it speaks; the name that is expected is one of the certificate's."""
    said = w.settings(pod)
    secure = "tls-cert" in said if endpoint["port"] == "http" else said.get("admin-tls", "off") != "off"
    if (endpoint.get("scheme", "http").lower() == "https") != secure:
        yield f"{title(monitor)}: port '{endpoint['port']}' of {title(pod)} speaks {'HTTPS' if secure else 'HTTP'}"
    elif secure:
        tls = endpoint.get("tlsConfig", {})
        ca = tls.get("ca", {}).get("secret", {})
        made = next((c["spec"] for c in w.of("Certificate") if c["spec"]["secretName"] == ca.get("name")), None)
        if tls.get("insecureSkipVerify") or made is None or ca["key"] != "ca.crt":
            yield f"{title(monitor)}: no authority by which {title(pod)} is known"
        elif tls.get("serverName") not in made["dnsNames"]:
            yield f"{title(monitor)}: '{tls.get('serverName')}' is no name of the certificate of {title(pod)}"


def references(w):
    for o in w.workloads:
        spec = pod_template(o)["spec"]
        volumes = {v["name"]: v for v in spec.get("volumes", [])}
        volumes |= {v["metadata"]["name"]: v for v in o["spec"].get("volumeClaimTemplates", [])}
        for v in volumes.values():
            if "configMap" in v and w.named("ConfigMap", v["configMap"]["name"]) is None:
                yield f"{title(o)}: no ConfigMap '{v['configMap']['name']}'"
        for c in spec["containers"]:
            mounted = {m["name"] for m in c["volumeMounts"]}
            for name in sorted(mounted ^ set(volumes)):
                yield f"{title(o)}: volume '{name}' is not both mounted and there"
            for arg in c["args"]:
                if arg.startswith("--config=/etc/sluice/") and arg.rsplit("/", 1)[1] not in w.config(o):
                    yield f"{title(o)}: no file of its ConfigMap is {arg.removeprefix('--config=')}"
            known = {e["name"] for e in c["env"]}
            for arg in c["args"]:
                if "$(" in arg and arg.split("$(", 1)[1].split(")")[0] not in known:
                    yield f"{title(o)}: no variable for '{arg}'"
            claims = {r["name"] for r in spec.get("resourceClaims", [])}
            for claim in c["resources"].get("claims", []):
                if claim["name"] not in claims:
                    yield f"{title(o)}: no resource claim '{claim['name']}'"
        for claim in spec.get("resourceClaims", []):
            if w.named("ResourceClaimTemplate", claim["resourceClaimTemplateName"]) is None:
                yield f"{title(o)}: no ResourceClaimTemplate '{claim['resourceClaimTemplateName']}'"
        for t in spec["topologySpreadConstraints"]:
            if o not in w.chosen(t["labelSelector"]):
                yield f"{title(o)}: its topology spread counts other pods"
    for b in w.of("PodDisruptionBudget"):
        if len(w.chosen(b["spec"]["selector"])) != 1:
            yield f"{title(b)} is not about one workload"
    for s in w.of("ScaledObject", "HorizontalPodAutoscaler"):
        target = s["spec"]["scaleTargetRef"]
        found = w.named(target["kind"], target["name"])
        if found is None or found["apiVersion"] != target["apiVersion"]:
            yield f"{title(s)}: no {target['kind']} '{target['name']}' to scale"
    for m in w.of("PodMonitor"):
        pods = w.chosen(m["spec"]["selector"])
        if not pods:
            yield f"{title(m)} chooses no pod"
        for e in m["spec"]["podMetricsEndpoints"]:
            for pod in pods:
                if e["port"] not in ports_of(pod):
                    yield f"{title(m)}: {title(pod)} has no port '{e['port']}'"
                yield from scraping(w, m, e, pod)
    for p in w.of("InferencePool"):
        pods = w.chosen(p["spec"]["selector"])
        if not pods:
            yield f"{title(p)} chooses no pod"
        for t in p["spec"]["targetPorts"]:
            for pod in pods:
                if t["number"] not in ports_of(pod).values():
                    yield f"{title(p)}: {title(pod)} has no port {t['number']}"
    for r in w.of("HTTPRoute"):
        for rule in r["spec"]["rules"]:
            for b in rule["backendRefs"]:
                if w.named(b.get("kind", "Service"), b["name"]) is None:
                    yield f"{title(r)}: no {b.get('kind', 'Service')} '{b['name']}'"


def privileges(w):
    for o in w.workloads:
        spec = pod_template(o)["spec"]
        pod = spec.get("securityContext", {})
        if not pod.get("runAsNonRoot") or pod.get("runAsUser", 0) == 0:
            yield f"{title(o)}: runs as root"
        if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{title(o)}: no seccomp profile"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{title(o)}: has a service account's token"
        for c in spec["containers"]:
            own = c.get("securityContext", {})
            if own.get("allowPrivilegeEscalation") is not False:
                yield f"{title(o)}: may escalate its privileges"
            if not own.get("readOnlyRootFilesystem"):
                yield f"{title(o)}: may write its root file system"
            caps = own.get("capabilities", {})
            if caps.get("drop") != ["ALL"] or not set(caps.get("add", [])) <= {"IPC_LOCK"}:
                yield f"{title(o)}: its capabilities are {caps}"
            if not c["resources"].get("requests") or "memory" not in c["resources"].get("limits", {}):
                yield f"{title(o)}: resources are not bounded"
            for arg in c["args"]:
                if any(arg.startswith(f) for f in ("--cluster-token=", "--api-key=")):
                    yield f"{title(o)}: a secret in an argument"
            for e in c["env"]:
                if e["name"] in ("SLUICE_CLUSTER_TOKEN", "SLUICE_API_KEY") and "secretKeyRef" not in e.get("valueFrom", {}):
                    yield f"{title(o)}: {e['name']} is not from a Secret"
        for key in w.settings(o):
            if key in ("cluster-token", "api-key"):
                yield f"{title(o)}: a secret in a ConfigMap"


def drains(w):
    """preStop and drain end before the kubelet kills, with 5 s to spare."""
    for o in w.daemons:
        spec = pod_template(o)["spec"]
        wait = max(c.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) for c in spec["containers"])
        drain = float(w.settings(o).get("drain-timeout-s", 30))
        grace = spec["terminationGracePeriodSeconds"]
        if wait + drain + 5 > grace:
            yield f"{title(o)}: waits {wait} s and drains {drain:.0f} s, but is killed after {grace} s"


def roles(w):
    for o in w.daemons:
        labels = pod_template(o)["metadata"]["labels"]
        if labels.get("llm-d.ai/engine-type") != "sluice":
            yield f"{title(o)}: no label llm-d.ai/engine-type"
        role = component(o)
        if labels.get("llm-d.ai/role") != (None if role == "coordinator" else role):
            yield f"{title(o)}: llm-d.ai/role is not its role"
        if pod_template(o)["spec"]["containers"][0]["command"] != [f"/usr/bin/sluice-{role}"]:
            yield f"{title(o)}: its command is not /usr/bin/sluice-{role}"


def certificates(w):
    """Whoever speaks TLS has a certificate of its role; probes speak what the port speaks."""
    made = {c["spec"]["secretName"]: c["spec"] for c in w.of("Certificate")}
    for c in w.of("Certificate"):
        if w.named("Issuer", c["spec"]["issuerRef"]["name"]) is None:
            yield f"{title(c)}: no Issuer '{c['spec']['issuerRef']['name']}'"
    for i in w.of("Issuer"):
        if "ca" in i["spec"] and not made.get(i["spec"]["ca"]["secretName"], {}).get("isCA"):
            yield f"{title(i)}: '{i['spec']['ca']['secretName']}' is no authority's certificate"
    for o in w.daemons:
        spec, said = pod_template(o)["spec"], w.settings(o)
        container = spec["containers"][0]
        at = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
        secrets = {v["name"]: v["secret"] for v in spec["volumes"] if "secret" in v}
        for flag in [f for f in said if f.startswith(("tls-", "cluster-"))]:
            folder, _, file = said[flag].rpartition("/")
            secret = secrets.get(at.get(folder, ""))
            if secret is None or secret["secretName"] not in made or file not in ("tls.crt", "tls.key", "ca.crt"):
                yield f"{title(o)}: --{flag} names no file of a certificate"
            elif secret.get("defaultMode") != 0o440:
                yield f"{title(o)}: the key of --{flag} is readable for others"
            elif flag.startswith("cluster-") and made[secret["secretName"]].get("uris") != [f"sluice://role/{component(o)}"]:
                yield f"{title(o)}: the certificate of --{flag} is not its role's"
        scheme = "HTTPS" if "tls-cert" in said or said.get("admin-tls", "off") != "off" else "HTTP"
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if container.get(kind, {}).get("httpGet", {}).get("scheme", "HTTP") != scheme:
                yield f"{title(o)}: its {kind} does not speak {scheme}"


CHECKS = (certificates, services, probes, listeners, network_policies, references, privileges, drains, roles)


def sense_faults(objects):
    w = World(objects)
    return [f for check in CHECKS for f in check(w)]

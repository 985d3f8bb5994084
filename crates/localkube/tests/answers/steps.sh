#!/usr/bin/env bash
# steps.sh KUBECTL ROOT: what a person does with kubectl, step by step, against the API server of $KUBECONFIG; prints
# each command and its answer, without what differs from run to run. The same steps were run against a real
# kube-apiserver (kubectl.txt, made by tests/tools/kubectl-answers.sh) and are run against ours.
set -uo pipefail
kubectl=$1 root=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export TZ=UTC LC_ALL=C

k() { "$kubectl" --request-timeout=60s "$@"; }

# Without ids, versions, times, ages, addresses, and the width of columns.
steady() {
    sed -E \
        -e 's/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/UID/g' \
        -e 's/(resourceVersion: )"[0-9]+"/\1RV/; s/(Resource Version: +)[0-9]+/\1RV/' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g' \
        -e 's/ +$//; s/  (<invalid>|[0-9]+(m|s|ms)([0-9]+s)?)(  |$)/  AGE\4/' \
        -e 's/10\.[0-9]+\.[0-9]+\.[0-9]+/ADDRESS/g' \
        -e 's/(made-)[a-z0-9]{5}/\1SUFFIX/g' \
        -e 's#https?://127\.0\.0\.1:[0-9]+#SERVER#g' \
        -e 's/ {2,}/  /g'
}

# step COMMAND...: the command, its answer (both streams), and its status if that is not 0.
step() {
    printf '\n$ %s\n' "$*"
    "$@" >answer 2>&1 </dev/stdin
    local status=$?
    steady <answer
    [ "$status" -eq 0 ] || printf '(exit %s)\n' "$status"
}

# quiet COMMAND...: has to succeed, and is not shown.
quiet() { "$@" >answer 2>&1 || { printf 'failed: %s\n' "$*"; cat answer; }; }

quiet k create namespace answers
quiet k config set-context --current --namespace=answers
quiet k create serviceaccount default
cat >thing.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: first, labels: {app: db, tier: data}}
data: {colour: blue}
Y
cat >pod.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: p-1, labels: {app: db}}
spec:
  automountServiceAccountToken: false
  containers:
  - {name: main, image: "postgres:15", ports: [{containerPort: 5432, name: pg}], env: [{name: A, value: "1"}]}
Y

echo '# Nothing there'
step k get configmaps nosuch
step k get pods
step k get nosuchkind
step k delete configmap nosuch
step k delete configmap nosuch --ignore-not-found
step k get --raw /api/v1/namespaces/answers/configmaps/nosuch
step k get --raw /apis/nosuch.io/v1/things

echo
echo '# Apply, change, delete'
step k apply -f thing.yaml
step k apply -f thing.yaml
sed -i 's/blue/red/' thing.yaml
step k apply -f thing.yaml
step k create -f thing.yaml
step k get configmap first
step k get configmap first -o yaml
step k get configmaps -l app=db -o name
step k get configmaps -l 'tier,tier notin (other)' -o name
step k get configmaps --field-selector metadata.name=first -o name
step k get configmap first -o 'jsonpath={.data.colour}'
step k get configmap first -o custom-columns=NAME:.metadata.name,COLOUR:.data.colour
step k describe configmap first
step k label configmap first app=other
step k label configmap first app=other --overwrite
step k annotate configmap first note=x
step k patch configmap first --type=merge -p '{"data":{"colour":null,"size":"1"}}'
step k get configmap first -o 'jsonpath={.data}'
step k patch configmap first --type=json -p '[{"op":"test","path":"/data/size","value":"2"}]'
step k patch configmap first --type=json -p '[{"op":"remove","path":"/data/nosuch"}]'
step k patch configmap first --type=json -p '[{"op":"replace","path":"/data/size","value":"3"}]'
step k patch configmap first --type=merge -p '{"metadata":{"resourceVersion":"1"},"data":{"size":"4"}}'
k get configmap first -o yaml >old.yaml
quiet k label configmap first another=label
step k replace -f old.yaml
step k apply -f thing.yaml --dry-run=server
step k create configmap Not_A_Name
step k delete configmap first

echo
echo '# Names that the server makes'
cat >generated.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {generateName: made-}
Y
step k create -f generated.yaml
step k apply -f generated.yaml
quiet k delete configmaps --all

echo
echo '# Finalizers, and deletion that waits'
cat >held.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: held, finalizers: [a.io/hold]}
Y
quiet k create -f held.yaml
step k delete configmap held --wait=false
step k get configmap held -o 'jsonpath={.metadata.finalizers}'
step k get configmap held -o 'jsonpath={.metadata.deletionTimestamp}'
step k delete configmap held --timeout=1s
k wait --for=delete configmap/held --timeout=60s >/dev/null 2>&1 &
waiting=$!
step k patch configmap held --type=merge -p '{"metadata":{"finalizers":null}}'
wait "$waiting"
printf '\n$ k wait --for=delete configmap/held\n(exit %s)\n' "$?"
step k get configmap held

echo
echo '# A watch'
quiet k create configmap watched
k get configmaps --watch --output-watch-events --field-selector metadata.name=watched >watching 2>&1 &
watching=$!
lines() { for _ in $(seq 600); do [ "$(wc -l <watching)" -lt "$1" ] || return 0; sleep 0.1; done; }
lines 2
quiet k patch configmap watched --type=merge -p '{"data":{"a":"b"}}'
lines 3
quiet k delete configmap watched
lines 4
kill "$watching"
wait "$watching" 2>/dev/null
printf '\n$ k get configmaps --watch --output-watch-events\n'
steady <watching

echo
echo '# Built-in kinds'
step k apply -f pod.yaml
step k get pods
step k get pods -o wide
step k get pod p-1 --show-labels
step k patch pod p-1 --type=strategic -p '{"spec":{"containers":[{"name":"main","image":"postgres:16"}]}}'
step k get pod p-1 -o 'jsonpath={.spec.containers[*].name} {.spec.containers[0].image} {.status.phase} {.status.qosClass}'
step k get pod p-1 -o 'jsonpath={.spec.restartPolicy} {.spec.terminationGracePeriodSeconds} {.spec.dnsPolicy} {.spec.serviceAccountName}'
step k get pod p-1 -o 'jsonpath={.spec.containers[0].imagePullPolicy} {.spec.containers[0].terminationMessagePath} {.spec.containers[0].ports}'
step k patch pod p-1 --type=merge -p '{"spec":{"hostname":"other"}}'
sed 's/p-1/p-2/; s/image: "postgres:15", //' pod.yaml >bad.yaml
step k create -f bad.yaml
sed 's/p-1/p-2/; s/{name: main/{name: Main!/' pod.yaml >bad.yaml
step k create -f bad.yaml
step k wait --for=condition=Ready pod/p-1 --timeout=1s
quiet k patch pod p-1 --subresource=status --type=merge -p '{"status":{"phase":"Running","podIP":"10.1.2.3","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"main","ready":true,"restartCount":2,"image":"postgres:16","imageID":"x","state":{"running":{}}}]}}'
step k wait --for=condition=Ready pod/p-1 --timeout=20s
step k get pods
step k get pod p-1 -o 'jsonpath={.status.podIPs}'
step k delete pod p-1 --force --grace-period=0
step k create secret generic s --from-literal=a=b
step k get secrets
step k get secret s -o 'jsonpath={.data.a} {.type}'
cat >service.yaml <<'Y'
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: main, port: 80, targetPort: 8080}]}
Y
step k apply -f service.yaml
step k get services
step k get service web -o 'jsonpath={.spec.type} {.spec.ports} {.spec.selector} {.spec.sessionAffinity}'
step k patch service web --type=merge -p '{"spec":{"clusterIP":"10.9.9.9"}}'
cat >claim.yaml <<'Y'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c-1}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}
Y
step k apply -f claim.yaml
step k get pvc
step k get pvc c-1 -o 'jsonpath={.spec.volumeMode} {.status.phase} {.metadata.finalizers}'
cat >lease.yaml <<'Y'
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: l}
spec: {holderIdentity: me, leaseDurationSeconds: 8}
Y
step k create -f lease.yaml
step k get leases
step k patch lease l --type=merge -p '{"spec":{"leaseDurationSeconds":0}}'
step k get leases -o 'custom-columns=HOLDER:.spec.holderIdentity,SECONDS:.spec.leaseDurationSeconds'

echo
echo '# A custom kind'
cat >definition.yaml <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.a.io}
spec:
  group: a.io
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, shortNames: [tng]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, maximum: 9}
              note: {type: string, minLength: 2, maxLength: 4, pattern: '^[a-z]+$'}
              mode: {type: string, enum: [fast, safe], default: safe}
              inner: {type: object, default: {}, properties: {depth: {type: integer, default: 3}}}
              list: {type: array, minItems: 1, items: {type: string}}
              free: {type: object, additionalProperties: {type: string}}
          status: {type: object, properties: {phase: {type: string}}}
Y
sed 's/default: 3/default: three/' definition.yaml >bad.yaml
step k create -f bad.yaml
sed 's/name: things.a.io/name: other.a.io/' definition.yaml >bad.yaml
step k create -f bad.yaml
step k create -f definition.yaml
step k wait --for=condition=Established crd/things.a.io --timeout=60s
cat >custom.yaml <<'Y'
apiVersion: a.io/v1
kind: Thing
metadata: {name: t}
spec: {size: 3, note: abc, free: {b: c}}
status: {phase: ignored}
Y
step k create -f custom.yaml
step k get tng t
step k get thing t -o yaml
step k describe thing t
step k patch thing t --type=merge -p '{"spec":{"size":0}}'
step k patch thing t --type=merge -p '{"spec":{"size":10}}'
step k patch thing t --type=merge -p '{"spec":{"size":"3"}}'
step k patch thing t --type=merge -p '{"spec":{"size":null}}'
step k patch thing t --type=merge -p '{"spec":{"note":"a"}}'
step k patch thing t --type=merge -p '{"spec":{"note":"A1"}}'
step k patch thing t --type=merge -p '{"spec":{"mode":"slow"}}'
step k patch thing t --type=merge -p '{"spec":{"mode":null,"list":[]}}'
step k patch thing t --type=merge -p '{"spec":{"free":{"b":1}}}'
step k patch thing t --type=merge -p '{"metadata":{"name":"other"}}'
quiet k delete -f definition.yaml

echo
echo '# Owners of fields'
cat >own.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: owned, labels: {app: db}, finalizers: [a.io/mine]}
data: {a: "1", b: "2"}
Y
# owners KIND NAME: who owns which fields, in the order of their names.
owners() {
    k get "$@" -o json --show-managed-fields >object || return 1
    /usr/bin/python3 -c '
import json
entries = json.load(open("object"))["metadata"].get("managedFields", [])
for entry in sorted(entries, key=lambda e: (e["manager"], e["operation"])):
    print(entry["manager"], entry["operation"], entry["apiVersion"], json.dumps(entry["fieldsV1"], sort_keys=True))'
}
step k apply --server-side -f own.yaml
step owners configmap owned
step k get configmap owned -o 'jsonpath={.data} {.metadata.labels} {.metadata.finalizers}'
step k apply --server-side -f own.yaml
sed 's/a: "1", b: "2"/b: "3", c: "4"/; s/, finalizers.*]//; s/app: db/tier: data/' own.yaml >other.yaml
step k apply --server-side --field-manager=other -f other.yaml
step k apply --server-side --field-manager=other --dry-run=server --force-conflicts -f other.yaml
step k get configmap owned -o 'jsonpath={.data}'
step k apply --server-side --field-manager=other --force-conflicts -f other.yaml
step owners configmap owned
step k get configmap owned -o 'jsonpath={.data} {.metadata.labels} {.metadata.finalizers}'
sed -i 's/a: "1", //; s/b: "2"/c: "4"/; s/, labels: {app: db}//' own.yaml
step k apply --server-side -f own.yaml
step owners configmap owned
step k get configmap owned -o 'jsonpath={.data} {.metadata.labels} {.metadata.finalizers}'
sed -i 's/, c: "4"//' other.yaml
step k apply --server-side --field-manager=other -f other.yaml
step k get configmap owned -o 'jsonpath={.data}'
step k patch configmap owned --type=merge -p '{"data":{"c":"5","d":"6"}}'
step k apply --server-side -f own.yaml
step k apply --server-side --field-manager=other -f own.yaml
step k label configmap owned tier=none --overwrite
sed -i 's/tier: data/tier: other/; s/b: "3"/b: "3", d: "7"/' other.yaml
step k apply --server-side --field-manager=other -f other.yaml
sed 's/^data: .*/nosuch: {a: b}/' own.yaml >bad.yaml
step k apply --server-side --validate=false --field-manager=third -f bad.yaml
step k patch configmap owned --type=merge -p '{"metadata":{"managedFields":[{}]}}'
step owners configmap owned
step k get configmap owned -o 'jsonpath={.data} {.metadata.labels} {.metadata.finalizers}'
step k apply --server-side -f own.yaml --force-conflicts
step owners configmap owned
step k get configmap owned -o 'jsonpath={.data} {.metadata.labels} {.metadata.finalizers}'
quiet k patch configmap owned --type=merge -p '{"metadata":{"finalizers":null}}'
step k delete configmap owned

cat >client.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: client, annotations: {note: x}}
data: {a: "1", b: "2"}
Y
step k apply -f client.yaml
step owners configmap client
sed -i 's/b: "2"/c: "3"/' client.yaml
step k apply --server-side -f client.yaml
step k get configmap client -o 'jsonpath={.data}'
step k delete configmap client

cat >sidecar.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: p-3}
spec:
  containers:
  - {name: main, env: [{name: B, value: "2"}]}
Y
sed 's/p-1/p-3/' pod.yaml >main.yaml
step k apply --server-side -f main.yaml
step owners pod p-3
sed 's/image: "postgres:15"/image: "postgres:16"/' main.yaml >newer.yaml
step k apply --server-side --field-manager=other -f newer.yaml
step k apply --server-side --field-manager=other --force-conflicts -f newer.yaml
step k apply --server-side -f main.yaml
step k get pod p-3 -o 'jsonpath={.spec.containers[0].image}'
step k delete pod p-3 --force --grace-period=0
sed 's/p-1/p-4/' pod.yaml >created.yaml
quiet k create -f created.yaml
step owners pod p-4
quiet k delete pod p-4 --force --grace-period=0
sed -i 's/targetPort: 8080/&, protocol: TCP/' service.yaml
step k apply --server-side -f service.yaml
step owners service web
sed -i 's/port: 80, /port: 81, /' service.yaml
step k apply --server-side -f service.yaml
step k get service web -o 'jsonpath={.spec.ports[*].port}'
quiet k create -f - <<'Y'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c-2}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}
Y
step owners pvc c-2
quiet k create -f - <<'Y'
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: l-2}
spec: {holderIdentity: me, leaseDurationSeconds: 8}
Y
step owners lease l-2

echo
echo '# Ten owners by update at most'
quiet k create configmap many --from-literal=k=v
# A second each: times have no smaller part, and the oldest are merged.
for writer in 01 02 03 04 05 06 07 08 09 10 11 12; do
    sleep 1
    quiet k patch configmap many --type=merge --field-manager="m$writer" -p '{"data":{"'"k$writer"'":"v"}}'
done
step owners configmap many
quiet k apply --server-side --field-manager=applier -f - <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: many}
data: {applied: "1"}
Y
step owners configmap many
quiet k delete configmap many

echo
echo '# Owners of a custom kind'
quiet k create -f definition.yaml
quiet k wait --for=condition=Established crd/things.a.io --timeout=60s
sed -i '/^status/d' custom.yaml
step k create -f custom.yaml
step owners thing t
step k apply --server-side -f custom.yaml
step owners thing t
sed 's/size: 3/size: 4/' custom.yaml >other.yaml
step k apply --server-side --field-manager=other -f other.yaml
step k apply --server-side --field-manager=other --force-conflicts -f other.yaml
sed 's/note: abc, //; s/, free: .*/}/' custom.yaml >less.yaml
step k apply --server-side -f less.yaml
step owners thing t
step k get thing t -o 'jsonpath={.spec}'
sed 's/note: abc/nosuch: abc/' custom.yaml >bad.yaml
step k apply --server-side --validate=false --field-manager=other -f bad.yaml
quiet k delete -f definition.yaml

echo
echo '# Pages, and lists of a version'
# page QUERY [token|VERSION]: names, how many more there are, whether there is more; VERSION is the name of a file.
page() {
    local query=$1 answer
    [ "${2:-}" != token ] || query="$query&continue=$(cat token)"
    [ -z "${2:-}" ] || [ "$2" = token ] || query="$query&resourceVersion=$(cat "$2")"
    answer=$(k get --raw "/api/v1/namespaces/answers/configmaps?$query") || return 1
    /usr/bin/python3 -c '
import json, sys
listed = json.loads(sys.argv[1])
more = listed["metadata"].get("continue", "")
print(*sorted(item["metadata"]["name"] for item in listed["items"]), listed["metadata"].get("remainingItemCount"), bool(more))
if more: open("token", "w").write(more)' "$answer"
}
quiet k delete configmaps --all
for name in a b c d e; do quiet k create configmap "page-$name"; done
quiet k label configmap page-c page-e some=label
step page limit=2
step page limit=2 token
step page limit=2 token
step page 'limit=1&labelSelector=some'
step page 'limit=1&labelSelector=some' token
k get configmap page-e -o 'jsonpath={.metadata.resourceVersion}' >before
quiet page limit=2
quiet k delete configmap page-c
quiet k create configmap page-f
step page limit=9 token
step page resourceVersionMatch=Exact before
step page resourceVersionMatch=NotOlderThan before
step page limit=2 before
step page resourceVersionMatch=Exact
step page resourceVersionMatch=Sideways before
echo 0 >zero
step page resourceVersionMatch=Exact zero
step page 'resourceVersionMatch=Exact&limit=1&continue=x' before
step page 'limit=2&continue=x'
step page 'limit=1&continue=x' before
step k get configmaps --chunk-size=2 -o name

echo
echo '# Bookmarks'
# bookmarks QUERY: whether a watch that asks for bookmarks ends with one.
bookmarks() {
    k get --raw "/api/v1/namespaces/answers/configmaps?watch=1&resourceVersion=0&timeoutSeconds=8&$1" >watched || return 1
    /usr/bin/python3 -c '
import json
events = [json.loads(line) for line in open("watched")]
marks = [event["object"] for event in events if event["type"] == "BOOKMARK"]
print("none" if not marks else "at the end" if events[-1]["type"] == "BOOKMARK" else "before others")
for mark in marks[-1:]:
    version = mark["metadata"].pop("resourceVersion")
    print(int(version) > 0, json.dumps(mark, sort_keys=True))'
}
step bookmarks allowWatchBookmarks=true

echo
echo '# Our own kinds' 
cp "$root"/proto/crds/*.yaml .
for definition in postgresql.*.yaml; do step k create --validate=false -f "$definition"; done
step k wait --for=condition=Established crd/clusters.postgresql.cnpg.io --timeout=60s
step k api-resources --api-group=postgresql.cnpg.io
sed 's/namespace: .*/namespace: answers/; s/name: phoenix-guardian-db/name: db/' "$root/docs/examples/cluster.yaml" >cluster.yaml
step k get clusters
step k apply -f cluster.yaml
step k apply -f cluster.yaml
sed -i 's/instances: 3/instances: 2/' cluster.yaml
step k apply -f cluster.yaml
step k get clusters
step k get cluster db -o name
step k get cluster db -o 'jsonpath={.spec.instances} {.spec.storage.size} {.metadata.generation}'
step k patch cluster db --type=merge -p '{"spec":{"instances":0}}'
step k patch cluster db --type=merge -p '{"spec":{"instances":"three"}}'
step k patch cluster db --type=merge -p '{"spec":{"postgresql":{"parameters":{"max_connections":200}}}}'
step k patch cluster db --type=merge -p '{"spec":{"backup":{"barmanObjectStore":{"wal":{"compression":"rar"}}}}}'
step k patch cluster db --type=strategic -p '{"spec":{"instances":3}}'
step k scale cluster db --replicas=1
step k get cluster db -o 'jsonpath={.spec.instances} {.metadata.generation}'
step k patch cluster db --subresource=status --type=merge -p '{"status":{"phase":"Cluster in healthy state","instances":1,"readyInstances":1,"currentPrimary":"db-1","conditions":[{"type":"Ready","status":"True","reason":"ClusterIsReady","message":"fine","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}'
step k get cluster db -o 'jsonpath={.metadata.generation} {.status.phase}'
step k patch cluster db --type=merge -p '{"status":{"phase":"other"}}'
step k get cluster db -o 'jsonpath={.status.phase}'
step k get clusters -A
step k wait --for=condition=Ready cluster/db --timeout=20s
step k wait --for=jsonpath='{.status.currentPrimary}'=db-1 cluster/db --timeout=20s
step k wait --for=jsonpath='{.status.currentPrimary}'=db-2 cluster/db --timeout=1s
step k delete cluster db
step k get clusters
for definition in postgresql.*.yaml; do quiet k delete -f "$definition"; done
step k get clusters

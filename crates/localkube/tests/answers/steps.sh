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
echo '# Our own kinds'
cp "$root"/proto/crds/*.yaml .
for definition in postgresql.*.yaml; do step k create -f "$definition"; done
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

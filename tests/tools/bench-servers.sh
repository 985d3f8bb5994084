#!/usr/bin/env bash
# A throw-away PostgreSQL with rows like pgbench's, and a SeaweedFS with a bucket, for a benchmark that sources this file
# and has set `tools` (what interop.sh printed). Both end with the benchmark, and nothing of them stays.
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
work=$(mktemp -d /var/tmp/pgherd-bench.XXXXXX)
chmod 755 "$work"
weed_pid=
finish() {
    # It does not always end when it is asked to, and there is nothing in it to be kept.
    if [ -n "$weed_pid" ]; then kill -9 "$weed_pid" 2>/dev/null && wait "$weed_pid" 2>/dev/null || true; fi
    [ ! -f "$work/pg/postmaster.pid" ] || as_postgres "$bin/pg_ctl" -D "$work/pg" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT
as_postgres() {
    if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@"); else "$@"; fi
}
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
sql() { as_postgres "$bin/psql" -h "$work/run" -p "$pg_port" -U postgres -Atqc "$1" postgres; }
pgbench() { as_postgres "$bin/pgbench" -h "$work/run" -p "$pg_port" -U postgres "$@" postgres >/dev/null 2>&1; }

# start_postgres SCALE [OPTIONS OF THE SERVER]: about 15 MB for each step of the scale.
start_postgres() {
    local scale=$1
    shift
    mkdir "$work/pg" "$work/run"
    [ "$(id -u)" != 0 ] || chown postgres "$work/pg" "$work/run"
    as_postgres "$bin/initdb" -D "$work/pg" -A trust -U postgres --data-checksums >/dev/null
    pg_port=$(free_port)
    as_postgres "$bin/pg_ctl" -D "$work/pg" -w -l "$work/run/log" start -o "-k $work/run -h '' -p $pg_port -c fsync=off \
        -c full_page_writes=on -c max_wal_size=4GB -c shared_buffers=256MB $*" >/dev/null
    pgbench -i -q -I dt -s "$scale"
    # pgbench pads its rows with blanks, which no real table holds and any compressor makes nothing of.
    sql "insert into pgbench_branches select g, 0 from generate_series(1, $scale) g"
    sql "insert into pgbench_tellers select g, (g - 1) / 10 + 1, 0 from generate_series(1, $scale * 10) g"
    sql "insert into pgbench_accounts select g, (g - 1) / 100000 + 1, 0, md5(g::text) || md5((-g)::text)
         from generate_series(1, $scale * 100000) g"
    pgbench -i -q -I vp -s "$scale"
    sql checkpoint
}

# What tells a report's reader where its numbers are from.
describe_bench() {
    BENCH_COMMIT=$(git rev-parse HEAD)$(git diff --quiet HEAD || echo -dirty)
    BENCH_HOST="$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(uname -srm)"
    BENCH_BUILD="debug, dependencies optimised"
    export BENCH_COMMIT BENCH_HOST BENCH_BUILD
}

# Exports BENCH_ENDPOINT, BENCH_BUCKET, BENCH_TLS_PORT and the credentials.
start_seaweed() {
    local master volume filer s3
    read -r master volume filer s3 BENCH_TLS_PORT < <(python3 - <<'P'
import socket
kept, ports = [], []
while len(ports) < 5:
    s = socket.socket(); s.bind(("127.0.0.1", 0)); p = s.getsockname()[1]; kept.append(s)
    if p + 10000 < 65536:
        ports.append(str(p))
print(*ports)
P
)
    cat >"$work/s3.json" <<J
{"identities":[{"name":"bench","credentials":[{"accessKey":"benchkey","secretKey":"benchsecret"}],"actions":["Admin","Read","Write","List","Tagging"]}]}
J
    mkdir "$work/weed"
    # pgBackRest speaks to S3 through TLS only; the others do without.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$work/s3.key" -out "$work/s3.crt" >/dev/null 2>&1
    "$tools/bin/weed" server -dir="$work/weed" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.port="$master" \
        -volume.port="$volume" -filer -filer.port="$filer" -s3 -s3.port="$s3" -s3.config="$work/s3.json" \
        -s3.port.https="$BENCH_TLS_PORT" -s3.cert.file="$work/s3.crt" -s3.key.file="$work/s3.key" \
        -master.volumeSizeLimitMB=256 -volume.max=200 >"$work/weed.log" 2>&1 &
    weed_pid=$!
    export AWS_ACCESS_KEY_ID=benchkey AWS_SECRET_ACCESS_KEY=benchsecret AWS_DEFAULT_REGION=us-east-1
    export BENCH_ENDPOINT=http://127.0.0.1:$s3 BENCH_BUCKET=bench BENCH_TLS_PORT
    "$tools/bin/python" - <<'P'
import os, time, boto3, botocore
deadline = time.time() + 60
s3 = boto3.client("s3", endpoint_url=os.environ["BENCH_ENDPOINT"], config=botocore.config.Config(retries={"max_attempts": 0}))
while True:
    try:
        s3.create_bucket(Bucket="bench"); break
    except Exception:
        if time.time() > deadline: raise
        time.sleep(0.2)
P
}

//! The manager's HTTP as an OpenAPI page: the paths by hand, the bodies from the types.

use pgherd_proto::control::{
    ControlData, ErrorBody, FenceRequest, SwitchWalRequest, TailConfirmed, TailRequest, WalSwitched,
};
use pgherd_proto::member::MemberReport;
use pgherd_proto::status::PostgresqlStatus;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The page.
pub fn document() -> anyhow::Result<Value> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let paths = paths(&mut generator);
    let schemas: Map<String, Value> = generator.take_definitions(true);
    Ok(json!({
        "openapi": "3.0.3",
        "info": {
            "title": "pgherd manager",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Port 8000 of every instance, over TLS with the certificate of <cluster>-server. \
                            No answer runs SQL: a sampler does, and the answer carries its age.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"clusterCertificate": {
                "type": "mutualTLS", "description": "A client certificate that the cluster's own authority has signed.",
            }},
        },
    }))
}

fn paths(generator: &mut SchemaGenerator) -> Value {
    let mut paths = Map::new();
    for (path, summary) in [
        ("/healthz", "Liveness probe: the manager's loop turns."),
        ("/health", "As /healthz."),
        ("/liveness", "As /healthz."),
        ("/readyz", "Readiness probe: a primary that writes, or a standby that follows."),
        ("/startupz", "Startup probe: the instance has become what it is to be."),
        ("/failsafe", "An open ping, from member to member."),
        ("/primary", "200 on the primary that holds its lease, 503 elsewhere."),
        ("/read-only", "200 wherever reading is possible."),
    ] {
        paths.insert(path.to_owned(), json!({"get": probe(summary, Value::Null)}));
    }
    let lag = json!([{"name": "lag", "in": "query", "required": false, "schema": {"type": "string"},
        "description": "The most that it may lie behind, in bytes or with a unit, as in 16MB."}]);
    paths.insert(
        "/replica".to_owned(),
        json!({"get": probe("200 on a standby that lies behind by no more than lag.", lag)}),
    );

    let status = generator.subschema_for::<PostgresqlStatus>().to_value();
    let report = generator.subschema_for::<MemberReport>().to_value();
    let fence = generator.subschema_for::<FenceRequest>().to_value();
    let tail = generator.subschema_for::<TailRequest>().to_value();
    let confirmed = generator.subschema_for::<TailConfirmed>().to_value();
    let switch = generator.subschema_for::<SwitchWalRequest>().to_value();
    let switched = generator.subschema_for::<WalSwitched>().to_value();
    let control_data = generator.subschema_for::<ControlData>().to_value();
    let error = generator.subschema_for::<ErrorBody>().to_value();
    paths.insert(
        "/pg/status".to_owned(),
        json!({"get": {
            "summary": "What the instance says about its postgres, in CNPG's names.",
            "responses": {"200": body("The status.", &status), "500": {"description": "Why there is none, as text."}},
        }}),
    );
    paths.insert(
        "/pg/controldata".to_owned(),
        json!({"get": guarded("What pg_controldata prints.", &control_data, &error)}),
    );
    paths.insert(
        "/pg/member".to_owned(),
        json!({"get": guarded("What the member says of itself now; nothing is done.", &report, &error)}),
    );
    paths.insert(
        "/pg/wal/{name}".to_owned(),
        json!({"get": {
            "summary": "A file of pg_wal of a crashed primary that hands over its tail.",
            "security": [{"clusterCertificate": []}],
            "parameters": [{"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}],
            "responses": {
                "200": {"description": "The file.", "content": {"application/octet-stream": {}}},
                "404": {"description": "There is no such file: proven."},
            },
        }}),
    );
    for (path, summary, request, answer) in [
        ("/pg/fence", "Stop following the holder of that term, then say what is on disk.", &fence, &report),
        ("/pg/tail/confirm", "The winner has all of the WAL; release the lease.", &tail, &confirmed),
        ("/pg/wal/switch", "Complete the WAL segment that the backup of a standby ends in.", &switch, &switched),
    ] {
        let mut operation = guarded(summary, answer, &error);
        if let Some(operation) = operation.as_object_mut() {
            operation.insert(
                "requestBody".to_owned(),
                json!({"required": true, "content": {"application/json": {"schema": request}}}),
            );
        }
        paths.insert(path.to_owned(), json!({"post": operation}));
    }
    Value::Object(paths)
}

fn probe(summary: &str, parameters: Value) -> Value {
    let mut probe = json!({
        "summary": summary,
        "responses": {"200": {"description": "Yes."}, "default": {"description": "No, and why."}},
    });
    if let Some(fields) = probe.as_object_mut().filter(|_| !parameters.is_null()) {
        fields.insert("parameters".to_owned(), parameters);
    }
    probe
}

fn guarded(summary: &str, answer: &Value, error: &Value) -> Value {
    json!({
        "summary": summary,
        "security": [{"clusterCertificate": []}],
        "responses": {
            "200": body("Done.", answer),
            "401": body("No client certificate of this cluster.", error),
            "409": body("The request was decided from another version than the present one: void.", error),
            "503": body("Not possible now.", error),
        },
    })
}

fn body(description: &str, schema: &Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

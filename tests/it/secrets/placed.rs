//! Puts a name and a value where manifests have them.

use serde_json::{Value, json};

use crate::support::*;

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Env,
    EnvOfCronJob,
    Flag,
    FlagAndValue,
    Shell,
    ConfigMapValue,
    Properties,
    DotEnv,
    Yaml,
    Json,
    Annotation,
    Header,
}

use Place::{
    Annotation, ConfigMapValue, DotEnv, Env, EnvOfCronJob, Flag, FlagAndValue, Header, Json, Properties, Shell, Yaml,
};

/// Those where a name says what the value is.
pub const NAMED: [Place; 10] =
    [Env, EnvOfCronJob, Flag, FlagAndValue, Shell, ConfigMapValue, Properties, DotEnv, Yaml, Json];

pub const ALL: [Place; 12] =
    [Env, EnvOfCronJob, Flag, FlagAndValue, Shell, ConfigMapValue, Properties, DotEnv, Yaml, Json, Annotation, Header];

/// An object with `value` at `place` under a name made from `words`, such as `db password`.
pub fn object(place: Place, words: &str, value: &str) -> Value {
    let upper = words.to_ascii_uppercase().replace(' ', "_");
    let kebab = words.replace(' ', "-");
    let camel: String = words
        .split(' ')
        .enumerate()
        .map(
            |(index, word)| {
                if index == 0 { word.to_owned() } else { format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]) }
            },
        )
        .collect();
    let args = |args: Value| with(deployment(), "/spec/template/spec/containers/0/args", args);
    match place {
        Env => with(
            deployment(),
            "/spec/template/spec/containers/0/env",
            json!([{"name": "LOG_LEVEL", "value": "info"}, {"name": upper, "value": value}]),
        ),
        EnvOfCronJob => json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", "namespace": "shop"},
            "spec": {"schedule": "5 4 * * *", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
                {"name": "job", "image": "registry.example.com/job:1", "env": [{"name": upper, "value": value}]}]}}}}},
        }),
        Flag => args(json!(["serve", format!("--{kebab}={value}"), "--port=8080"])),
        FlagAndValue => args(json!(["serve", format!("--{kebab}"), value, "--port", "8080"])),
        Shell => args(json!(["sh", "-c", format!("set -e\nexport {upper}='{value}'\nexec serve --port 8080\n")])),
        ConfigMapValue => config(&kebab, value),
        Properties => {
            config("app.properties", &format!("server.port=8080\n{}={value}\nlog=info\n", words.replace(' ', ".")))
        }
        DotEnv => config(".env", &format!("# settings\nPORT=8080\n{upper}={value}\n")),
        Yaml => config("app.yaml", &format!("server:\n  port: 8080\nclient:\n  {camel}: \"{value}\"\n  retries: 3\n")),
        Json => config("app.json", &json!({"server": {"port": 8080}, "client": {camel: value}}).to_string()),
        Annotation => with(deployment(), "/metadata/annotations", json!({format!("shop.example.com/{kebab}"): value})),
        Header => with(
            deployment(),
            "/spec/template/spec/containers/0/livenessProbe/httpGet/httpHeaders",
            json!([{"name": format!("X-{kebab}"), "value": value}]),
        ),
    }
}

pub fn config(key: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}, "data": {key: value}})
}

fn deployment() -> Value {
    with(good_deployment(), "/metadata/namespace", json!("shop"))
}

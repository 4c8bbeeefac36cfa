use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Function, Host, HostConfig, Invocation, Invoke, InvokeError};

/// A binary among this crate's examples, which `cargo test -p runtime` builds beside the tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a test has a path");
    let target = tests
        .parent()
        .and_then(|deps| deps.parent())
        .expect("tests lie in target/<profile>/deps");
    let program = target.join("examples").join(name);
    assert!(
        program.is_file(),
        "{} is missing: `cargo build -p runtime --examples` makes it",
        program.display()
    );
    program
}

fn function(name: &str, program: PathBuf) -> Function {
    Function {
        name: name.to_owned(),
        arn: format!("arn:aws:lambda:us-west-2:000000000000:function:{name}"),
        program,
        handler: "bootstrap".to_owned(),
        timeout: Duration::from_secs(20),
        memory_mb: 128,
        reserved_concurrency: None,
        environment: BTreeMap::new(),
    }
}

fn config() -> HostConfig {
    HostConfig {
        launcher: example("misbehave"),
        ..HostConfig::new("us-west-2", "http://127.0.0.1:3001")
    }
}

fn host(functions: impl IntoIterator<Item = Function>) -> Host {
    Host::start(functions, config()).expect("a thread")
}

async fn invoke(host: &Host, function: &str, event: Value) -> Result<Value, InvokeError> {
    let answer = invoke_raw(host, function, event.to_string().into()).await?;
    Ok(serde_json::from_slice(&answer).expect("JSON"))
}

async fn invoke_raw(host: &Host, function: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
    host.invoke(Invocation {
        function: function.to_owned(),
        payload,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_on_lambda_runtime_answers() {
    let host = host([function("echo", example("echo"))]);
    for n in 0..3 {
        assert_eq!(invoke(&host, "echo", json!({ "n": n })).await, Ok(json!({ "n": n })));
    }
}

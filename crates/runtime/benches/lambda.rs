//! What the Lambda host costs: `cargo bench --workspace --bench lambda`.
//!
//! The function only echoes, so that the time of an invocation is the host's share, two ways through loopback, and what
//! `lambda_runtime` itself takes. This program is the bench, the launcher and the function, whichever is asked for.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::lambda::{Function, Host, HostConfig, Invocation, Invoke, LAUNCHER_COMMAND, launch};
use serde_json::Value;

const WARM_UP: usize = 500;
const INVOCATIONS: usize = 20_000;
const COLD_STARTS: usize = 50;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == LAUNCHER_COMMAND) {
        return launch(arguments);
    }
    let threads = match std::env::var_os("AWS_LAMBDA_RUNTIME_API") {
        Some(_) => return serve(),
        None => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
    };
    threads.expect("threads").block_on(measure());
    ExitCode::SUCCESS
}

#[tokio::main(flavor = "current_thread")]
async fn serve() -> ExitCode {
    let echo = service_fn(async |event: LambdaEvent<Value>| Ok::<Value, Error>(event.payload));
    match lambda_runtime::run(echo).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
async fn measure() {
    let mut cold = Vec::new();
    for _ in 0..COLD_STARTS {
        let host = host();
        cold.push(invoke(&host).await);
        host.shutdown(Duration::from_secs(1)).await;
    }
    println!(
        "{:>8} {:>12} {:>10} {:>10} {:>10}",
        "callers", "per second", "p50 µs", "p99 µs", "max µs"
    );
    print(
        "cold",
        COLD_STARTS as f64 / cold.iter().sum::<Duration>().as_secs_f64(),
        cold,
    );
    for callers in [1, 8, 64] {
        let host = std::sync::Arc::new(host());
        calls(&host, callers, WARM_UP).await;
        let begun = Instant::now();
        let times = calls(&host, callers, INVOCATIONS / callers).await;
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        print(&callers.to_string(), rate, times);
        host.shutdown(Duration::from_secs(1)).await;
    }
}

async fn calls(host: &std::sync::Arc<Host>, callers: usize, each: usize) -> Vec<Duration> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let host = std::sync::Arc::clone(host);
        tasks.spawn(async move {
            let mut times = Vec::with_capacity(each);
            for _ in 0..each {
                times.push(invoke(&host).await);
            }
            times
        });
    }
    tasks.join_all().await.concat()
}

async fn invoke(host: &Host) -> Duration {
    let payload = Bytes::from_static(br#"{"execution":"TES-41","attempt":1}"#);
    let begun = Instant::now();
    let answer = host
        .invoke(Invocation {
            function: "echo".to_owned(),
            payload: payload.clone(),
        })
        .await;
    assert_eq!(answer, Ok(payload));
    begun.elapsed()
}

fn host() -> Host {
    let program = std::env::current_exe().expect("a program has a path");
    let function = Function {
        name: "echo".to_owned(),
        arn: "arn:aws:lambda:us-west-2:000000000000:function:echo".to_owned(),
        program,
        handler: "bootstrap".to_owned(),
        timeout: Duration::from_secs(60),
        memory_mb: 128,
        reserved_concurrency: None,
        environment: [].into(),
    };
    Host::start([function], HostConfig::new("us-west-2", "http://127.0.0.1:9")).expect("a thread")
}

#[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
fn print(callers: &str, rate: f64, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "{callers:>8} {rate:>12.0} {:>10.0} {:>10.0} {:>10.0}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

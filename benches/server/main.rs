//! The server beside a bare TLS echo, in one run: what a review costs, and what of that is ours.
//!
//! `cargo bench --bench server` takes about 130 seconds; with `-- --quick`, and under `cargo test`, it takes a few, to see that it
//! works. Timings are only comparable within one run, so both servers are loaded in turn, round by round, and the ratio of
//! each round is what counts. `-- --only /mutate` runs the phases with that in their name, for a profiler. `-- --blind` puts the same binary
//! without the rules that look for secrets in the place of the echo: what the detector costs a request.

#![allow(clippy::print_stdout, reason = "the report is what this program is for")]

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::Value;

mod echo;
mod load;
mod report;
#[path = "../reviews.rs"]
mod reviews;
mod target;

use load::{Message, Pace};
use report::{Measured, Row, Table};
use target::{Harbour, Target};

const JOB_CONTROLLER: &str = "system:serviceaccount:kube-system:job-controller";

const MEMORY: &str = "Resident memory, MB";

/// How often, how long.
struct Scale {
    closed: Rounds,
    open: Rounds,
    /// Of connections, before memory is looked at.
    load: Duration,
    settle: Duration,
}

#[derive(Clone, Copy)]
struct Rounds {
    count: usize,
    lasting: Duration,
}

/// What else runs on a shared host comes and goes within seconds: short rounds meet as much of it with one server as with the other. An open
/// loop needs longer ones, or it has no 99th percentile.
const FULL: Scale = Scale {
    closed: Rounds { count: 25, lasting: Duration::from_millis(200) },
    open: Rounds { count: 5, lasting: Duration::from_secs(4) },
    load: Duration::from_millis(1800),
    settle: Duration::from_secs(1),
};

const QUICK: Scale = Scale {
    closed: Rounds { count: 1, lasting: Duration::from_millis(200) },
    open: Rounds { count: 1, lasting: Duration::from_millis(300) },
    load: Duration::from_millis(400),
    settle: Duration::from_millis(100),
};

/// What is sent.
struct Cargo {
    pods_mutate: Vec<Arc<Message>>,
    pods_validate: Vec<Arc<Message>>,
    mix: Vec<Arc<Message>>,
    tenth_large: Vec<Arc<Message>>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, address, certificate, key] = &arguments[..]
        && role == "echo"
    {
        return echo::serve(address.parse()?, Path::new(certificate), Path::new(key));
    }
    // Only `cargo bench` says `--bench`.
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let quick = has("--quick") || !has("--bench");
    let scale = if quick { &QUICK } else { &FULL };

    let only = arguments.iter().skip_while(|argument| *argument != "--only").nth(1);

    let harbour = Harbour::new()?;
    let (mut table, cargo) = {
        let beside = if has("--blind") { harbour.blind()? } else { harbour.echo()? };
        let mut targets = [beside, harbour.supercargo()?];
        let cargo = Cargo::load(&mut targets)?;
        (speed(&targets, &cargo, scale, only.map_or("", String::as_str))?, cargo)
    };
    if only.is_none_or(|only| MEMORY.contains(only.as_str())) && !has("--blind") {
        memory(&harbour, &cargo, scale, &mut table)?;
    }
    println!("{table}");
    Ok(())
}

/// Time and CPU, in interleaved rounds.
fn speed(targets: &[Target; 2], cargo: &Cargo, scale: &Scale, only: &str) -> Result<Table> {
    let closed = |name, messages, goal| (name, messages, Pace::Closed, scale.closed, goal);
    let open = |name, messages, goal| (name, messages, Pace::Open(200.0), scale.open, goal);
    let phases = [
        closed("Pods through /mutate, 16 connections", &cargo.pods_mutate, Some(2.0)),
        closed("Pods through /validate, 16 connections", &cargo.pods_validate, Some(2.0)),
        closed("Mix, 16 connections", &cargo.mix, None),
        closed("Mix, a tenth of 1 MB, 16 connections", &cargo.tenth_large, None),
        open("Mix, open loop at 200/s", &cargo.mix, Some(1.5)),
        open("Mix, a tenth of 1 MB, open loop at 200/s", &cargo.tenth_large, Some(1.5)),
    ];
    let mut table = Table::new(targets.each_ref().map(|target| target.name));
    for round in 0..scale.closed.count.max(scale.open.count) {
        let due = phases.iter().filter(|(name, _, _, rounds, _)| name.contains(only) && round < rounds.count);
        for (name, messages, pace, Rounds { lasting, .. }, goal) in due {
            // Who goes first changes, so that what one leaves in the caches favours nobody.
            for index in [round % 2, 1 - round % 2] {
                let target = &targets[index];
                let run = load::run(&target.client, messages, 16, *pace, *lasting, || target.cpu());
                let (timed, cpu) = run.with_context(|| format!("{name}: {}", target.name))?;
                #[expect(clippy::cast_precision_loss, reason = "thousands")]
                let count = timed.count() as f64;
                let goal = goal.filter(|_| targets[0].name == "echo");
                let goal_of_cpu = goal.filter(|_| matches!(pace, Pace::Closed));
                let goal_of_p99 = goal.filter(|_| matches!(pace, Pace::Open(_)));
                let mut put = |row, goal, value| table.put(name, Row { name: row, goal }, index, value);
                if matches!(pace, Pace::Closed) {
                    put("requests/s", None, Measured::Value(count / timed.seconds));
                }
                put("CPU ms a request", goal_of_cpu, Measured::Value(cpu / count));
                let all = [&timed.small[..], &timed.large].concat();
                put("p50 ms", None, Measured::Percentile(0.5, all.clone()));
                put("p99 ms", goal_of_p99, Measured::Percentile(0.99, all));
                if !timed.large.is_empty() {
                    put("p99 ms of the small ones", goal_of_p99, Measured::Percentile(0.99, timed.small));
                    put("p50 ms of the large ones", None, Measured::Percentile(0.5, timed.large));
                }
            }
        }
    }
    Ok(table)
}

/// Resident memory of fresh processes.
fn memory(harbour: &Harbour, cargo: &Cargo, scale: &Scale, table: &mut Table) -> Result<()> {
    for index in [0, 1] {
        let mut target = if index == 0 { harbour.echo()? } else { harbour.supercargo()? };
        target.ready(&cargo.pods_mutate[0])?;
        thread::sleep(scale.settle);
        let mut put = |row, goal, value| table.put(MEMORY, Row { name: row, goal }, index, value);
        put("idle, ready", Some(12.0), Measured::Value(target.memory("VmRSS")?));
        for (row, messages, goal) in [
            ("peak, 64 busy connections, mix", &cargo.mix, Some(30.0)),
            ("peak, 64 busy connections, a tenth of 1 MB", &cargo.tenth_large, None),
        ] {
            load::run(&target.client, messages, 64, Pace::Closed, scale.load, || Ok(0.0)).context(row)?;
            put(row, goal, Measured::Value(target.memory("VmHWM")?));
        }
        thread::sleep(scale.settle);
        put("afterwards, connections closed", None, Measured::Value(target.memory("VmRSS")?));
    }
    Ok(())
}

impl Cargo {
    /// Waits for both servers and makes what they will be sent.
    fn load([beside, supercargo]: &mut [Target; 2]) -> Result<Self> {
        let post = |door: &str, object: &Value, username: &str| {
            Arc::new(Message::post(door, &reviews::review(object, username)))
        };
        let sent = reviews::scan_pod();
        let mutate = post("/mutate", &sent, JOB_CONTROLLER);
        beside.ready(&mutate)?;
        let answer: Value = serde_json::from_slice(&supercargo.ready(&mutate)?)?;
        // A validating webhook is shown the pod as the mutating one left it.
        let stored = patched(sent, &answer).context("the scan pod gets no patch")?;
        let validate = post("/validate", &stored, JOB_CONTROLLER);
        let answer: Value = serde_json::from_slice(&supercargo.ready(&validate)?)?;
        ensure!(answer["response"]["allowed"] == true, "the scan pod is refused: {answer}");

        let deployment = post("/validate", &reviews::deployment(25), "ann");
        let long_deployment = post("/validate", &reviews::deployment(1000), "ann");
        let config_map = post("/validate", &reviews::config_map(60), "ann");
        let large = post("/validate", &reviews::config_map(16_000), "ann");
        // Of a hundred requests 70 are of pods, half of them through each door; one in a hundred has 100 KB.
        let mix: Vec<_> = (0..100)
            .map(|index| match index % 20 {
                0..14 if index % 2 == 0 => &mutate,
                0..14 => &validate,
                14..17 => &deployment,
                _ if index == 99 => &long_deployment,
                _ => &config_map,
            })
            .cloned()
            .collect();
        let tenth_large =
            mix.iter().enumerate().map(|(index, message)| if index % 10 == 4 { &large } else { message }).cloned();
        Ok(Cargo { tenth_large: tenth_large.collect(), pods_mutate: vec![mutate], pods_validate: vec![validate], mix })
    }
}

/// The object with the patch of an answer applied.
fn patched(mut object: Value, answer: &Value) -> Option<Value> {
    let patch = answer["response"]["patch"].as_str()?;
    let patch = base64::engine::general_purpose::STANDARD.decode(patch).ok()?;
    let patch: json_patch::Patch = serde_json::from_slice(&patch).ok()?;
    json_patch::patch(&mut object, &patch).ok()?;
    Some(object)
}

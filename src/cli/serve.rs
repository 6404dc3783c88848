//! `supercargo serve`: arguments, start-up, and how the process ends.
//!
//! Puts policies, facts and engine together and hands them to the server. What is wrong is said here, before anything listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use clap::{Args, ValueEnum};

use super::basis::{IDLE, NO_FACTS, NO_GUARD, NO_KEY, VolumeTypeArguments, fingerprint_key};
use crate::engine::{self, EXCLUDED_NAMESPACES, Engine, Settings};
use crate::policy::{PolicySet, VolumeTypes};
use crate::server::facts::{Files, Source};
use crate::server::metrics::Metrics;
#[cfg(feature = "cluster")]
use crate::server::metrics::SnapshotGauges;
use crate::server::{Decider, Drain, Limits, Load, Options, Readiness, Server, Stop, open_files, tls};
use crate::source::{self, Namespaces};

mod log;

/// Answer the API server's questions: the webhook itself.
///
/// Two listeners: TLS for the API server (/mutate and /validate), and plain HTTP for the kubelet and Prometheus (/healthz,
/// /readyz, /metrics). SIGTERM ends it without losing a request: it stops being ready, goes on answering for --drain-delay,
/// finishes what is in flight and exits with 0.
#[derive(Args, Debug)]
#[command(after_help = "\
On your own machine:
  supercargo certs dev
  supercargo serve --tls-cert dev/tls.crt --tls-key dev/tls.key
  supercargo review --server https://localhost:8443 --ca dev/ca.crt pod.yaml")]
pub struct Arguments {
    /// Where the API server asks, over TLS; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", env = "SUPERCARGO_LISTEN", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,

    /// Where /healthz, /readyz and /metrics are, over plain HTTP
    #[arg(long, value_name = "ADDRESS", env = "SUPERCARGO_HTTP_LISTEN", default_value = "0.0.0.0:8080")]
    http_listen: SocketAddr,

    /// The server's certificate chain, PEM, leaf first; changes are taken up while it runs
    #[arg(long, value_name = "FILE", env = "SUPERCARGO_TLS_CERT")]
    tls_cert: PathBuf,

    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", env = "SUPERCARGO_TLS_KEY")]
    tls_key: PathBuf,

    /// Answer only clients that show a certificate of this CA (PEM, one or more)
    #[arg(long, value_name = "FILE", env = "SUPERCARGO_CLIENT_CA")]
    client_ca: Option<PathBuf>,

    /// How often the certificate files are read
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5", hide = true)]
    tls_poll: Duration,

    /// Policies from this file or folder instead of the built-in ones; read at the start only
    #[arg(long, value_name = "FILE-OR-DIR", env = "SUPERCARGO_POLICIES")]
    policies: Option<PathBuf>,

    #[command(flatten)]
    volume_types: VolumeTypeArguments,

    /// Show a fingerprint of each secret that is found: its HMAC with the key in this file (32 random bytes or more)
    #[arg(long, value_name = "FILE", env = "SUPERCARGO_FINGERPRINT_KEY")]
    fingerprint_key: Option<PathBuf>,

    /// Learn namespaces, LimitRanges, claims, nodes and pods from the cluster: in a pod its own, elsewhere that of the kubeconfig
    #[cfg(feature = "cluster")]
    #[arg(long, env = "SUPERCARGO_CLUSTER", conflicts_with = "facts")]
    cluster: bool,

    /// Which cluster, and as whom, instead of what KUBECONFIG or the pod's service account say
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "FILE", requires = "cluster")]
    kubeconfig: Option<PathBuf>,

    /// Whether a pod's terms may name nodes: Karpenter before 1.5 makes no node for such a pod
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "HOW", env = "SUPERCARGO_KARPENTER", value_enum, default_value = "auto")]
    karpenter: Karpenter,

    /// The namespace of ConfigMap supercargo-lifetimes, where it is kept how long scans run [default: the pod's own, or the kubeconfig's]
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "NAME", env = "SUPERCARGO_NAMESPACE", requires = "cluster")]
    namespace: Option<String>,

    /// Learn namespaces, LimitRanges and claims from this file or folder of YAML or JSON documents
    #[arg(long, value_name = "PATH", env = "SUPERCARGO_FACTS")]
    facts: Option<PathBuf>,

    /// Namespaces that are never touched, whatever the policies say; `*` stands for any run of characters
    #[arg(
        long,
        value_name = "NAME,…",
        env = "SUPERCARGO_EXCLUDE_NAMESPACES",
        value_delimiter = ',',
        value_parser = engine::excluded_namespace,
        default_values = EXCLUDED_NAMESPACES
    )]
    exclude_namespaces: Vec<String>,

    /// Service accounts of operators (system:serviceaccount:NAMESPACE:NAME) whose pods count as made by a controller, as those
    /// of Kubernetes' own controllers do: they come back, with a warning, where a policy was not kept
    #[arg(
        long = "controller",
        value_name = "ACCOUNT,…",
        env = "SUPERCARGO_CONTROLLERS",
        value_delimiter = ',',
        value_parser = engine::account
    )]
    controllers: Vec<String>,

    /// How long to go on answering after SIGTERM, until no new requests are sent here
    #[arg(long, value_name = "SECONDS", env = "SUPERCARGO_DRAIN_DELAY", value_parser = seconds, default_value = "5")]
    drain_delay: Duration,

    /// How long what is in flight may then still take; both together below terminationGracePeriodSeconds
    #[arg(long, value_name = "SECONDS", env = "SUPERCARGO_DRAIN_DEADLINE", value_parser = seconds, default_value = "15")]
    drain_deadline: Duration,

    /// Connections in all; when they are taken, those that have been idle for longest give way. Each takes 45 KB, and up to 200 while a body comes
    #[arg(long, value_name = "N", env = "SUPERCARGO_MAX_CONNECTIONS", default_value = "2048")]
    max_connections: usize,

    /// Connections from one IP address
    #[arg(long, value_name = "N", env = "SUPERCARGO_MAX_CONNECTIONS_PER_PEER", default_value = "1024")]
    max_connections_per_peer: usize,

    /// Requests that are judged at the same time; more wait until their deadline
    #[arg(long, value_name = "N", env = "SUPERCARGO_MAX_REQUESTS", default_value = "512")]
    max_requests: usize,

    /// How long a body may stand still while it is read; on the whole it must come with 64 KiB a second
    #[arg(long, value_name = "SECONDS", env = "SUPERCARGO_BODY_TIMEOUT", value_parser = seconds, default_value = "1")]
    body_timeout: Duration,

    /// MiB that the bodies of large reviews (above 256 KiB) may take together; more wait, and a larger one is read alone
    #[arg(long, value_name = "MIB", env = "SUPERCARGO_MAX_BODIES_MIB", default_value = "4")]
    max_bodies_mib: usize,

    /// What one line of the log looks like
    #[arg(long, value_name = "FORMAT", env = "SUPERCARGO_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,

    /// How much is logged, on stderr; a review is one line of level info
    #[arg(long, value_name = "LEVEL", env = "SUPERCARGO_LOG_LEVEL", value_enum, default_value = "info")]
    log_level: LogLevel,
}

/// What pods are packed by, with `--cluster`.
#[cfg(feature = "cluster")]
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Karpenter {
    /// By podAffinity where Karpenter is older than 1.5, or has made nodes and its version cannot be read; else by nodes' names
    Auto,
    /// By nodes' names, whatever Karpenter there is
    Ladder,
    /// By podAffinity
    Affinity,
}

#[cfg(feature = "cluster")]
impl From<Karpenter> for crate::packing::Karpenter {
    fn from(setting: Karpenter) -> Self {
        match setting {
            Karpenter::Auto => Self::Auto(None),
            Karpenter::Ladder => Self::Ladder,
            Karpenter::Affinity => Self::Affinity,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Serves until it is asked to stop.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let _flush = log::start(arguments.log_format, arguments.log_level)?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    // Half of the cores stay with the small ones. What one large review costs is bounded (tree.rs, secrets/), so that on two
    // cores one at a time is enough, and the others wait for milliseconds.
    let large = (cores / 2).max(1);
    // For what accepts and answers probes, of which nothing takes long: reviews and the cluster's watches have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        // Large reviews, the certificate files, and name look-ups of the cluster's client.
        .max_blocking_threads(large + 4)
        .thread_keep_alive(Duration::from_secs(10))
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    // With one worker a small review would wait for whatever else it does.
    runtime.block_on(serve(arguments, cores.max(2), large))?;
    // What is still running (a large review past its deadline) is nobody's any more.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: Arguments, workers: usize, large: usize) -> anyhow::Result<()> {
    let stop = Stop::on_signals().context("cannot listen for SIGTERM")?;
    let policies = load_policies(arguments.policies.as_deref(), &arguments.volume_types.types())?;
    let key = arguments.fingerprint_key.as_deref().map(fingerprint_key).transpose()?;
    if key.is_none() && policies.needs_fingerprints() {
        tracing::warn!("{NO_KEY}");
    }
    let settings = Settings {
        excluded_namespaces: arguments.exclude_namespaces.clone(),
        controllers: arguments.controllers.clone(),
    };
    let judge = Arc::new(Engine::new(settings).with_fingerprints(key));
    let mut readiness = Readiness::default();
    let policies = Arc::new(ArcSwap::from_pointee(policies));
    let (facts, watches) = facts(&arguments, &policies, &mut readiness).await?;
    let decider = Decider { judge, policies, facts };
    let mut options = options(arguments, workers, large);
    fit(&mut options.limits, workers, open_files::raise());
    let mut server = Server::bind(options, decider, readiness).await?;
    for (name, start) in watches {
        let watch = start(server.metrics());
        server.supervise(name, watch);
    }
    server.run(stop).await
}

/// No more connections than the process may have files.
fn fit(limits: &mut Limits, workers: usize, files: Option<u64>) {
    let connections = open_files::fitting(limits.connections, workers, files);
    if connections < limits.connections {
        tracing::warn!(
            connections,
            wanted = limits.connections,
            files,
            "fewer connections than --max-connections: the process may not open more files (ulimit -n)"
        );
        limits.connections = connections;
    }
}

fn options(arguments: Arguments, workers: usize, large: usize) -> Options {
    Options {
        listen: arguments.listen,
        http_listen: arguments.http_listen,
        workers,
        tls: tls::Files {
            certificate: arguments.tls_cert,
            key: arguments.tls_key,
            client_ca: arguments.client_ca,
            poll: arguments.tls_poll.max(Duration::from_millis(10)),
        },
        limits: Limits {
            connections: arguments.max_connections,
            per_peer: arguments.max_connections_per_peer,
            ..Limits::default()
        },
        load: Load {
            requests: arguments.max_requests,
            // Nothing comes in no time, and beyond any deadline it bounds nothing.
            body_timeout: arguments.body_timeout.clamp(Duration::from_millis(10), Duration::from_secs(60)),
            body_bytes: arguments.max_bodies_mib.saturating_mul(1 << 20),
            large,
        },
        drain: Drain { delay: arguments.drain_delay, deadline: arguments.drain_deadline },
    }
}

/// Makes a task that keeps facts up to date, where they change.
type Watch = Box<dyn FnOnce(&Arc<Metrics>) -> Pin<Box<dyn Future<Output = ()> + Send>>>;

#[cfg_attr(not(feature = "cluster"), expect(clippy::unused_async, reason = "the cluster is asked first"))]
async fn facts(
    arguments: &Arguments,
    policies: &Arc<ArcSwap<PolicySet>>,
    readiness: &mut Readiness,
) -> anyhow::Result<(Source, Vec<(&'static str, Watch)>)> {
    #[cfg(feature = "cluster")]
    if arguments.cluster {
        return follow(arguments, policies, readiness).await;
    }
    #[cfg(not(feature = "cluster"))]
    let _ = (policies, readiness);
    let files = arguments.facts.as_deref().map(load_facts).transpose()?.unwrap_or_default();
    Ok((Source::Files(Arc::new(files)), Vec::new()))
}

#[cfg(feature = "cluster")]
async fn follow(
    arguments: &Arguments,
    policies: &Arc<ArcSwap<PolicySet>>,
    readiness: &mut Readiness,
) -> anyhow::Result<(Source, Vec<(&'static str, Watch)>)> {
    use crate::cluster::{self, Thread, facts, snapshot};
    let config = cluster::config(arguments.kubeconfig.as_deref()).await?;
    let thread = Thread::start().context("cannot start the thread that watches the cluster")?;
    let client = thread.client(config.clone())?;
    let gate = readiness.gate("namespaces");
    let (namespaces, watch) = facts::View::follow(cluster::client(config)?, client.clone(), move || gate.open());
    let settings = snapshot::Settings {
        karpenter: arguments.karpenter.into(),
        namespace: arguments.namespace.clone(),
        ..snapshot::Settings::default()
    };
    let (packing, follower) = snapshot::Live::new(client, Arc::clone(&namespaces), Arc::clone(policies), settings);
    let gate = readiness.gate("snapshot");
    let facts: Watch = {
        let (namespaces, thread) = (Arc::clone(&namespaces), thread.clone());
        Box::new(move |metrics| {
            let metrics = Arc::clone(metrics);
            Box::pin(thread.run(async move {
                tokio::select! {
                    () = watch => {}
                    () = report_ages(&namespaces, &metrics) => {}
                }
            }))
        })
    };
    let snapshot: Watch = Box::new(move |metrics| {
        let metrics = Arc::clone(metrics);
        let follow = follower.run(move || gate.open(), move |status| report(&metrics.snapshot, status));
        Box::pin(thread.run(follow))
    });
    Ok((Source::Cluster { namespaces, packing }, vec![("facts", facts), ("snapshot", snapshot)]))
}

/// Tells the metrics once a second how old what is known of namespaces may be.
#[cfg(feature = "cluster")]
async fn report_ages(namespaces: &crate::cluster::facts::View, metrics: &Metrics) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        for (watch, age) in namespaces.ages() {
            metrics.facts_are(watch, age);
        }
    }
}

#[cfg(feature = "cluster")]
fn report(gauges: &SnapshotGauges, status: crate::cluster::snapshot::Status) {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    gauges.nodes.set(count(status.nodes));
    gauges.pods.set(count(status.pods));
    gauges.age.set(status.age.as_secs_f64());
    gauges.stale.set(i64::from(status.stale));
    gauges.reservations.set(count(status.reservations));
    gauges.kinds.set(count(status.kinds));
}

/// The policies that compile. One that does not is left out and reported: a webhook that does not come back for a typing error
/// would hold up every namespace that fails closed.
fn load_policies(path: Option<&Path>, types: &VolumeTypes) -> anyhow::Result<PolicySet> {
    let loaded = source::policies(path, types);
    for problem in &loaded.problems {
        tracing::error!(problem = problem.to_string(), "policy left out");
    }
    let set = loaded.set;
    anyhow::ensure!(
        !set.is_idle() || loaded.problems.is_empty(),
        "no policy can be used; correct what is named above (`supercargo policies check` says it, too), or leave --policies out"
    );
    anyhow::ensure!(!set.is_idle(), "{IDLE}");
    if set.guards().is_empty() {
        tracing::warn!("{NO_GUARD}");
    }
    tracing::info!(
        guards = set.guards().len(),
        profiles = set.profiles().len(),
        exemptions = set.exemptions().len(),
        from = %path.map_or("the program itself".into(), Path::to_string_lossy),
        "policies are in force; they are read at the start only"
    );
    Ok(set)
}

/// Reads the documents of a file or folder.
fn load_facts(path: &Path) -> anyhow::Result<Files> {
    let found = source::find(&[path.to_owned()]);
    let mut problems = found.problems;
    let mut namespaces = Namespaces::default();
    let odd = namespaces.learn_all(&found.files, "default", &mut |problem| problems.push(problem));
    problems.extend(odd);
    for problem in &problems {
        tracing::error!(problem = %problem, "facts cannot be used");
    }
    anyhow::ensure!(problems.is_empty(), "the facts in {} cannot be used; correct what is named above", path.display());
    if namespaces.is_empty() {
        tracing::warn!("{NO_FACTS}");
    }
    Ok(Files::new(namespaces.into_inner()))
}

/// "5" or "0.5".
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of seconds is wanted, such as 5 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn the_certificate_is_all_that_must_be_said() {
        let line = Line::parse_from(["serve", "--tls-cert", "c", "--tls-key", "k"]);
        assert_eq!(line.arguments.exclude_namespaces[..2], ["kube-*", "supercargo"]);
        let options = options(line.arguments, 2, 1);
        assert_eq!(options.load.body_bytes, 4 << 20);
        assert_eq!(options.drain.delay, Duration::from_secs(5));
        assert!(Line::try_parse_from(["serve"]).is_err());
    }

    #[test]
    fn facts_are_read_from_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: scans, labels: {a: b}}\n---\napiVersion: v1\nkind: LimitRange\n\
                    metadata: {name: l, namespace: scans}\nspec: {limits: [{type: Container, default: {cpu: 1}}]}\n";
        std::fs::write(folder.path().join("facts.yaml"), text).unwrap();
        std::fs::write(folder.path().join("README"), "not YAML: [").unwrap();
        let namespace = load_facts(folder.path()).unwrap().namespace("scans");
        assert_eq!((namespace.labels["a"].as_str(), namespace.limit_ranges.len()), ("b", 1));

        std::fs::write(folder.path().join("broken.yaml"), "kind: Namespace\nmetadata: [").unwrap();
        assert!(load_facts(folder.path()).is_err());
    }
}

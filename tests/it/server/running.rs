//! A server in this process, with certificates of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use supercargo::engine::{Engine, Settings};
use supercargo::pki::{self, Issued, Pair};
use supercargo::policy::PolicySet;
use supercargo::server::facts::Source;
use supercargo::server::{Decider, Drain, Judge, Limits, Load, Options, Readiness, Server, Stop, tls};
use tempfile::TempDir;

use super::client::Client;

pub struct Running {
    pub issued: Issued,
    pub folder: TempDir,
    pub client: Client,
    pub http: std::net::SocketAddr,
}

/// A CA with a server and a client pair of today.
pub fn issue() -> Issued {
    pki::issue(&[], jiff::Timestamp::now(), 1).unwrap()
}

/// An engine without policies: what passes through it unjudged is enough for most tests here.
pub fn engine() -> Arc<dyn Judge> {
    Arc::new(Engine::new(Settings { excluded_namespaces: vec!["kube-*".to_owned()], ..Settings::default() }))
}

pub fn write_pair(folder: &Path, pair: &Pair) {
    std::fs::write(folder.join("tls.crt"), pair.certificate.as_bytes()).unwrap();
    std::fs::write(folder.join("tls.key"), pair.key.as_bytes()).unwrap();
}

/// What tests begin with; each changes what it is about.
pub fn options(folder: &Path) -> Options {
    Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        http_listen: "127.0.0.1:0".parse().unwrap(),
        tls: tls::Files {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            client_ca: None,
            poll: Duration::from_millis(20),
        },
        limits: Limits::default(),
        workers: 2,
        load: Load::default(),
        drain: Drain { delay: Duration::ZERO, deadline: Duration::from_secs(60) },
    }
}

/// A server with these options and this judge.
pub async fn start(judge: Arc<dyn Judge>, tune: impl FnOnce(&mut Options)) -> Running {
    let (issued, folder) = (issue(), TempDir::new().unwrap());
    write_pair(folder.path(), &issued.server);
    start_in(folder, issued, judge, tune).await
}

/// The same, with gates that need not be open.
pub async fn start_with(readiness: Readiness, judge: Arc<dyn Judge>, tune: impl FnOnce(&mut Options)) -> Running {
    let (issued, folder) = (issue(), TempDir::new().unwrap());
    write_pair(folder.path(), &issued.server);
    run(folder, issued, readiness, judge, tune).await
}

pub async fn start_in(
    folder: TempDir,
    issued: Issued,
    judge: Arc<dyn Judge>,
    tune: impl FnOnce(&mut Options),
) -> Running {
    run(folder, issued, Readiness::default(), judge, tune).await
}

async fn run(
    folder: TempDir,
    issued: Issued,
    readiness: Readiness,
    judge: Arc<dyn Judge>,
    tune: impl FnOnce(&mut Options),
) -> Running {
    let mut options = options(folder.path());
    tune(&mut options);
    let policies = Arc::new(ArcSwap::from_pointee(PolicySet::default()));
    let decider = Decider { judge, policies, facts: Source::Files(Arc::default()) };
    let server = Server::bind(options, decider, readiness).await.unwrap();
    let client = Client::new(server.webhook_address(), &[issued.authority.certificate.as_bytes()], None);
    let http = server.http_address();
    // Nobody asks it to stop: it ends with the test's runtime.
    tokio::spawn(server.run(Stop::by_hand().1));
    Running { issued, folder, client, http }
}

/// A review of an object, given as JSON text.
pub fn review(uid: &str, kind: &str, object: &str) -> String {
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"{uid}",
        "kind":{{"group":"","version":"v1","kind":"{kind}"}},"resource":{{"group":"","version":"v1","resource":"x"}},
        "namespace":"shop","operation":"CREATE","userInfo":{{"username":"ann"}},"object":{object},"dryRun":false}}}}"#
    )
}

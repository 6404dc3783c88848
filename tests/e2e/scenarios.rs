//! The table of scenarios; each runs alone, in a cluster without nodes, webhooks or namespaces of another.

mod cluster;
mod mtls;

use crate::runner::Scenario;

/// Name and function, in the order in which they run.
pub const SCENARIOS: &[(&str, Scenario)] = &[
    ("cluster_runs_a_job_to_succeeded", |plane| Box::pin(cluster::runs_a_job_to_succeeded(plane))),
    ("cluster_gives_users_only_their_rights", |plane| Box::pin(cluster::gives_users_only_their_rights(plane))),
    ("mtls_api_server_shows_its_certificate", |plane| Box::pin(mtls::api_server_shows_its_certificate(plane))),
    ("baseline_spread_counts", |plane| Box::pin(cluster::baseline_spread_counts(plane))),
];

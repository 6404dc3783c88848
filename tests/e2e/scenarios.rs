//! The table of scenarios; each runs alone, in a cluster without nodes, webhooks or namespaces of another.

mod apply;
mod batch;
mod cluster;
mod controllers;
mod drain;
mod exemptions;
mod explain;
mod inspect;
mod large;
mod live;
mod manifests;
mod mtls;
mod namespaces;
mod nets;
mod owners;
mod packing;
mod ratchet;
mod samples;
mod stow;
mod untouched;

use crate::demo;
use crate::measure;
use crate::runner::Scenario;

/// Name and function, in the order in which they run.
pub const SCENARIOS: &[(&str, Scenario)] = &[
    ("cluster_runs_a_job_to_succeeded", |plane| Box::pin(cluster::runs_a_job_to_succeeded(plane))),
    ("cluster_gives_users_only_their_rights", |plane| Box::pin(cluster::gives_users_only_their_rights(plane))),
    ("mtls_api_server_shows_its_certificate", |plane| Box::pin(mtls::api_server_shows_its_certificate(plane))),
    ("mtls_answers_the_api_server_only", |plane| Box::pin(mtls::answers_the_api_server_only(plane))),
    ("manifests_widened_selector", |plane| Box::pin(manifests::widened_selector(plane))),
    ("manifests_own_pki_as_the_readme_says", |plane| Box::pin(manifests::own_pki_as_the_readme_says(plane))),
    ("manifests_install_twice_and_uninstall", |plane| Box::pin(manifests::install_twice_and_uninstall(plane))),
    ("samples_are_what_the_api_server_knows", |plane| Box::pin(samples::are_what_the_api_server_knows(plane))),
    ("samples_spare_capacity_makes_way", |plane| Box::pin(samples::spare_capacity_makes_way(plane))),
    ("stow_equips_the_pod_and_leaves_the_job_alone", |plane| {
        Box::pin(stow::equips_the_pod_and_leaves_the_job_alone(plane))
    }),
    ("packing_packs_jobs_of_a_group", |plane| Box::pin(packing::packs_jobs_of_a_group(plane))),
    ("batch_runs_to_its_end_with_and_without_the_webhook", |plane| {
        Box::pin(batch::runs_to_its_end_with_and_without_the_webhook(plane))
    }),
    ("batch_says_why_jobs_are_refused", |plane| Box::pin(batch::says_why_jobs_are_refused(plane))),
    ("batch_waits_for_nodes_and_quotas", |plane| Box::pin(batch::waits_for_nodes_and_quotas(plane))),
    ("explain_says_what_became_of_a_pod", |plane| Box::pin(explain::says_what_became_of_a_pod(plane))),
    ("live_a_scan_lands_where_it_was_sent", |plane| Box::pin(live::a_scan_lands_where_it_was_sent(plane))),
    ("live_packs_in_spite_of_a_preference", |plane| Box::pin(live::packs_in_spite_of_a_preference(plane))),
    ("live_fills_the_nodes_in_use", |plane| Box::pin(live::fills_the_nodes_in_use(plane))),
    ("live_two_replicas_plan_as_one", |plane| Box::pin(live::two_replicas_plan_as_one(plane))),
    ("live_a_restart_forgets_nothing", |plane| Box::pin(live::a_restart_forgets_nothing(plane))),
    ("inspect_refuses_the_bad_examples", |plane| Box::pin(inspect::refuses_the_bad_examples(plane))),
    ("inspect_gives_programs_the_causes", |plane| Box::pin(inspect::gives_programs_the_causes(plane))),
    ("apply_examples_twice", |plane| Box::pin(apply::examples_twice(plane))),
    ("apply_bare_pods_twice", |plane| Box::pin(apply::bare_pods_twice(plane))),
    ("ratchet_keeps_old_deployments_going", |plane| Box::pin(ratchet::keeps_old_deployments_going(plane))),
    ("owners_a_forged_owner_gains_nothing", |plane| Box::pin(owners::a_forged_owner_gains_nothing(plane))),
    ("owners_judges_subresources", |plane| Box::pin(owners::judges_subresources(plane))),
    ("owners_keeps_network_labels", |plane| Box::pin(owners::keeps_network_labels(plane))),
    ("owners_deletion_always_works", |plane| Box::pin(owners::deletion_always_works(plane))),
    ("controllers_each_kind_is_judged_once", |plane| Box::pin(controllers::each_kind_is_judged_once(plane))),
    ("controllers_cron_jobs_go_on", |plane| Box::pin(controllers::cron_jobs_go_on(plane))),
    ("namespaces_limit_ranges_speak_first", |plane| Box::pin(namespaces::limit_ranges_speak_first(plane))),
    ("namespaces_additions_never_make_a_pod_invalid", |plane| {
        Box::pin(namespaces::additions_never_make_a_pod_invalid(plane))
    }),
    ("namespaces_pod_level_resources_stay", |plane| Box::pin(namespaces::pod_level_resources_stay(plane))),
    ("namespaces_other_injectors_get_along", |plane| Box::pin(namespaces::other_injectors_get_along(plane))),
    ("untouched_leaves_the_system_alone", |plane| Box::pin(untouched::leaves_the_system_alone(plane))),
    ("untouched_webhook_away", |plane| Box::pin(untouched::webhook_away(plane))),
    ("nets_catch_a_wrong_patch_and_a_panic", |plane| Box::pin(nets::catch_a_wrong_patch_and_a_panic(plane))),
    ("exemptions_admit_until_they_expire", |plane| Box::pin(exemptions::admit_until_they_expire(plane))),
    ("large_judges_twelve_megabytes_in_time", |plane| Box::pin(large::judges_twelve_megabytes_in_time(plane))),
    ("drain_loses_nothing_by_rotation_and_drain", |plane| Box::pin(drain::loses_nothing_by_rotation_and_drain(plane))),
];

/// Run only when asked for by their full names: they are for people to watch.
pub const DEMOS: &[(&str, Scenario)] = &[
    ("demo-cluster", |plane| Box::pin(demo::cluster(plane))),
    ("measure-empty", |plane| Box::pin(measure::empty(plane))),
    ("measure-mixed", |plane| Box::pin(measure::mixed(plane))),
    ("measure-scale-100", |plane| Box::pin(measure::scale(plane, 100))),
    ("measure-scale-200", |plane| Box::pin(measure::scale(plane, 200))),
    ("measure-scale-500", |plane| Box::pin(measure::scale(plane, 500))),
    ("measure-scale-1000", |plane| Box::pin(measure::scale(plane, 1_000))),
    ("measure-cpu", |plane| Box::pin(measure::cpu(plane))),
    ("measure-churn", |plane| Box::pin(measure::churn(plane))),
    ("measure-replicas", |plane| Box::pin(measure::replicas(plane))),
    ("measure-most-allocated", |plane| Box::pin(measure::most_allocated(plane))),
];

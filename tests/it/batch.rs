//! `supercargo batch` in a cluster: the real binary against an API server that says what the test wants.

mod api;
mod program;

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use hyper::Method;
use serde_json::{Value, json};

use self::api::Api;
use self::program::Batch;

/// A file with one group; each job requests a core.
fn file(jobs: &[&str]) -> Value {
    let job = |name: &&str| json!({"jobName": name, "image": "scan:1", "requestMem": "1Gi", "requestCpu": "1"});
    let jobs: Vec<Value> = jobs.iter().map(job).collect();
    json!({"night": jobs})
}

fn node(name: &str) -> Value {
    json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": name},
        "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}}})
}

fn pod(job: &str, node: &str, status: Value) -> Value {
    let requests = json!({"cpu": "1", "memory": "1Gi"});
    json!({"kind": "Pod", "apiVersion": "v1", "status": status,
        "metadata": {"name": format!("{job}-x"), "labels": {"batch.kubernetes.io/job-name": job}},
        "spec": {"nodeName": node, "containers": [{"name": "main", "resources": {"requests": requests}}]}})
}

fn running(job: &str, node: &str) -> Value {
    pod(job, node, json!({"phase": "Running"}))
}

/// The pod and its Job have ended well.
fn succeed(api: &Api, job: &str) {
    api.change("pods", &format!("{job}-x"), |pod| pod["status"]["phase"] = json!("Succeeded"));
    end(api, job, "Complete", "");
}

fn end(api: &Api, job: &str, condition: &str, reason: &str) {
    api.change("jobs", job, |job| {
        job["status"]["conditions"] = json!([{"type": condition, "status": "True", "reason": reason, "message": ""}]);
    });
}

fn warning(job: &str, message: &str) -> Value {
    let about = json!({"kind": "Job", "namespace": "scans", "name": job, "uid": format!("uid-{job}")});
    json!({"kind": "Event", "apiVersion": "v1", "metadata": {"name": format!("{job}.1")}, "involvedObject": about, "type": "Warning",
        "reason": "FailedCreate", "message": format!("Error creating: {message}")})
}

#[tokio::test]
async fn a_batch_is_followed_to_its_end_through_a_lost_connection() {
    let api = Api::default();
    api.put(node("n1"));
    api.put(node("n2"));
    // An overloaded API server is asked again.
    api.fail(Method::PATCH, "/jobs/a", 503, "too many requests");
    let mut batch = Batch::start(&api, &["a", "b", "c"], &["--run", "r1"]).await;
    batch.says("night/a: made").await;
    batch.says("night/b: made").await;
    batch.says("night/c: made").await;
    let sent: Vec<String> = api.asked().into_iter().filter(|asked| asked.starts_with("PATCH")).collect();
    assert_eq!(sent.len(), 4);
    assert!(
        sent.iter().all(|sent| sent.contains("fieldManager=supercargo-batch") && !sent.contains("force")),
        "{sent:?}"
    );

    api.put(running("a", "n1"));
    api.put(running("b", "n1"));
    batch.says("night/a: running on n1").await;
    batch.says("night/b: running on n1").await;
    api.go_away();
    batch.complains("cannot watch pods for the moment").await;
    // Much happens while nobody watches: a ends, b goes with its pod, c begins.
    succeed(&api, "a");
    api.remove("pods", "b-x");
    api.remove("jobs", "b");
    api.put(running("c", "n2"));
    api.come_back();
    batch.says("night/a: succeeded").await;
    batch.says("night/b: was taken away before it had ended").await;
    batch.says("night/c: running on n2").await;
    batch.complains("watching pods again").await;
    succeed(&api, "c");
    let ended = batch.ended().await;
    assert_eq!(ended.code, 1, "{ended:?}");
    for part in [
        "run r1: 3 jobs in namespace scans\n",
        "night/c: succeeded\n",
        "\n3 jobs in 1 group: 2 succeeded, 1 failed, after ",
        "\n2 nodes used, at most ",
        " at once; the lower bound is 1\n",
        " node-minutes against a bound of ",
    ] {
        assert!(ended.out.contains(part), "{part}: {ended:?}");
    }
    assert!(!ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'), "no terminal, no escapes: {ended:?}");
    assert!(!ended.err.contains("to watch again"), "what has ended goes by itself: {ended:?}");
}

#[tokio::test]
async fn failures_have_their_reasons() {
    let api = Api::default();
    api.put(node("n1"));
    let refusal = "admission webhook \"workloads.supercargo.dev\" denied the request: container main: no memory limit\n\
        at /spec/template/spec/containers/0/resources/limits/memory";
    api.fail(Method::PATCH, "/jobs/refused", 403, refusal);
    api.fail(
        Method::PATCH,
        "/jobs/there",
        422,
        "Job.batch \"there\" is invalid: spec.template: Invalid value: field is immutable",
    );
    let jobs = ["refused", "there", "pods-refused", "quota", "image", "code"];
    let mut batch = Batch::start(&api, &jobs, &[]).await;
    batch.says("night/refused: refused: admission webhook \"workloads.supercargo.dev\" denied the request").await;
    batch
        .says("night/there: refused: another Job of this name is there: remove it (kubectl delete job there -n scans)")
        .await;
    for job in &jobs[2..] {
        batch.says(&format!("night/{job}: made")).await;
    }
    api.put(warning("pods-refused", "admission webhook \"pods.supercargo.dev\" denied the request: no source folder"));
    batch.says("night/pods-refused: its pod is refused: admission webhook \"pods.supercargo.dev\" denied").await;
    api.put(warning("quota", "pods \"quota-x\" is forbidden: exceeded quota: team, requested: pods=1"));
    batch.says("night/quota: the quota is used up: pods \"quota-x\" is forbidden: exceeded quota: team").await;
    let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"scan:1\""}});
    api.put(pod("image", "n1", json!({"phase": "Pending", "containerStatuses": [{"name": "main", "state": waiting}]})));
    batch.says("night/image: its image cannot be pulled: ImagePullBackOff: Back-off pulling image").await;
    end(&api, "image", "Failed", "DeadlineExceeded");
    batch.says("night/image: failed: its image cannot be pulled: ImagePullBackOff: Back-off pulling").await;
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
    api.put(pod("code", "n1", json!({"phase": "Failed", "containerStatuses": [{"name": "main", "state": ended}]})));
    end(&api, "code", "Failed", "BackoffLimitExceeded");
    batch.says("night/code: failed: container main ended with exit code 3 (BackoffLimitExceeded)").await;
    // A quota is waited for.
    api.put(running("quota", "n1"));
    batch.says("night/quota: running on n1").await;
    succeed(&api, "quota");
    let ended = batch.ended().await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("6 jobs in 1 group: 1 succeeded, 2 failed, 3 refused, after"), "{ended:?}");
    assert!(ended.out.contains("no memory limit\n            at /spec/template/spec/"), "{ended:?}");
    assert!(
        ended.err.contains("to remove all jobs of this run:\n  kubectl delete jobs -n scans -l supercargo.dev/batch="),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_success_is_not_taken_for_a_refusal_that_was_before_it() {
    let api = Api::default();
    api.put(node("n1"));
    let mut batch = Batch::start(&api, &["late", "other"], &["--cleanup"]).await;
    batch.says("night/late: made").await;
    batch.says("night/other: made").await;
    let mut refusal = warning("late", "admission webhook \"images\" denied the request: not verified yet");
    refusal["lastTimestamp"] = json!("2026-01-01T00:00:10Z");
    api.put(refusal);
    batch.says("night/late: its pod is refused: admission webhook \"images\" denied").await;
    let mut made = running("late", "n1");
    made["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:12Z");
    api.put(made);
    batch.says("night/late: running on n1").await;
    // Between the pod's success and the Job's condition the other one ends.
    api.change("pods", "late-x", |pod| pod["status"]["phase"] = json!("Succeeded"));
    api.put(running("other", "n1"));
    succeed(&api, "other");
    batch.says("night/other: succeeded").await;
    end(&api, "late", "Complete", "");
    let ended = batch.ended().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("\n2 jobs in 1 group: 2 succeeded, after "), "{ended:?}");
}

#[tokio::test]
async fn conflicts_are_told_apart() {
    let conflict = |message: &str, kind: &str, causes: Value| {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409, "reason": "Conflict", "message": message,
            "details": {"name": "q", "kind": kind, "causes": causes}})
    };
    let api = Api::default();
    api.put(node("n1"));
    // Many that write to the same quota at once.
    let modified = "Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified; please apply your changes to \
        the latest version and try again";
    api.fail_with(Method::PATCH, "/jobs/quota", conflict(modified, "resourcequotas", json!([])));
    let new = "jobs.batch \"quota\" is forbidden: status unknown for quota: q, resources: count/jobs.batch";
    api.fail(Method::PATCH, "/jobs/quota", 403, new);
    let cause = json!([{"reason": "FieldManagerConflict", "message": "conflict with \"kubectl\"", "field": ".spec.backoffLimit"}]);
    let owned = "Apply failed with 1 conflict: conflict with \"kubectl\": .spec.backoffLimit";
    api.fail_with(Method::PATCH, "/jobs/owned", conflict(owned, "jobs", cause));
    let mut there = conflict("jobs.batch \"there\" already exists", "jobs", json!([]));
    there["reason"] = json!("AlreadyExists");
    api.fail_with(Method::PATCH, "/jobs/there", there);
    let ended = Batch::start(&api, &["quota", "owned", "there"], &["--no-wait"]).await.ended().await;
    assert_eq!((ended.code, api.names("jobs")), (1, vec!["quota".to_owned()]), "{ended:?}");
    for job in ["owned", "there"] {
        let taken =
            format!("night/{job}: refused: another Job of this name is there: remove it (kubectl delete job {job} ");
        assert!(ended.out.contains(&taken), "{ended:?}");
    }
    assert!(ended.out.contains("night/quota: made\n"), "{ended:?}");
}

#[tokio::test]
async fn a_quota_of_jobs_is_waited_for_as_long_as_somebody_waits() {
    let refusal = "jobs.batch \"full\" is forbidden: exceeded quota: q, requested: count/jobs.batch=1, used: count/jobs.batch=1, \
        limited: count/jobs.batch=1";
    let api = Api::default();
    api.put(node("n1"));
    for _ in 0..2 {
        api.fail(Method::PATCH, "/jobs/full", 403, refusal);
    }
    let mut batch = Batch::start(&api, &["full", "fine"], &[]).await;
    batch.says("night/full: the quota is used up: jobs.batch \"full\" is forbidden: exceeded quota: q").await;
    batch.says("night/fine: made").await;
    batch.says("night/full: made").await;
    for job in ["full", "fine"] {
        api.put(running(job, "n1"));
        succeed(&api, job);
    }
    let ended = batch.ended().await;
    assert_eq!((ended.code, ended.out.matches("the quota is used up").count()), (0, 1), "{ended:?}");

    // Until the deadline, and not at all when nobody waits.
    for options in [&["--deadline", "1s"][..], &["--no-wait"]] {
        let api = Api::default();
        api.put(node("n1"));
        (0..3).for_each(|_| api.fail(Method::PATCH, "/jobs/full", 403, refusal));
        let ended = Batch::start(&api, &["full"], options).await.ended().await;
        assert_eq!((ended.code, api.names("jobs").len()), (1, 0), "{ended:?}");
        assert!(
            ended.out.contains("night/full: refused: jobs.batch \"full\" is forbidden: exceeded quota"),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn names_are_unique_in_the_namespace_of_the_kubeconfig() {
    let api = Api::default();
    let mut small = node("n1");
    small["status"]["allocatable"]["cpu"] = json!("500m");
    api.put(small);
    let job = |more: Value| {
        let mut job = json!({"jobName": "a", "image": "scan:1", "requestMem": "1Gi", "requestCpu": "100m"});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    };
    let twice = json!({"night": [job(json!({}))], "day": [job(json!({"namespace": "scans"})), job(json!({"jobName": "b", "requestCpu": "1"}))]});
    let ended = Batch::start_with(&api, &twice, &[]).await.ended().await;
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    let said: Vec<&str> = ended.err.lines().collect();
    assert!(said[0].ends_with("no node holds so much: the largest has 500m for pods"), "{ended:?}");
    assert!(
        said[1].contains("\"a\" stands twice") && said[1].ends_with("name no namespace are in \"scans\""),
        "{ended:?}"
    );
    assert_eq!(said.len(), 4, "{ended:?}");
    assert_eq!(api.names("jobs"), Vec::<String>::new());
    // Where they run somewhere else, there are two.
    let ended = Batch::start_with(&api, &twice, &["-n", "other"]).await.ended().await;
    assert!(!ended.err.contains("stands twice"), "{ended:?}");
}

#[tokio::test]
async fn ctrl_c_leaves_the_jobs_and_they_can_be_watched_again() {
    let api = Api::default();
    api.put(node("n1"));
    let mut batch = Batch::start(&api, &["a"], &["--run", "r7"]).await;
    let unscheduled = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]);
    batch.says("night/a: made").await;
    api.put(pod("a", "", json!({"phase": "Pending", "conditions": unscheduled})));
    batch.says("night/a: no node takes it: 0/1 nodes are available").await;
    batch.signal("-INT");
    let ended = batch.ended().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    for part in [
        "stopped, as you asked",
        "1 job has not ended, and goes on in the cluster\nto watch again:\n",
        "  supercargo batch batch.json --run r7 -n scans --only-watch\nto remove all jobs of this run:\n  kubectl delete jobs -n scans -l supercargo.dev/batch=r7\n",
    ] {
        assert!(ended.err.contains(part), "{part}: {ended:?}");
    }
    assert_eq!(api.names("jobs"), ["a"]);

    api.put(running("a", "n1"));
    let mut batch = Batch::start(&api, &["a"], &["--run", "r7"]).await;
    batch.says("night/a: running on n1").await;
    succeed(&api, "a");
    assert_eq!(batch.ended().await.code, 0);
    assert_eq!(api.names("jobs"), ["a"]);

    // Nothing is made anew that has ended and gone.
    let sent = api.asked().len();
    api.fail(Method::GET, "/jobs/a", 503, "overloaded");
    let ended = Batch::start(&api, &["a", "gone"], &["--run", "r7", "--only-watch"]).await.ended().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.out.contains("night/gone: is not there: it has ended and was removed, or was never made\n"),
        "{ended:?}"
    );
    assert!(ended.out.contains("2 jobs in 1 group: 1 succeeded, 1 not there, after"), "{ended:?}");
    assert!(!api.asked()[sent..].iter().any(|asked| asked.starts_with("PATCH")));
    // Of another run.
    let ended = Batch::start(&api, &["a"], &["--run", "r8", "--only-watch"]).await.ended().await;
    assert!(ended.out.contains("night/a: is not there"), "{ended:?}");
}

#[tokio::test]
async fn a_terminated_run_cleans_up_when_it_was_told_to() {
    let api = Api::default();
    api.put(node("n1"));
    let mut batch = Batch::start(&api, &["a"], &["--cleanup", "--run", "r1"]).await;
    batch.says("night/a: made").await;
    batch.signal("-TERM");
    let ended = batch.ended().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.out.ends_with("removed the Jobs and their pods\n"), "{ended:?}");
    assert_eq!(api.names("jobs"), Vec::<String>::new());
    let deleted: Vec<String> = api.asked().into_iter().filter(|asked| asked.starts_with("DELETE")).collect();
    assert!(deleted.len() == 1 && deleted[0].contains("labelSelector=supercargo.dev%2Fbatch%3Dr1"), "{deleted:?}");
}

#[tokio::test]
async fn the_time_is_over() {
    let api = Api::default();
    api.put(node("n1"));
    let ended = Batch::start(&api, &["a"], &["--timeout", "1s"]).await.ended().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("stopped, as the time of --timeout was over"), "{ended:?}");
}

#[tokio::test]
async fn who_does_not_wait_is_told_how_to_watch() {
    let api = Api::default();
    api.put(node("n1"));
    let ended = Batch::start(&api, &["a", "b"], &["--no-wait", "--run", "r1"]).await.ended().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.ends_with("2 of 2 jobs made\n"), "{ended:?}");
    assert!(ended.err.contains("2 jobs have not ended, and go on in the cluster\n"), "{ended:?}");
    assert!(ended.err.contains("supercargo batch batch.json --run r1 -n scans --only-watch\n"), "{ended:?}");
}

#[tokio::test]
async fn what_no_node_holds_is_not_sent() {
    let api = Api::default();
    let mut small = node("n1");
    small["status"]["allocatable"]["cpu"] = json!("500m");
    api.put(small);
    let ended = Batch::start(&api, &["a"], &[]).await.ended().await;
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    assert!(
        ended.err.contains("night[0].requestCpu: no node holds so much: the largest has 500m for pods"),
        "{ended:?}"
    );
    assert!(ended.err.contains("--scale-up"), "{ended:?}");
    assert_eq!(api.names("jobs"), Vec::<String>::new());
    let ended = Batch::start(&api, &["a"], &["--scale-up", "--no-wait"]).await.ended().await;
    assert_eq!((ended.code, api.names("jobs").len()), (0, 1), "{ended:?}");
}

#[tokio::test]
async fn nodes_need_not_be_seen() {
    let api = Api::default();
    api.fail(Method::GET, "/nodes", 403, "nodes is forbidden: User \"dev\" cannot list resource \"nodes\"");
    let mut batch = Batch::start(&api, &["a"], &[]).await;
    batch.complains("sizes are not checked, and there is no bound: nodes is forbidden").await;
    batch.says("night/a: made").await;
    api.put(running("a", "n1"));
    batch.says("night/a: running on n1").await;
    succeed(&api, "a");
    let ended = batch.ended().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("1 node used, at most 1 at once\n") && !ended.out.contains("bound"), "{ended:?}");
    assert!(!api.asked().iter().any(|asked| asked.contains("/nodes?") && asked.contains("watch")));
}

#[tokio::test]
async fn a_cluster_that_is_away_is_said_at_once() {
    let api = Api::default();
    api.go_away();
    let ended = Batch::start(&api, &["a"], &[]).await.ended().await;
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    assert!(ended.err.starts_with("error: cannot ask the cluster: "), "{ended:?}");
}

#[tokio::test]
async fn a_terminal_has_a_bar_below_the_lines() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let api = Api::default();
    api.put(node("n1"));
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let other_end = File::options().read(true).write(true).open(name).unwrap();
    let screen = tokio::task::spawn_blocking(move || {
        let (mut terminal, mut shown) = (File::from(terminal), Vec::new());
        // Ends with an error when the program has closed the other end.
        let _ = terminal.read_to_end(&mut shown);
        String::from_utf8(shown).unwrap()
    });
    let mut batch = Batch::start_on(&api, &file(&["a"]), &[], Stdio::from(other_end)).await;
    batch.says("night/a: made").await;
    api.put(running("a", "n1"));
    batch.says("night/a: running on n1").await;
    succeed(&api, "a");
    assert_eq!(batch.ended().await.code, 0);
    let shown = screen.await.unwrap();
    for part in ["░ 0/1 · 1 waiting", "0/1 · 1 running · on 1 node, bound 1", "\r\u{1b}[K"] {
        assert!(shown.contains(part), "{part}: {shown:?}");
    }
    assert!(shown.ends_with("\r\u{1b}[K"), "the bar is taken away: {shown:?}");
}

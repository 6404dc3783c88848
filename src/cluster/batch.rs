//! The Jobs of a batch in a cluster: sent, followed, removed. What they mean is decided in batch.rs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, future};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::batch::{JobSeen, Key, Planned, PodSeen, RUN_LABEL, WarningSeen};
use crate::packing::NodeSeen;
use crate::tree::Node;

/// Who owns the fields of the Jobs.
const FIELD_MANAGER: &str = "supercargo-batch";

/// Jobs that are sent at the same time. The API server lets a single client wait when there are many more.
const AT_ONCE: usize = 8;

/// Between two attempts to send a Job, while the API server is away or overloaded: half a minute in all.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// Between two attempts to send a Job that a quota keeps out: one Job a namespace tries, so that many that wait ask no more often.
const QUOTA_PAUSE: Duration = Duration::from_secs(2);

/// Something that was learned of the cluster.
#[derive(Debug)]
pub enum Input {
    /// A Job was taken, with this uid.
    Made(Key, String),
    /// A Job is not taken before there is room in a quota of Jobs, which says so.
    Waits(Key, String),
    /// A Job was not taken, and why.
    Refused(Key, String),
    /// The API server gave no answer.
    Unmade(Key, String),
    /// A Job that was to be watched is not there.
    Missing(Key),
    /// A Job is there.
    Job(JobSeen),
    /// A Job is not there any more.
    JobGone(Key),
    /// A pod is there.
    Pod(PodSeen),
    /// A pod (of a Job, with a name) is not there any more.
    PodGone(Key, String),
    /// An event was written.
    Warning(WarningSeen),
    /// A node is there.
    Node(NodeSeen),
    /// A node is not there any more.
    NodeGone(String),
    /// Something cannot be seen for the moment, or can be again.
    Note(String),
}

/// The nodes, for their sizes.
pub async fn nodes(client: &Client) -> kube::Result<Vec<NodeSeen>> {
    let nodes = objects::<v1::Node>(client, None).list(&ListParams::default()).await?;
    Ok(nodes.items.iter().filter_map(|object| read(object, NodeSeen::read)).collect())
}

/// Sends the Jobs by server-side apply: one that is there already and the same is left as it is. For so long after now it waits for
/// room in a quota of Jobs.
pub fn make(client: &Client, planned: Vec<Planned>, patience: Duration) -> impl Stream<Item = Input> + Send + use<> {
    let turns = planned.iter().map(|planned| (planned.key.namespace.clone(), Mutex::default())).collect();
    let (client, slots) = (client.clone(), Semaphore::new(AT_ONCE));
    let sender = Arc::new(Sender { client, slots, turns, patience: Instant::now() + patience });
    let make = move |planned| stream::once(Arc::clone(&sender).make(planned)).flatten().boxed();
    // All of them, as those that wait must not keep others from being sent.
    stream::iter(planned).flat_map_unordered(None, make)
}

/// Looks for the Jobs of a run, which somebody has made before.
pub fn look(client: &Client, planned: Vec<Planned>, run: &str) -> impl Stream<Item = Input> + Send + use<> {
    let (client, run) = (client.clone(), run.to_owned());
    stream::iter(planned)
        .map(move |planned| look_for(client.clone(), planned.key, run.clone()))
        .buffer_unordered(AT_ONCE)
}

async fn look_for(client: Client, key: Key, run: String) -> Input {
    let api = Api::<Job>::namespaced(client, &key.namespace);
    let mut pauses = PAUSES.iter();
    loop {
        let error = match api.get_opt(&key.name).await {
            Ok(Some(job)) if job.labels().get(RUN_LABEL) == Some(&run) => {
                return Input::Made(key, job.uid().unwrap_or_default());
            }
            Ok(_) => return Input::Missing(key),
            Err(error) => error,
        };
        match pauses.next() {
            Some(pause) if is_passing(&error) => tokio::time::sleep(*pause).await,
            _ => return Input::Unmade(key, said(&error)),
        }
    }
}

/// Whether asking again may help.
fn is_passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500 || status.code == 429,
        _ => true,
    }
}

/// What sends the Jobs of a run.
struct Sender {
    client: Client,
    /// [`AT_ONCE`] of them.
    slots: Semaphore,
    /// Of each namespace: held by the Job that tries whether there is room in a quota.
    turns: HashMap<String, Mutex<()>>,
    /// Until when it tries.
    patience: Instant,
}

/// What an answer that is none of success means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Asking again may help.
    Passing,
    /// There is no room in a quota of Jobs.
    Quota,
    /// Another Job has the name.
    Taken,
    Refused,
}

impl Answer {
    fn of(error: &kube::Error) -> Answer {
        let kube::Error::Api(status) = error else { return Answer::Passing };
        let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
        let is_owned = causes.iter().any(|cause| cause.reason == "FieldManagerConflict");
        match status.code {
            409 if is_owned || status.is_already_exists() => Answer::Taken,
            // Somebody else was faster, mostly at the ResourceQuota that counts the Job.
            409 => Answer::Passing,
            403 if status.message.contains("is forbidden: exceeded quota") => Answer::Quota,
            // The quota is so new that nothing was counted yet.
            403 if status.message.contains("is forbidden: status unknown for quota") => Answer::Passing,
            // A Job's template cannot be changed, be it of another run or of an older file.
            _ if status.message.contains("field is immutable") => Answer::Taken,
            _ if is_passing(error) => Answer::Passing,
            _ => Answer::Refused,
        }
    }
}

impl Sender {
    async fn make(self: Arc<Self>, planned: Planned) -> BoxStream<'static, Input> {
        let full = match self.send(&planned).await {
            Ok(input) => return stream::iter([input]).boxed(),
            Err(full) => full,
        };
        let key = planned.key.clone();
        if self.patience <= Instant::now() {
            return stream::iter([Input::Refused(key, full)]).boxed();
        }
        let waits = Input::Waits(key, full.clone());
        stream::once(future::ready(waits)).chain(stream::once(self.send_in_turn(planned, full))).boxed()
    }

    /// Sends a Job as soon as there is room in a quota, which says what it said last.
    async fn send_in_turn(self: Arc<Self>, planned: Planned, mut full: String) -> Input {
        let sent = async {
            let _turn = match self.turns.get(&planned.key.namespace) {
                Some(turn) => Some(turn.lock().await),
                None => None,
            };
            loop {
                match self.send(&planned).await {
                    Ok(input) => return input,
                    Err(message) => full = message,
                }
                tokio::time::sleep(QUOTA_PAUSE).await;
            }
        };
        match timeout_at(self.patience, sent).await {
            Ok(input) => input,
            Err(_) => Input::Refused(planned.key, full),
        }
    }

    /// Sends a Job; fails with what a quota says.
    async fn send(&self, planned: &Planned) -> Result<Input, String> {
        let key = planned.key.clone();
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.apply(planned).await {
                Ok(job) => return Ok(Input::Made(key, job.uid().unwrap_or_default())),
                Err(error) => error,
            };
            return Ok(match Answer::of(&error) {
                Answer::Passing => match pauses.next() {
                    Some(pause) => {
                        tokio::time::sleep(*pause).await;
                        continue;
                    }
                    None => Input::Unmade(key, said(&error)),
                },
                Answer::Quota => return Err(said(&error)),
                Answer::Taken => {
                    let remove = format!("kubectl delete job {} -n {}", key.name, key.namespace);
                    let message = format!(
                        "another Job of this name is there: remove it ({remove}), or call this one differently"
                    );
                    Input::Refused(key, message)
                }
                Answer::Refused => Input::Refused(key, said(&error)),
            });
        }
    }

    async fn apply(&self, Planned { key, object, .. }: &Planned) -> kube::Result<Job> {
        // Never closed.
        let _slot = self.slots.acquire().await;
        let api = Api::<Job>::namespaced(self.client.clone(), &key.namespace);
        let params = PatchParams::apply(FIELD_MANAGER).validation_strict();
        api.patch(&key.name, &params, &Patch::Apply(object)).await
    }
}

/// Follows the Jobs of a run in these namespaces, their pods and the events about them; with `nodes` the nodes, too. Does not end:
/// after a lost connection it asks again, waiting longer each time, and says what has gone meanwhile.
pub fn watch(
    client: &Client,
    namespaces: &BTreeSet<String>,
    run: &str,
    nodes: bool,
) -> impl Stream<Item = Input> + Send + use<> {
    let ours = watcher::Config::default().labels(&format!("{RUN_LABEL}={run}"));
    // Events have no labels. Those about other Jobs are passed over.
    let warnings = watcher::Config::default().fields("involvedObject.kind=Job,type=Warning");
    let mut streams = Vec::new();
    for namespace in namespaces {
        let here = Some(namespace.as_str());
        streams.push(follow(objects::<Job>(client, here), ours.clone(), "jobs", |object| {
            let seen = read(object, JobSeen::read)?;
            Some((Input::JobGone(seen.key.clone()), Input::Job(seen)))
        }));
        streams.push(follow(objects::<v1::Pod>(client, here), ours.clone(), "pods", |object| {
            let seen = read(object, PodSeen::read)?;
            Some((Input::PodGone(seen.job.clone(), seen.name.clone()), Input::Pod(seen)))
        }));
        streams.push(follow(objects::<v1::Event>(client, here), warnings.clone(), "events", |object| {
            // That an event is forgotten changes nothing: there is nothing to say of it.
            Some((Input::Note(String::new()), Input::Warning(read(object, WarningSeen::read)?)))
        }));
    }
    if nodes {
        streams.push(follow(objects::<v1::Node>(client, None), watcher::Config::default(), "nodes", |object| {
            let seen = read(object, NodeSeen::read)?;
            Some((Input::NodeGone(seen.name.to_string()), Input::Node(seen)))
        }));
    }
    stream::select_all(streams)
}

/// Deletes the Jobs of a run in a namespace, and with them their pods.
pub async fn remove(client: &Client, namespace: &str, run: &str) -> kube::Result<()> {
    let api = Api::<Job>::namespaced(client.clone(), namespace);
    let ours = ListParams::default().labels(&format!("{RUN_LABEL}={run}"));
    api.delete_collection(&DeleteParams::background(), &ours).await.map(|_| ())
}

/// What the API server says of an error, without what the client puts around it.
pub fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Objects as they came: a type of our own would only have to be turned back into JSON.
fn objects<K: Resource<DynamicType = ()>>(client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<K>(&());
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    }
}

fn read<T>(object: &DynamicObject, read: fn(&Node<'_>) -> Option<T>) -> Option<T> {
    read(&Node::from(serde_json::to_value(object).ok()?))
}

/// What is to be said when an object goes, and that it is there.
type Seen = (Input, Input);

/// One watch, in memory of what it has seen, so that it notices what went while nobody watched.
struct Follow {
    what: &'static str,
    read: fn(&DynamicObject) -> Option<Seen>,
    known: HashMap<String, Input>,
    listed: HashSet<String>,
    lost: bool,
}

fn follow(
    api: Api<DynamicObject>,
    config: watcher::Config,
    what: &'static str,
    read: fn(&DynamicObject) -> Option<Seen>,
) -> BoxStream<'static, Input> {
    let mut follow = Follow { what, read, known: HashMap::new(), listed: HashSet::new(), lost: false };
    let events = watcher::watcher(api, config).default_backoff();
    events.flat_map(move |event| stream::iter(follow.take(event))).boxed()
}

impl Follow {
    fn take(&mut self, event: watcher::Result<watcher::Event<DynamicObject>>) -> Vec<Input> {
        let mut inputs = Vec::new();
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // Once: the next attempts fail alike.
                if !std::mem::replace(&mut self.lost, true) {
                    inputs.push(Input::Note(format!(
                        "cannot watch {} for the moment, and try again: {error}",
                        self.what
                    )));
                }
                return inputs;
            }
        };
        match event {
            // The list that follows may fail, too.
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(object) => {
                self.listed.insert(object.name_any());
                self.put(&object, &mut inputs);
            }
            watcher::Event::InitDone => {
                if std::mem::take(&mut self.lost) {
                    inputs.push(Input::Note(format!("watching {} again", self.what)));
                }
                let listed = std::mem::take(&mut self.listed);
                inputs.extend(self.known.extract_if(|name, _| !listed.contains(name)).map(|(_, gone)| gone));
            }
            watcher::Event::Apply(object) => {
                if std::mem::take(&mut self.lost) {
                    inputs.push(Input::Note(format!("watching {} again", self.what)));
                }
                self.put(&object, &mut inputs);
            }
            watcher::Event::Delete(object) => {
                // Its last state may be news.
                self.put(&object, &mut inputs);
                inputs.extend(self.known.remove(&object.name_any()));
            }
        }
        inputs
    }

    fn put(&mut self, object: &DynamicObject, inputs: &mut Vec<Input>) {
        if let Some((gone, there)) = (self.read)(object) {
            self.known.insert(object.name_any(), gone);
            inputs.push(there);
        }
    }
}

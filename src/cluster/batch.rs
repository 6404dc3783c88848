//! The Jobs of a batch in a cluster: sent, followed, removed. What they mean is decided in batch.rs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};

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

/// Something that was learned of the cluster.
#[derive(Debug)]
pub enum Input {
    /// A Job was taken, with this uid.
    Made(Key, String),
    /// A Job was not taken, and why.
    Refused(Key, String),
    /// The API server gave no answer.
    Unmade(Key, String),
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

/// Sends the Jobs by server-side apply: one that is there already and the same is left as it is.
pub fn make(client: &Client, planned: Vec<Planned>) -> impl Stream<Item = Input> + Send + use<> {
    let client = client.clone();
    stream::iter(planned).map(move |planned| make_one(client.clone(), planned)).buffer_unordered(AT_ONCE)
}

async fn make_one(client: Client, planned: Planned) -> Input {
    let Planned { key, object, .. } = planned;
    let api = Api::<Job>::namespaced(client, &key.namespace);
    let params = PatchParams::apply(FIELD_MANAGER).validation_strict();
    let mut pauses = PAUSES.iter();
    loop {
        let error = match api.patch(&key.name, &params, &Patch::Apply(&object)).await {
            Ok(job) => return Input::Made(key, job.uid().unwrap_or_default()),
            Err(error) => error,
        };
        if let kube::Error::Api(status) = &error
            && status.code < 500
            && status.code != 429
        {
            let there = status.message.contains("field is immutable") || status.code == 409;
            let message = if there {
                // A Job's template cannot be changed, be it of another run or of an older file.
                let remove = format!("kubectl delete job {} -n {}", key.name, key.namespace);
                format!("another Job of this name is there: remove it ({remove}), or call this one differently")
            } else {
                status.message.clone()
            };
            return Input::Refused(key, message);
        }
        match pauses.next() {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return Input::Unmade(key, said(&error)),
        }
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

//! What a pod takes of a node, and what all pods on a node take together. Exact: what was added can be taken away again.

use std::net::IpAddr;
use std::sync::Arc;

use crate::quantity::Quantity;
use crate::tree::Node;
use crate::workload::{Pod, Role, resources};

/// More cpu (milli-cores) or bytes than any node has: larger amounts are cut to it.
const MOST_CPU: u64 = 1 << 40;
const MOST_BYTES: u64 = 1 << 50;

/// Cpu in milli-cores, memory and ephemeral storage in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amounts {
    /// Milli-cores.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
    /// Bytes of ephemeral storage.
    pub storage: u64,
}

/// An amount of an extended resource (`nvidia.com/gpu`, `hugepages-2Mi`, attachable volumes), by name.
pub type Extended = (Arc<str>, u64);

/// What one pod takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Requests {
    /// What nearly every pod takes.
    pub amounts: Amounts,
    /// What few pods take.
    more: Option<Box<More>>,
}

/// Rarely needed, so kept out of the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct More {
    extended: Vec<Extended>,
    ports: Vec<Port>,
}

/// A port of the node that a pod takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// `None`: on every address.
    ip: Option<IpAddr>,
    protocol: Protocol,
    number: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// What a pod is to the packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A profile was applied to it.
    Scan,
    /// Belongs to the node (of a DaemonSet, or static): it does not keep the node in use.
    Fixture,
    /// Anything else.
    Other,
}

/// What is known of a scan on a node besides its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The profiles applied, as in annotation `supercargo.dev/profile`: names with commas between.
    pub profiles: Arc<str>,
    /// When it should end, in seconds since 1970; `None` as long as pods of its kind were not seen to end.
    pub ends: Option<i64>,
}

/// What the pods on one node take together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The sum of what they take.
    pub amounts: Amounts,
    /// How many there are.
    pub pods: u32,
    /// How many of them are scans.
    pub scans: u32,
    /// How many are neither scans nor fixtures.
    pub others: u32,
    /// When the last of the scans with a known end should end, in seconds since 1970.
    pub ends: Option<i64>,
    more: Option<Arc<MoreLoad>>,
}

/// The part of a load that nearly every decision is made by: two of them are added without copying anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    pub amounts: Amounts,
    pub pods: u32,
    pub scans: u32,
    pub others: u32,
    pub ends: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct MoreLoad {
    extended: Vec<Extended>,
    ports: Vec<Port>,
    runs: Vec<Arc<Run>>,
}

// === impl Amounts ===

impl Amounts {
    /// Cpu, memory and ephemeral storage out of named quantities; the others go to `extended`.
    pub(super) fn split<'q>(quantities: impl Iterator<Item = (&'q str, Quantity)>) -> (Amounts, Vec<Extended>) {
        let (mut amounts, mut extended) = (Amounts::default(), Vec::new());
        for (resource, quantity) in quantities {
            match resource {
                "cpu" => amounts.cpu = quantity.millis().min(MOST_CPU),
                "memory" => amounts.memory = quantity.units().min(MOST_BYTES),
                "ephemeral-storage" => amounts.storage = quantity.units().min(MOST_BYTES),
                // Counted apart, or set by the node only.
                "pods" => {}
                _ => extended.push((Arc::from(resource), quantity.units().min(MOST_BYTES))),
            }
        }
        extended.retain(|(_, amount)| *amount > 0);
        (amounts, extended)
    }

    pub(super) fn add(&mut self, other: &Amounts) {
        // What thousands of pods take that are each as large as can be is not worth being exact about.
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.memory = self.memory.saturating_add(other.memory);
        self.storage = self.storage.saturating_add(other.storage);
    }

    fn take_away(&mut self, other: &Amounts) {
        self.cpu = self.cpu.saturating_sub(other.cpu);
        self.memory = self.memory.saturating_sub(other.memory);
        self.storage = self.storage.saturating_sub(other.storage);
    }

    /// What is left of `self` after `other`; nothing where that is more.
    #[must_use]
    pub fn less(&self, other: &Amounts) -> Amounts {
        let mut left = *self;
        left.take_away(other);
        left
    }
}

// === impl Requests ===

impl Requests {
    /// What the scheduler counts for a pod: requests (see [`resources::scheduled`]) and host ports.
    pub fn of(pod: &Pod<'_>) -> Requests {
        let (amounts, extended) = Amounts::split(resources::scheduled(pod).into_iter());
        let ports = ports(pod);
        let more = (!extended.is_empty() || !ports.is_empty()).then(|| Box::new(More { extended, ports }));
        Requests { amounts, more }
    }

    /// Cpu, memory and storage only.
    pub fn plain(amounts: Amounts) -> Requests {
        Requests { amounts, more: None }
    }

    /// Amounts of extended resources, none of them zero.
    pub fn extended(&self) -> &[Extended] {
        self.more.as_ref().map(|more| more.extended.as_slice()).unwrap_or_default()
    }

    /// Ports of the node.
    pub fn ports(&self) -> &[Port] {
        self.more.as_ref().map(|more| more.ports.as_slice()).unwrap_or_default()
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.more.as_ref().map_or(0, |more| {
            size_of::<More>()
                + more.extended.capacity() * size_of::<Extended>()
                + more.ports.capacity() * size_of::<Port>()
        })
    }
}

/// The host ports of app containers and sidecars, as NodePorts counts them.
fn ports(pod: &Pod<'_>) -> Vec<Port> {
    let running = pod.containers().filter(|container| matches!(container.role(), Role::App | Role::Sidecar));
    running.flat_map(|container| container.node().items("ports")).filter_map(Port::read).collect()
}

impl Port {
    fn read(node: &Node<'_>) -> Option<Port> {
        let number = match node.get("hostPort")? {
            Node::Number(number) => u16::try_from(number.as_u64()?).ok().filter(|number| *number > 0)?,
            _ => return None,
        };
        let protocol = match node.str("protocol") {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        // The scheduler takes "0.0.0.0" alone for every address; "::" taken so, too, only closes a node more.
        let ip = node.str("hostIP").and_then(|ip| ip.parse::<IpAddr>().ok()).filter(|ip| !ip.is_unspecified());
        Some(Port { ip, protocol, number })
    }

    /// Whether a node cannot have both.
    pub fn conflicts(&self, other: &Port) -> bool {
        self.number == other.number
            && self.protocol == other.protocol
            && (self.ip.is_none() || other.ip.is_none() || self.ip == other.ip)
    }
}

// === impl Load ===

impl Load {
    /// A pod comes. `run` is for scans.
    pub fn add(&mut self, requests: &Requests, part: Part, run: Option<&Arc<Run>>) {
        self.amounts.add(&requests.amounts);
        self.pods += 1;
        match part {
            Part::Scan => self.scans += 1,
            Part::Other => self.others += 1,
            Part::Fixture => {}
        }
        if requests.more.is_none() && run.is_none() {
            return;
        }
        let more = Arc::make_mut(self.more.get_or_insert_default());
        for (resource, amount) in requests.extended() {
            add_extended(&mut more.extended, resource, *amount);
        }
        more.ports.extend(requests.ports());
        if let Some(run) = run {
            more.runs.push(Arc::clone(run));
            self.ends = self.ends.max(run.ends);
        }
    }

    /// A pod that was added goes.
    pub fn remove(&mut self, requests: &Requests, part: Part, run: Option<&Arc<Run>>) {
        self.amounts.take_away(&requests.amounts);
        self.pods = self.pods.saturating_sub(1);
        match part {
            Part::Scan => self.scans = self.scans.saturating_sub(1),
            Part::Other => self.others = self.others.saturating_sub(1),
            Part::Fixture => {}
        }
        if requests.more.is_none() && run.is_none() {
            return;
        }
        let Some(more) = &mut self.more else { return };
        let more = Arc::make_mut(more);
        for (resource, amount) in requests.extended() {
            if let Some((_, sum)) = more.extended.iter_mut().find(|(name, _)| name == resource) {
                *sum = sum.saturating_sub(*amount);
            }
        }
        more.extended.retain(|(_, amount)| *amount > 0);
        for port in requests.ports() {
            if let Some(at) = more.ports.iter().position(|taken| taken == port) {
                more.ports.swap_remove(at);
            }
        }
        if let Some(run) = run
            && let Some(at) = more.runs.iter().position(|other| other == run)
        {
            more.runs.swap_remove(at);
            self.ends = more.runs.iter().filter_map(|run| run.ends).max();
        }
        if more.extended.is_empty() && more.ports.is_empty() && more.runs.is_empty() {
            self.more = None;
        }
    }

    /// All that `other` holds comes.
    pub fn merge(&mut self, other: &Load) {
        let Totals { amounts, pods, scans, others, ends } = self.totals().plus(&other.totals());
        (self.amounts, self.pods, self.scans, self.others, self.ends) = (amounts, pods, scans, others, ends);
        let Some(theirs) = &other.more else { return };
        let Some(own) = &mut self.more else {
            self.more = Some(Arc::clone(theirs));
            return;
        };
        let more = Arc::make_mut(own);
        for (resource, amount) in &theirs.extended {
            add_extended(&mut more.extended, resource, *amount);
        }
        more.ports.extend(&theirs.ports);
        more.runs.extend(theirs.runs.iter().cloned());
    }

    pub(super) fn totals(&self) -> Totals {
        let Load { amounts, pods, scans, others, ends, .. } = *self;
        Totals { amounts, pods, scans, others, ends }
    }

    /// Whether anything but fixtures runs there.
    pub fn is_used(&self) -> bool {
        self.totals().is_used()
    }

    /// How much of an extended resource is taken.
    pub fn extended(&self, resource: &str) -> u64 {
        let mut taken = self.more.iter().flat_map(|more| &more.extended);
        taken.find(|(name, _)| **name == *resource).map_or(0, |(_, amount)| *amount)
    }

    /// The ports of the node that are taken.
    pub fn ports(&self) -> &[Port] {
        self.more.as_ref().map(|more| more.ports.as_slice()).unwrap_or_default()
    }

    /// How many scans have one of the profiles in `profiles` (names with commas between).
    pub fn scans_of(&self, profiles: &str) -> usize {
        let runs = self.more.iter().flat_map(|more| &more.runs);
        runs.filter(|run| {
            *run.profiles == *profiles
                || run.profiles.split(',').any(|name| profiles.split(',').any(|wanted| wanted == name))
        })
        .count()
    }

    /// Bytes on the heap; the runs belong to their pods.
    pub(super) fn heap(&self) -> usize {
        self.more.as_ref().map_or(0, |more| {
            size_of::<MoreLoad>()
                + 2 * size_of::<usize>()
                + more.extended.capacity() * size_of::<Extended>()
                + more.ports.capacity() * size_of::<Port>()
        })
    }
}

impl Totals {
    pub fn plus(mut self, other: &Totals) -> Totals {
        self.amounts.add(&other.amounts);
        self.pods += other.pods;
        self.scans += other.scans;
        self.others += other.others;
        self.ends = self.ends.max(other.ends);
        self
    }

    pub fn is_used(&self) -> bool {
        self.scans > 0 || self.others > 0
    }
}

fn add_extended(into: &mut Vec<Extended>, resource: &Arc<str>, amount: u64) {
    match into.iter_mut().find(|(name, _)| name == resource) {
        Some((_, sum)) => *sum = sum.saturating_add(amount),
        None => into.push((Arc::clone(resource), amount)),
    }
}

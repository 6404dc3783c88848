//! The nodes and pods that jobs are placed beside.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
#[cfg(feature = "cluster")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{anyhow, bail};

use super::Arguments;
use crate::cli::{complain, complain_of, objects};
use crate::packing::{NodeSeen, PodSeen};
use crate::source::{self, Item, Wanted};

/// What is there before the jobs come.
#[derive(Default)]
pub(super) struct Cluster {
    pub nodes: Vec<NodeSeen>,
    /// Pods that take room on one of the nodes.
    pub pods: Vec<PodSeen>,
}

impl Cluster {
    pub fn of(arguments: &Arguments) -> anyhow::Result<Cluster> {
        #[cfg(feature = "cluster")]
        if arguments.cluster {
            return Cluster::ask(arguments.kubeconfig.as_deref());
        }
        Cluster::read(&arguments.paths)
    }

    #[cfg(feature = "cluster")]
    fn ask(kubeconfig: Option<&Path>) -> anyhow::Result<Cluster> {
        use crate::cluster::{ask, inventory};

        let (nodes, pods) = ask(kubeconfig, async |client| inventory::take(&client).await)?;
        if nodes.is_empty() {
            bail!("the cluster has no nodes");
        }
        Ok(Cluster { nodes, pods }.settled())
    }

    fn read(paths: &[PathBuf]) -> anyhow::Result<Cluster> {
        let found = source::find(paths);
        found.problems.iter().for_each(complain_of);
        let mut failed = !found.problems.is_empty();
        let mut cluster = Cluster::default();
        for file in &found.files {
            let text = file.text().map_err(|problem| anyhow!("{problem}"))?;
            file.documents(&text, Wanted::All, &mut |item| match item {
                Item::Document(document) => {
                    let problems = objects::problems(file, &document);
                    problems.iter().for_each(complain_of);
                    failed |= !problems.is_empty();
                    if objects::is_node(&document) {
                        cluster.nodes.extend(NodeSeen::read(&document.tree));
                    } else if objects::is_pod(&document) {
                        cluster.pods.extend(PodSeen::read(&document.tree, &[]));
                    }
                }
                Item::Problem(problem) => {
                    complain_of(&problem);
                    failed = true;
                }
                Item::Note(_) => {}
            });
        }
        if failed {
            bail!("a cluster that can be read in part only would give a wrong answer");
        }
        if cluster.nodes.is_empty() {
            bail!("there are no nodes in this input: give it what `kubectl get nodes,pods -A -o json` prints");
        }
        Ok(cluster.settled())
    }

    /// Each node and pod once, and of the pods those that count.
    fn settled(mut self) -> Cluster {
        let differ = once(&mut self.nodes, |node| Arc::clone(&node.name)) + once(&mut self.pods, |pod| pod.uid);
        if differ > 0 {
            let note = "nodes and pods that are given more than once, and not the same";
            complain("note", format_args!("{note}: {differ}; of each the last counts"));
        }
        let names: HashSet<&str> = self.nodes.iter().map(|node| &*node.name).collect();
        self.pods.retain(|pod| !pod.ended && pod.node.as_ref().is_some_and(|node| names.contains(&**node)));
        self
    }
}

/// Keeps one of each, the last that was given in the place of the first; how many were given again, and not the same.
fn once<T: PartialEq, K: Hash + Eq>(all: &mut Vec<T>, key: impl Fn(&T) -> K) -> usize {
    let (mut places, mut kept, mut differ) = (HashMap::new(), Vec::<T>::with_capacity(all.len()), 0);
    for one in all.drain(..) {
        let place = *places.entry(key(&one)).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(before) => {
                differ += usize::from(*before != one);
                *before = one;
            }
            None => kept.push(one),
        }
    }
    *all = kept;
    differ
}

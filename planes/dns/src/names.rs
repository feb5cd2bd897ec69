//! The names of a zone, found by hash, in shards: a changed zone shares with the one before it all shards but those that changed.
//!
//! A name knows how many names are right below it, so that one whose records go is removed with its empty parents without a
//! search (RFC 4592, 2.2.2: a name exists while there is one below it).

use std::hash::BuildHasher;
use std::sync::Arc;

use domain::base::Rtype;
use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use crate::name::{self, Key};
use crate::policy::Routed;

/// Names per shard, about: what a change copies (as pointers).
const PER_SHARD: usize = 128;

/// The record sets of one name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) key: Box<Key>,
    /// Names right below.
    children: u32,
    /// A handful, so a list in type order.
    pub(crate) sets: SmallVec<[(Rtype, Routed); 1]>,
}

impl Node {
    pub(crate) fn new(key: &Key, sets: SmallVec<[(Rtype, Routed); 1]>) -> Node {
        Node { key: key.into(), children: 0, sets }
    }

    /// The sets of a type.
    pub(crate) fn get(&self, rtype: Rtype) -> Option<&Routed> {
        self.sets.iter().find(|(have, _)| *have == rtype).map(|(_, routed)| routed)
    }
}

type Shard = HashTable<Arc<Node>>;

/// All names of a zone, its apex always among them.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    apex: Box<Key>,
    hasher: DefaultHashBuilder,
    /// A power of two of them.
    shards: Box<[Arc<Shard>]>,
    len: usize,
    /// Names other than the apex that have NS records.
    cuts: usize,
}

impl Names {
    /// The apex alone, with room for about so many names.
    pub(crate) fn new(apex: &Key, expected: usize) -> Names {
        let shards = (expected / PER_SHARD).next_power_of_two();
        let hasher = DefaultHashBuilder::default();
        let shards = (0..shards).map(|_| Arc::new(Shard::with_capacity(expected / shards))).collect();
        let mut names = Names { apex: apex.into(), hasher, shards, len: 0, cuts: 0 };
        names.insert(Node::new(apex, SmallVec::new()));
        names
    }

    /// Whether any name but the apex has NS records.
    pub(crate) fn has_cuts(&self) -> bool {
        self.cuts > 0
    }

    /// A name that exists.
    pub(crate) fn get(&self, key: &Key) -> Option<&Node> {
        let hash = self.hasher.hash_one(key);
        self.shard(hash).find(hash, |node| *node.key == *key).map(|node| &**node)
    }

    /// Puts a name's record sets in the place of those that it has, and makes the empty names above it.
    pub(crate) fn put(&mut self, mut node: Node) {
        debug_assert!(name::is_within(&node.key, &self.apex), "a name belongs in its zone");
        let is_apex = node.key == self.apex;
        let cut = |node: &Node| usize::from(!is_apex && node.get(Rtype::NS).is_some());
        self.cuts += cut(&node);
        if let Some(old) = self.get(&node.key) {
            let (old_cut, children) = (cut(old), old.children);
            self.cuts -= old_cut;
            node.children = children;
            self.change(&node.key.clone(), |old| *old = node);
            return;
        }
        let key = node.key.clone();
        self.insert(node);
        for parent in name::ancestors(&key).skip(1) {
            let known = self.get(parent).is_some();
            if !known {
                self.insert(Node::new(parent, SmallVec::new()));
            }
            self.change(parent, |node| node.children += 1);
            if known {
                break;
            }
        }
    }

    /// Takes a name's record sets away, and the name and those above it that exist for nothing then.
    pub(crate) fn clear(&mut self, key: &Key) {
        let Some(node) = self.get(key) else { return };
        self.cuts -= usize::from(*key != *self.apex && node.get(Rtype::NS).is_some());
        self.change(key, |node| node.sets.clear());
        let apex = self.apex.clone();
        for key in name::ancestors(key).take_while(|key| **key != *apex) {
            if self.get(key).is_none_or(|node| node.children > 0 || !node.sets.is_empty()) {
                break;
            }
            self.remove(key);
            if let Some(parent) = name::parent(key) {
                self.change(parent, |node| node.children -= 1);
            }
        }
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[self.at(hash)]
    }

    /// The lower bits of a hash choose the place in the shard, and its upper seven tell names there apart: these are between.
    fn at(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.shards.len() - 1)
    }

    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Node)) {
        let hash = self.hasher.hash_one(key);
        let at = self.at(hash);
        if let Some(node) = Arc::make_mut(&mut self.shards[at]).find_mut(hash, |node| *node.key == *key) {
            change(Arc::make_mut(node));
        }
    }

    fn insert(&mut self, node: Node) {
        if self.len >= self.shards.len() * PER_SHARD * 4 {
            self.spread();
        }
        let hasher = self.hasher.clone();
        let hash = hasher.hash_one(&*node.key);
        let at = self.at(hash);
        let shard = Arc::make_mut(&mut self.shards[at]);
        shard.insert_unique(hash, Arc::new(node), |node| hasher.hash_one(&*node.key));
        self.len += 1;
    }

    fn remove(&mut self, key: &Key) {
        let hash = self.hasher.hash_one(key);
        let at = self.at(hash);
        if let Ok(entry) = Arc::make_mut(&mut self.shards[at]).find_entry(hash, |node| *node.key == *key) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// Four times as many shards, as the zone has grown so much.
    fn spread(&mut self) {
        let count = self.shards.len() * 4;
        let old = std::mem::replace(&mut self.shards, (0..count).map(|_| Arc::new(Shard::new())).collect());
        for node in old.iter().flat_map(|shard| shard.iter()) {
            let hash = self.hasher.hash_one(&*node.key);
            let at = self.at(hash);
            let hasher = &self.hasher;
            let shard = Arc::make_mut(&mut self.shards[at]);
            shard.insert_unique(hash, Arc::clone(node), |node| hasher.hash_one(&*node.key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(text: &str) -> Box<Key> {
        name::key(&name::parse(text).expect("a name"))
    }

    proptest! {
        /// Whatever comes and goes, there are the names with records and those above them, and the counts are theirs.
        #[test]
        fn names_exist_while_they_or_names_below_have_records(steps in prop::collection::vec(("([ab]\\.){0,4}", any::<bool>()), 0..60)) {
            let mut names = Names::new(&key("example"), 0);
            let mut model: BTreeSet<Box<Key>> = BTreeSet::new();
            for (prefix, put) in steps {
                let owner = key(&format!("{prefix}example"));
                if put {
                    let routed = Routed::of_no_records();
                    names.put(Node::new(&owner, SmallVec::from_elem((Rtype::NS, routed), 1)));
                    model.insert(owner);
                } else {
                    names.clear(&owner);
                    model.remove(&owner);
                }
                let above = |owner: &Key| -> Vec<Box<Key>> {
                    name::ancestors(owner).take_while(|name| name.len() > 1).map(Box::from).collect()
                };
                let mut exist: BTreeSet<Box<Key>> = model.iter().flat_map(|owner| above(owner)).collect();
                exist.insert(key("example"));
                prop_assert_eq!(names.len, exist.len());
                prop_assert!(exist.iter().all(|name| names.get(name).is_some()));
                let cuts = model.iter().filter(|name| **name != key("example")).count();
                prop_assert_eq!(names.cuts, cuts);
            }
        }
    }

    #[test]
    fn a_changed_zone_shares_what_did_not_change() {
        let mut names = Names::new(&key("example"), 0);
        for i in 0..10_000 {
            names.put(Node::new(&key(&format!("host-{i}.example")), SmallVec::new()));
        }
        let mut changed = names.clone();
        changed.put(Node::new(&key("host-17.example"), SmallVec::from_elem((Rtype::A, Routed::of_no_records()), 1)));
        let shared = names.shards.iter().zip(&changed.shards).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, names.shards.len() - 1, "of {} shards", names.shards.len());
        assert!(names.get(&key("host-17.example")).is_some_and(|node| node.sets.is_empty()));
    }
}

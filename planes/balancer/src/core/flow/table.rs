//! The flows of datagrams: who is in one, until it has been silent for too long. Bounded: a full
//! table takes no new flow, as a balancer's does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use crate::core::health::Time;

/// Flows by their client.
#[derive(Debug)]
pub struct FlowTable<T> {
    flows: BTreeMap<SocketAddrV4, Flow<T>>,
    /// When each flow is to be looked at: a packet moves only the flow's own mark, not its place
    /// here.
    agenda: BTreeSet<(Time, SocketAddrV4)>,
    idle: Duration,
    most: usize,
}

#[derive(Debug)]
struct Flow<T> {
    value: T,
    used: Time,
    looked_at: Time,
}

/// There is no room for another flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<T> FlowTable<T> {
    /// An empty table of at most `most` flows, each of which ends when silent for `idle`.
    pub fn new(idle: Duration, most: usize) -> Self {
        Self { flows: BTreeMap::new(), agenda: BTreeSet::new(), idle, most }
    }

    /// The flow of a client, which has just said something.
    pub fn touch(&mut self, client: SocketAddrV4, now: Time) -> Option<&mut T> {
        let idle = self.idle;
        let flow = self.flows.get_mut(&client)?;
        if flow.used + idle <= now {
            // Over, though nobody has looked yet.
            return None;
        }
        flow.used = flow.used.max(now);
        Some(&mut flow.value)
    }

    /// A new flow in place of any that the client had, whose value comes back.
    ///
    /// # Errors
    /// [`Full`]
    pub fn insert(&mut self, client: SocketAddrV4, value: T, now: Time) -> Result<Option<T>, Full> {
        let old = self.remove(client);
        if self.flows.len() >= self.most {
            return Err(Full);
        }
        let looked_at = now + self.idle;
        self.agenda.insert((looked_at, client));
        self.flows.insert(client, Flow { value, used: now, looked_at });
        Ok(old)
    }

    /// Ends a flow.
    pub fn remove(&mut self, client: SocketAddrV4) -> Option<T> {
        let flow = self.flows.remove(&client)?;
        self.agenda.remove(&(flow.looked_at, client));
        Some(flow.value)
    }

    /// Ends all flows that `which` says.
    pub fn remove_where(&mut self, which: impl Fn(&T) -> bool) -> Vec<T> {
        let gone = self.flows.iter().filter(|(_, flow)| which(&flow.value)).map(|(client, _)| *client);
        let gone: Vec<_> = gone.collect();
        gone.into_iter().filter_map(|client| self.remove(client)).collect()
    }

    /// When [`FlowTable::expire`] has something to look at.
    pub fn due(&self) -> Option<Time> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Ends the flows that have been silent for too long. `used` tells when a flow was last used
    /// beside what the table saw: by its target's answers.
    pub fn expire(&mut self, now: Time, used: impl Fn(&T) -> Time) -> Vec<T> {
        let mut over = Vec::new();
        while let Some((at, client)) = self.agenda.pop_first() {
            if at > now {
                self.agenda.insert((at, client));
                break;
            }
            let Some(flow) = self.flows.get_mut(&client) else { continue };
            flow.used = flow.used.max(used(&flow.value).min(now));
            let end = flow.used + self.idle;
            if end > now {
                flow.looked_at = end;
                self.agenda.insert((end, client));
            } else if let Some(flow) = self.flows.remove(&client) {
                over.push(flow.value);
            }
        }
        over
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    const IDLE: Duration = Duration::from_secs(120);

    fn client(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), port)
    }

    fn at(seconds: u64) -> Time {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_flow_ends_when_silent_for_the_timeout_and_not_before() {
        let mut table = FlowTable::new(IDLE, 4);
        table.insert(client(1), "a", at(0)).unwrap();
        assert_eq!(table.touch(client(1), at(100)), Some(&mut "a"));
        assert!(table.expire(at(120), |_| Time::ZERO).is_empty());
        assert_eq!(table.due(), Some(at(220)));
        assert_eq!(table.expire(at(220), |_| Time::ZERO), ["a"]);
        assert!(table.is_empty());
    }

    #[test]
    fn a_targets_answers_keep_a_flow_too() {
        let mut table = FlowTable::new(IDLE, 4);
        table.insert(client(1), "a", at(0)).unwrap();
        assert!(table.expire(at(120), |_| at(60)).is_empty());
        assert_eq!(table.expire(at(180), |_| at(60)), ["a"]);
    }

    #[test]
    fn a_full_table_takes_no_new_flow_and_keeps_the_old() {
        let mut table = FlowTable::new(IDLE, 1);
        table.insert(client(1), 1, at(0)).unwrap();
        assert_eq!(table.insert(client(2), 2, at(1)), Err(Full));
        assert_eq!(table.touch(client(1), at(2)), Some(&mut 1));
        assert_eq!(table.insert(client(1), 3, at(3)), Ok(Some(1)));
    }

    proptest! {
        /// Against a model that looks at every flow every time.
        #[test]
        fn the_table_is_what_a_plain_list_says(
            steps in prop::collection::vec((0u16..12, 0u64..90, 0u8..4), 0..200), most in 1usize..8,
        ) {
            let mut table = FlowTable::new(IDLE, most);
            let mut model: BTreeMap<u16, (u64, Time)> = BTreeMap::new();
            let mut now = Time::ZERO;
            for (number, (port, passes, act)) in (0u64..).zip(steps) {
                now += Duration::from_secs(passes);
                let over = table.expire(now, |_| Time::ZERO);
                let before = model.len();
                model.retain(|_, (_, used)| *used + IDLE > now);
                prop_assert_eq!(over.len(), before - model.len());
                match act {
                    0 => {
                        let room = model.contains_key(&port) || model.len() < most;
                        prop_assert_eq!(table.insert(client(port), number, now).is_ok(), room);
                        if room {
                            model.insert(port, (number, now));
                        }
                    }
                    1 => {
                        prop_assert_eq!(table.remove(client(port)), model.remove(&port).map(|(value, _)| value));
                    }
                    _ => {
                        let known = model.get_mut(&port).map(|(value, used)| { *used = now; *value });
                        prop_assert_eq!(table.touch(client(port), now).copied(), known);
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert!(table.len() <= most);
                prop_assert_eq!(table.due().is_some(), !model.is_empty());
            }
        }
    }
}

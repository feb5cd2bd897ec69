//! What the world was asked last of each thing: so that a controller may ask for the whole desired state each time it looks. Of a zone,
//! the world is asked only for the names that changed.

use std::collections::BTreeMap;
use zonal_substrate::{Ask, Report, ZoneTable};

/// The last ask about each object that the world has, or is about to have, or has not yet said to be gone.
#[derive(Default)]
pub(crate) struct Asked {
    last: BTreeMap<(&'static str, String), Ask>,
    /// The zones, by view and name, as they come of all that was asked of them.
    zones: BTreeMap<(String, String), ZoneTable>,
}

impl Asked {
    /// Notes an ask, and gives what of it is news; nothing where it was the last thing asked of its object already.
    pub(crate) fn note(&mut self, ask: Ask) -> Option<Ask> {
        let ask = self.note_zone(ask)?;
        let object = ask.object();
        if self.last.get(&object) == Some(&ask) {
            return None;
        }
        if ask.is_final() {
            // Nothing will be heard of it again, and asking twice is harmless: remembering it would be for ever.
            self.last.remove(&object);
        } else if !matches!(ask, Ask::PutZone { .. } | Ask::PutNames { .. }) {
            self.last.insert(object, ask.clone());
        }
        Some(ask)
    }

    /// The same for zones; other asks pass. What is to be confirmed passes even where it is no news.
    fn note_zone(&mut self, ask: Ask) -> Option<Ask> {
        let (view, name, news, confirm) = match ask {
            Ask::PutZone { view, zone, confirm } => {
                let key = (view, zone.name.clone());
                let Some(known) = self.zones.get_mut(&key) else {
                    self.zones.insert(key.clone(), ZoneTable::new((*zone).clone()));
                    return Some(Ask::PutZone { view: key.0, zone, confirm });
                };
                match known.replace(*zone) {
                    Some(names) => (key.0, key.1, names, confirm),
                    None => return Some(Ask::PutZone { view: key.0, zone: Box::new(known.zone()), confirm }),
                }
            }
            Ask::PutNames { view, zone, names, confirm } => {
                let key = (view, zone);
                // One that is not known is asked for whole, by whoever has to.
                let news = self.zones.get_mut(&key)?.put(names);
                (key.0, key.1, news, confirm)
            }
            Ask::RemoveZone { view, name, confirm } => {
                let key = (view, name);
                self.zones.remove(&key);
                return Some(Ask::RemoveZone { view: key.0, name: key.1, confirm });
            }
            other => return Some(other),
        };
        let is_news = !news.is_empty() || confirm.is_some();
        is_news.then_some(Ask::PutNames { view, zone: name, names: news, confirm })
    }

    /// Forgets what the world says to be gone.
    pub(crate) fn heard(&mut self, report: &Report) {
        for object in report.gone() {
            self.last.remove(&object);
        }
    }

    /// Forgets what was asked of the things with that id, so that it is asked again.
    pub(crate) fn forget(&mut self, id: &str) {
        self.last.retain(|(_, own), _| own != id);
        self.zones.retain(|(view, name), _| {
            id.strip_prefix(view.as_str()).and_then(|rest| rest.strip_prefix(':')) != Some(name.as_str())
        });
    }

    /// Forgets all, and gives what takes it back: what uses something before what it uses.
    pub(crate) fn take_back(&mut self) -> Vec<Ask> {
        let rank = |ask: &Ask| match ask {
            Ask::RemoveSandbox(_) => 0,
            Ask::RemoveBalancer(_) => 1,
            Ask::RemoveInterface(_) => 2,
            Ask::RemoveSubnet(_) | Ask::RemoveGroup(_) => 3,
            _ => 4,
        };
        let zones = std::mem::take(&mut self.zones).into_keys();
        let zones = zones.map(|(view, name)| Ask::RemoveZone { view, name, confirm: None });
        let others = std::mem::take(&mut self.last).into_values().filter_map(|ask| ask.taken_back());
        let mut asks: Vec<Ask> = others.chain(zones).collect();
        asks.sort_by_key(rank);
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonal_substrate::dns::{RecordSet, Zone};
    use zonal_substrate::{Group, NameSets};

    fn group(id: &str) -> Ask {
        Ask::PutGroup(Group { id: id.into(), network: "vpc-1".into(), ingress: Vec::new(), egress: Vec::new() })
    }

    #[test]
    fn what_is_gone_is_not_remembered() {
        let mut asked = Asked::default();
        for i in 0..100 {
            let (group_id, interface, sandbox) = (format!("sg-{i}"), format!("eni-{i}"), format!("i-{i}"));
            assert!(asked.note(group(&group_id)).is_some() && asked.note(group(&group_id)).is_none());
            assert!(asked.note(Ask::RemoveGroup(group_id)).is_some());
            let crash = Ask::CrashSandbox { id: sandbox.clone(), generation: 1 };
            for ask in [Ask::RemoveInterface(interface.clone()), crash, Ask::RemoveSandbox(sandbox.clone())] {
                let (first, again) = (asked.note(ask.clone()), asked.note(ask.clone()));
                assert!(first.is_some() && again.is_none(), "asked once until the world answers: {ask:?}");
            }
            asked.heard(&Report::InterfaceRemoved(interface));
            asked.heard(&Report::SandboxRemoved(sandbox));
        }
        assert!(asked.last.is_empty(), "{:?}", asked.last);
    }

    fn zone(values: &[(&str, &str)]) -> Box<Zone> {
        let set = |(name, value): &(&str, &str)| set(name, value);
        Box::new(Zone { name: "a.test.".into(), overlay: false, records: values.iter().map(set).collect() })
    }

    fn set(name: &str, value: &str) -> RecordSet {
        RecordSet { name: name.into(), type_: "A".into(), values: vec![value.into()], ..RecordSet::default() }
    }

    fn put(zone: Box<Zone>, confirm: Option<u64>) -> Ask {
        Ask::PutZone { view: "public".into(), zone, confirm }
    }

    fn names(names: NameSets, confirm: Option<u64>) -> Ask {
        Ask::PutNames { view: "public".into(), zone: "a.test.".into(), names, confirm }
    }

    #[test]
    fn of_a_zone_only_the_names_that_changed_are_asked_and_a_confirmation_always() {
        let mut asked = Asked::default();
        let changed = |value| NameSets::from([("b.a.test.".to_owned(), vec![set("b.a.test.", value)])]);
        assert_eq!(asked.note(names(changed("192.0.2.9"), Some(1))), None, "it will be asked for whole");
        let first = zone(&[("a.test.", "192.0.2.1"), ("b.a.test.", "192.0.2.2")]);
        assert_eq!(asked.note(put(first.clone(), None)), Some(put(first.clone(), None)));
        assert_eq!(asked.note(put(first.clone(), None)), None);
        assert_eq!(asked.note(put(first, Some(2))), Some(names(NameSets::new(), Some(2))));
        let second = zone(&[("a.test.", "192.0.2.1"), ("b.a.test.", "192.0.2.3")]);
        assert_eq!(asked.note(put(second, None)), Some(names(changed("192.0.2.3"), None)));
        assert_eq!(asked.note(names(changed("192.0.2.3"), None)), None);
        let gone = NameSets::from([("b.a.test.".to_owned(), Vec::new())]);
        assert_eq!(asked.note(names(gone.clone(), Some(3))), Some(names(gone, Some(3))));
        asked.forget("public:a.test.");
        let whole = put(zone(&[("a.test.", "192.0.2.1")]), None);
        assert_eq!(asked.note(whole.clone()), Some(whole), "it may not have been done");
        assert_eq!(asked.take_back().len(), 1);
    }

    #[test]
    fn what_is_taken_back_goes_before_what_it_uses() {
        let mut asked = Asked::default();
        asked.note(group("sg-1"));
        asked.note(Ask::StopSandbox { id: "i-1".into(), generation: 1, force: false });
        asked.note(Ask::SetZone { zone: "us-east-1a".into(), cut: true });
        let all = asked.take_back();
        let whole = Ask::SetZone { zone: "us-east-1a".into(), cut: false };
        assert_eq!(all, [Ask::RemoveSandbox("i-1".into()), Ask::RemoveGroup("sg-1".into()), whole]);
        assert!(asked.take_back().is_empty());
    }
}

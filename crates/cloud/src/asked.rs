//! What the world was asked last of each thing: so that a controller may ask for the whole desired state each time it looks.

use std::collections::BTreeMap;
use zonal_substrate::{Ask, Report};

/// The last ask about each object that the world has, or is about to have, or has not yet said to be gone.
#[derive(Default)]
pub(crate) struct Asked {
    last: BTreeMap<(&'static str, String), Ask>,
}

impl Asked {
    /// Notes an ask; false where it was the last thing asked of its object already.
    pub(crate) fn note(&mut self, ask: &Ask) -> bool {
        let object = ask.object();
        if self.last.get(&object) == Some(ask) {
            return false;
        }
        if ask.is_final() {
            // Nothing will be heard of it again, and asking twice is harmless: remembering it would be for ever.
            self.last.remove(&object);
        } else {
            self.last.insert(object, ask.clone());
        }
        true
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
        let mut asks: Vec<Ask> =
            std::mem::take(&mut self.last).into_values().filter_map(|ask| ask.taken_back()).collect();
        asks.sort_by_key(rank);
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonal_substrate::Group;

    fn group(id: &str) -> Ask {
        Ask::PutGroup(Group { id: id.into(), network: "vpc-1".into(), ingress: Vec::new(), egress: Vec::new() })
    }

    #[test]
    fn what_is_gone_is_not_remembered() {
        let mut asked = Asked::default();
        for i in 0..100 {
            let (group_id, interface, sandbox) = (format!("sg-{i}"), format!("eni-{i}"), format!("i-{i}"));
            assert!(asked.note(&group(&group_id)) && !asked.note(&group(&group_id)));
            assert!(asked.note(&Ask::RemoveGroup(group_id)));
            let crash = Ask::CrashSandbox { id: sandbox.clone(), generation: 1 };
            for ask in [Ask::RemoveInterface(interface.clone()), crash, Ask::RemoveSandbox(sandbox.clone())] {
                assert!(asked.note(&ask) && !asked.note(&ask), "asked once until the world answers: {ask:?}");
            }
            asked.heard(&Report::InterfaceRemoved(interface));
            asked.heard(&Report::SandboxRemoved(sandbox));
        }
        assert!(asked.last.is_empty(), "{:?}", asked.last);
    }

    #[test]
    fn what_is_taken_back_goes_before_what_it_uses() {
        let mut asked = Asked::default();
        asked.note(&group("sg-1"));
        asked.note(&Ask::StopSandbox { id: "i-1".into(), generation: 1, force: false });
        asked.note(&Ask::SetZone { zone: "us-east-1a".into(), cut: true });
        let all = asked.take_back();
        let whole = Ask::SetZone { zone: "us-east-1a".into(), cut: false };
        assert_eq!(all, [Ask::RemoveSandbox("i-1".into()), Ask::RemoveGroup("sg-1".into()), whole]);
        assert!(asked.take_back().is_empty());
    }
}

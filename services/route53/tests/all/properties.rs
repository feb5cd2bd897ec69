//! Batches of changes against a model: a map from name and type to value.

use crate::bench::Bench;
use crate::records::{batch, list, set};
use crate::zones::public;
use proptest::prelude::*;
use std::collections::BTreeMap;
use zonal_route53::shapes::{ChangeAction, RRType};

const NAMES: [&str; 4] = ["example.com.", "a.example.com.", "b.a.example.com.", "\\052.example.com."];

type Model = BTreeMap<(&'static str, RRType), usize>;
type Step = (ChangeAction, &'static str, RRType, usize);

fn step() -> impl Strategy<Value = Step> {
    let action = prop::sample::select(vec![ChangeAction::Create, ChangeAction::Upsert, ChangeAction::Delete]);
    let kind = prop::sample::select(vec![RRType::A, RRType::Txt]);
    (action, prop::sample::select(NAMES.to_vec()), kind, 0usize..2)
}

fn value(kind: RRType, value: usize) -> String {
    if kind == RRType::A { format!("192.0.2.{value}") } else { format!("\"{value}\"") }
}

/// What a batch leaves; `None` where it is refused.
fn after(model: &Model, steps: &[Step]) -> Option<Model> {
    let mut next = model.clone();
    let mut last = BTreeMap::new();
    for (action, name, kind, value) in steps {
        let place = (*name, *kind);
        let before = last.insert(place, *action);
        if before.is_some_and(|before| (before, *action) != (ChangeAction::Delete, ChangeAction::Create)) {
            return None;
        }
        match action {
            ChangeAction::Create if next.contains_key(&place) => return None,
            ChangeAction::Delete if next.get(&place) != Some(value) => return None,
            ChangeAction::Delete => drop(next.remove(&place)),
            ChangeAction::Create | ChangeAction::Upsert => drop(next.insert(place, *value)),
        }
    }
    Some(next)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_batch_is_made_whole_or_not_at_all_and_served_as_listed(batches in prop::collection::vec(prop::collection::vec(step(), 1..4), 1..12)) {
        let bench = Bench::new();
        let zone = public(&bench);
        let mut model = Model::new();
        for steps in batches {
            let expected = after(&model, &steps);
            let changes = steps.iter().map(|(action, name, kind, of)| (*action, set(name, *kind, &[&value(*kind, *of)]))).collect();
            let result = batch(&bench, &zone, changes);
            prop_assert_eq!(result.is_ok(), expected.is_some(), "{:?}: {:?}", steps, result);
            model = expected.unwrap_or(model);

            let own = list(&bench, &zone).resource_record_sets.into_iter();
            let own: Vec<_> = own.filter(|set| matches!(set.type_, RRType::A | RRType::Txt)).collect();
            prop_assert_eq!(own.len(), model.len());
            for ((name, kind), of) in &model {
                let found = own.iter().find(|set| set.name == *name && set.type_ == *kind).expect("what was made is listed");
                prop_assert_eq!(&found.resource_records[0].value, &value(*kind, *of));
            }
            // With the two of the apex.
            prop_assert_eq!(bench.served("public", "example.com.").unwrap().records.len(), model.len() + 2);
        }
    }
}

//! Fills any structure with values that its facts allow.

use zonal_wire::facts::{Kind, Limits};
use zonal_wire::{Blob, Slot, Structure, Time};

/// Deeper than this only what is required is filled, so that recursive structures end.
const DEPTH: usize = 5;

/// Fills a structure; `draw` gives any number, and decides what is there and what it is.
pub fn fill(into: &mut dyn Structure, draw: &mut dyn FnMut() -> u64) {
    structure(into, draw, 0);
}

fn structure(into: &mut dyn Structure, draw: &mut dyn FnMut() -> u64, depth: usize) {
    for (index, member) in into.facts().members.iter().enumerate() {
        // Writers write an absent list as an empty one, which some may not be.
        let never_empty = match member.kind {
            Kind::List(list) => list.limits.min >= Some(1),
            _ => false,
        };
        let wanted = member.required || never_empty || (depth < DEPTH && !draw().is_multiple_of(4));
        // To lend the slot is to make the member present.
        if wanted && let Some(slot) = into.slot(index) {
            value(slot, &member.kind, draw, depth + 1);
        }
    }
}

fn value(slot: Slot<'_>, kind: &Kind, draw: &mut dyn FnMut() -> u64, depth: usize) {
    match (slot, kind) {
        (Slot::Boolean(into), _) => *into = draw().is_multiple_of(2),
        (Slot::Integer(into), Kind::Integer(limits)) => {
            let number = within(draw(), *limits, i64::from(i32::MIN), i64::from(i32::MAX));
            *into = i32::try_from(number).unwrap_or_default();
        }
        (Slot::Long(into), Kind::Long(limits)) => *into = within(draw(), *limits, i64::MIN, i64::MAX),
        (Slot::Double(into), Kind::Double(limits)) => *into = within(draw(), *limits, -1_000, 1_000) as f64,
        (Slot::String(into), Kind::String(limits)) => *into = text(draw(), *limits),
        (Slot::Enum(into), Kind::Enum(facts)) => _ = into.set(draw() as usize % facts.values.len()),
        // Milliseconds within four-digit years after the epoch: what every protocol carries.
        (Slot::Time(into), _) => *into = Time::from_millis((draw() % 4_000_000_000_000) as i64 / 125 * 125),
        (Slot::Blob(into), _) => *into = Blob(draw().to_be_bytes().to_vec()),
        (Slot::Structure(into), _) => structure(into, draw, depth),
        (Slot::List(into), Kind::List(facts)) => {
            for _ in 0..count(draw(), facts.limits) {
                value(into.push(), &facts.item, draw, depth + 1);
            }
        }
        (Slot::Map(into), Kind::Map(facts)) => {
            let wanted = count(draw(), facts.limits);
            // Drawn keys may be equal; an enum may have too few.
            for _ in 0..100 {
                if into.len() as i64 >= wanted {
                    break;
                }
                let key = match &facts.key {
                    Kind::Enum(facts) => facts.values[draw() as usize % facts.values.len()].to_owned(),
                    Kind::String(limits) => text(draw(), *limits),
                    _ => draw().to_string(),
                };
                value(into.entry(key), &facts.value, draw, depth + 1);
            }
        }
        _ => {}
    }
}

fn within(drawn: u64, limits: Limits, min: i64, max: i64) -> i64 {
    let (min, max) = (i128::from(limits.min.unwrap_or(min)), i128::from(limits.max.unwrap_or(max)));
    // In the range of two i64s by construction.
    i64::try_from(min + i128::from(drawn) % (max - min + 1)).unwrap_or_default()
}

fn count(drawn: u64, limits: Limits) -> i64 {
    let least = limits.min.unwrap_or(1).max(1);
    (least + (drawn % 3) as i64).min(limits.max.unwrap_or(i64::MAX))
}

/// Text with what protocols must escape in it.
fn text(drawn: u64, limits: Limits) -> String {
    let (min, max) = (limits.min.unwrap_or(0).max(0) as usize, limits.max.unwrap_or(40).clamp(0, 60) as usize);
    let base = format!("{drawn}é&<>'\"+%/= x;\n€𝄞,\\");
    let length = (drawn as usize % 40).clamp(min, max.max(min));
    base.chars().cycle().skip(drawn as usize % 20).take(length).collect()
}

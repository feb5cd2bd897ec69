//! The table of a lab for a terminal: phases down, figures across, below each what AWS
//! leads one to expect (with a mark where it came otherwise), then a line each that says what the figures show.

use crate::compare::Agreement;
use crate::report::{circumstances, expected, name, say};
use crate::runner::{LabResult, PhaseResult};
use crate::spec::Figure;
use std::fmt::Write as _;

/// The figures across.
const COLUMNS: [(&str, Figure); 5] = [
    ("deploy", Figure::Deploy),
    ("available", Figure::Availability),
    ("longest outage", Figure::Outage),
    ("lost by code", Figure::Lost),
    ("healed after", Figure::Heal),
];

/// The whole table.
pub fn text(result: &LabResult, agreements: &[Agreement]) -> String {
    let mut rows = vec![vec!["phase".to_owned()]];
    rows[0].extend(COLUMNS.iter().map(|(head, _)| (*head).to_owned()));
    for phase in &result.phases {
        let mut row = vec![phase.number.to_string()];
        row.extend(COLUMNS.iter().map(|&(_, figure)| say(phase, figure)));
        rows.push(row);
        let mut aws = vec!["  AWS".to_owned()];
        aws.extend(COLUMNS.iter().map(|&(_, figure)| match expected(phase, figure) {
            (text, Some(false)) => format!("{text} (!)"),
            (text, _) => text,
        }));
        rows.push(aws);
    }
    let mut out = format!("{}\n{}\n\n", result.title, circumstances(result));
    align(&mut out, &rows);
    // Writing to a string cannot fail, so the results of `writeln!` here mean nothing.
    for phase in &result.phases {
        let _ = writeln!(out, "\n{} {}\n  {}", phase.number, phase.title, phase.sentence);
        expectations(&mut out, phase);
        if let Some(one) = agreements.iter().find(|one| one.phase == phase.number) {
            let word = if one.agrees { "agree" } else { "DIFFER" };
            let _ = writeln!(out, "  real and virtual {word} ({})\n    virtual: {}", one.rule, one.modelled);
        }
    }
    out
}

fn expectations(out: &mut String, phase: &PhaseResult) {
    if phase.verdict != phase.expected {
        let _ = writeln!(out, "  NOT AS DOCUMENTED: {:?} here, {:?} on AWS", phase.verdict, phase.expected);
    }
    for judged in &phase.expectations {
        let sign = match judged.met {
            Some(true) => "ok",
            Some(false) => "NO",
            None => "  ",
        };
        let expectation = &judged.expectation;
        let _ = writeln!(out, "  {sign} {}: {} [{}]", name(expectation.figure), expectation.text, expectation.source);
    }
}

fn align(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}   ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

//! Draws a timeline as SVG: requests answered and lost per second, the clients that
//! were down, the instances in service, and marks for what happened.

use crate::report::escape;
use crate::time::human;
use crate::timeline::{Mark, Timeline};
use crate::world::EventKind;
use std::fmt::Write as _;
use std::time::Duration;

/// Width of the drawing, and of the column on its left that holds the scales.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
/// Heights: of labels on top, of each band, of the gap between bands, of the lane of marks, of the axis.
const TOP: f64 = 38.0;
const REQUESTS: f64 = 120.0;
const BAND: f64 = 46.0;
const GAP: f64 = 12.0;
const LANE: f64 = 18.0;
const AXIS: f64 = 22.0;
/// More marks than this in a lane are unreadable, and only listed.
const MAX_DRAWN: usize = 400;

/// The drawing; `clients` is how many there were, `label` what a screen reader says.
pub(crate) fn timeline(timeline: &Timeline, clients: u32, label: &str) -> String {
    let mut y = TOP;
    let mut body = String::new();
    requests(&mut body, timeline, y);
    y += REQUESTS + GAP;
    down(&mut body, timeline, clients, y);
    y += BAND + GAP;
    if !timeline.in_service.is_empty() {
        in_service(&mut body, timeline, y);
        y += BAND + GAP;
    }
    marks(&mut body, timeline, y);
    y += LANE;
    axis(&mut body, timeline, y);
    y += AXIS;
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {y:.0}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">\n{body}</svg>\n",
        escape(label)
    )
}

fn x(timeline: &Timeline, at: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * at / timeline.length().max(1.0)
}

/// Writing to a string cannot fail, so the results of `write!` here mean nothing.
fn requests(out: &mut String, timeline: &Timeline, y: f64) {
    let all: Vec<u32> = timeline.ok.iter().zip(&timeline.lost).map(|(ok, lost)| ok + lost).collect();
    let most = all.iter().copied().max().unwrap_or(0).max(1);
    let per_second = f64::from(most) / f64::from(timeline.part.max(1));
    scale(out, y, REQUESTS, "requests/s", &format!("{per_second:.1}"));
    bars(out, timeline, &all, most, (y, REQUESTS), "lost");
    bars(out, timeline, &timeline.ok, most, (y, REQUESTS), "ok");
}

fn down(out: &mut String, timeline: &Timeline, clients: u32, y: f64) {
    scale(out, y, BAND, "clients down", &format!("{clients}"));
    bars(out, timeline, &timeline.down, clients.max(1), (y, BAND), "lost");
}

/// One path for a whole band: a step for each part.
fn bars(out: &mut String, timeline: &Timeline, values: &[u32], most: u32, (y, height): (f64, f64), class: &str) {
    let base = y + height;
    let mut path = format!("M{LEFT:.1} {base:.1}");
    for (index, &value) in values.iter().enumerate() {
        let top = base - height * f64::from(value.min(most)) / f64::from(most);
        let (from, to) = (index as f64 * f64::from(timeline.part), (index + 1) as f64 * f64::from(timeline.part));
        let _ = write!(path, "L{:.1} {top:.1}L{:.1} {top:.1}", x(timeline, from), x(timeline, to));
    }
    let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}L{:.1} {base:.1}Z\"/>", x(timeline, timeline.length()));
}

fn in_service(out: &mut String, timeline: &Timeline, y: f64) {
    let most = timeline.in_service.iter().map(|&(_, n)| n).max().unwrap_or(0).max(1);
    scale(out, y, BAND, "in service", &format!("{most}"));
    let level = |n: u32| y + BAND - BAND * f64::from(n) / f64::from(most);
    let before = timeline.in_service.iter().rev().find(|&&(at, _)| at <= 0.0).map_or(0, |&(_, n)| n);
    let mut path = format!("M{LEFT:.1} {:.1}", level(before));
    for &(at, n) in timeline.in_service.iter().filter(|&&(at, _)| at > 0.0 && at <= timeline.length()) {
        let _ = write!(path, "H{:.1}V{:.1}", x(timeline, at), level(n));
    }
    let _ = writeln!(out, "<path class=\"line\" d=\"{path}H{:.1}\"/>", x(timeline, timeline.length()));
}

fn scale(out: &mut String, y: f64, height: f64, name: &str, most: &str) {
    let (edge, base) = (LEFT - 6.0, y + height);
    let _ = writeln!(
        out,
        "<line class=\"rule\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{base:.1}\" y2=\"{base:.1}\"/>\
         <text x=\"{edge:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <text x=\"{edge:.1}\" y=\"{base:.1}\" text-anchor=\"end\">0</text>\
         <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        WIDTH - RIGHT,
        y + 9.0,
        escape(most),
        LEFT + 4.0,
        y + 9.0,
        escape(name),
    );
}

fn marks(out: &mut String, timeline: &Timeline, y: f64) {
    let inside = timeline.marks.iter().filter(|mark| mark.at >= 0.0 && mark.at <= timeline.length());
    let (faults, others): (Vec<&Mark>, Vec<&Mark>) = inside.partition(|mark| mark.kind == EventKind::Fault);
    for (index, mark) in faults.iter().enumerate() {
        let at = x(timeline, mark.at);
        // Labels alternate between two rows, and turn round before the right edge.
        let row = 12.0 + 14.0 * (index % 2) as f64;
        let (dx, anchor) = if at > WIDTH * 0.6 { (-4.0, "end") } else { (4.0, "start") };
        let _ = writeln!(
            out,
            "<g><title>{} {}</title><line class=\"fault\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"fault\" x=\"{:.1}\" y=\"{row:.1}\" text-anchor=\"{anchor}\">{}</text></g>",
            clock(mark.at),
            escape(&mark.text),
            row - 9.0,
            at + dx,
            escape(&shorten(&mark.text)),
        );
    }
    let middle = y + LANE / 2.0;
    for mark in others.iter().take(MAX_DRAWN) {
        let at = x(timeline, mark.at);
        let shape = match mark.kind {
            EventKind::Health => {
                format!("<circle class=\"health\" cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"4\"/>")
            }
            EventKind::Scaling => format!("<path class=\"scaling\" d=\"M{at:.1} {:.1}l5 9h-10z\"/>", middle - 5.0),
            EventKind::Stack | EventKind::Fault | EventKind::InService(_) => {
                format!(
                    "<rect class=\"stack\" x=\"{:.1}\" y=\"{:.1}\" width=\"6\" height=\"6\"/>",
                    at - 3.0,
                    middle - 3.0
                )
            }
        };
        let _ = writeln!(
            out,
            "<g><title>{} {}: {}</title>{shape}</g>",
            clock(mark.at),
            escape(&mark.resource),
            escape(&mark.text)
        );
    }
}

fn axis(out: &mut String, timeline: &Timeline, y: f64) {
    let length = timeline.length();
    let step = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0]
        .into_iter()
        .find(|step| length / step <= 10.0)
        .unwrap_or(length);
    let mut at = 0.0;
    while at <= length {
        let place = x(timeline, at);
        let anchor = if at + step > length && place > WIDTH - 40.0 { "end" } else { "middle" };
        let _ =
            writeln!(out, "<text x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>", y + 15.0, clock(at));
        at += step;
    }
}

/// A moment since the load's start.
pub(crate) fn clock(at: f64) -> String {
    let text = human(Duration::try_from_secs_f64(at.abs()).unwrap_or(Duration::MAX));
    match () {
        () if at < -0.0005 => format!("\u{2212}{text}"),
        () if at < 0.0005 => "0".into(),
        () => text,
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into(),
    }
}

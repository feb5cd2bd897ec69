//! The HTML report: one file that needs no other, readable without scripts. What
//! comes from a world, such as names and reasons, is escaped.

use crate::compare::Agreement;
use crate::measure::Healing;
use crate::runner::{Judged, LabResult, PhaseResult};
use crate::spec::Figure;
use crate::svg;
use crate::time::human;
use crate::world::{EventKind, WorldKind};
use std::fmt::Write as _;
use std::time::Duration;

/// The report's colours are the documentation's of the architectures: #FF9900, #232F3E, #4B92DB.
const STYLE: &str = "
:root{--orange:#FF9900;--ink:#232F3E;--blue:#4B92DB}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;color:var(--ink);background:#fff}
header,main,footer{padding:1.2rem max(1rem,calc(50vw - 34rem))}
header{background:var(--ink);color:#fff;border-bottom:4px solid var(--orange)}
h1{margin:0;font-size:1.7rem}
header p{margin:.3rem 0 0;opacity:.85}
h2{margin:2.6rem 0 .2rem;font-size:1.25rem}
h2 b{color:var(--orange)}
.limit{margin:0 0 .6rem;opacity:.75}
.verdict{border-left:4px solid var(--blue);padding:.5rem .9rem;background:#4B92DB14;margin:.6rem 0 1rem}
.verdict.differs{border-color:var(--orange);background:#FF990018}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid #232F3E22}
thead th{border-bottom:2px solid var(--ink);white-space:nowrap}
td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
small,.source{opacity:.7;font-size:.85em}
svg{width:100%;height:auto;display:block;margin:.6rem 0}
svg text{font-size:11px;fill:var(--ink)}
svg text.name{opacity:.6}
svg .ok{fill:var(--blue)}
svg .lost,svg text.fault{fill:var(--orange)}
svg text.fault{fill:var(--ink);font-weight:600}
svg line.fault{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 3}
svg .rule{stroke:#232F3E44}
svg .line{fill:none;stroke:var(--ink);stroke-width:2}
svg .health{fill:var(--orange)}
svg .scaling{fill:var(--ink)}
svg .stack{fill:var(--blue)}
.key{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;font-size:.85rem}
.key span::before{content:'';display:inline-block;width:.8em;height:.8em;margin-right:.4em;background:var(--c)}
.yes::before{content:'\\2713  ';color:var(--blue);font-weight:700}
.no::before{content:'\\2717  ';color:var(--orange);font-weight:700}
details{margin:.8rem 0}summary{cursor:pointer}
footer{font-size:.85rem;opacity:.8}
";

/// The whole report. `agreements` compare the result with one of the other world, where there is one.
pub fn html(result: &LabResult, agreements: &[Agreement]) -> String {
    let mut out = String::new();
    let title = escape(&result.title);
    // Writing to a string cannot fail, so the results of `write!` in this file mean nothing.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}: lab report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1><p>{}</p></header>\n<main>\n",
        escape(&circumstances(result)),
    );
    summary(&mut out, result);
    if !agreements.is_empty() {
        comparison(&mut out, agreements);
    }
    for one in &result.phases {
        phase(&mut out, one);
    }
    out.push_str(
        "</main>\n<footer>Times are virtual. An outage lasts from the moment when a client wanted what it did \
        not get to its next answer. A service has healed from the moment on from which every request was answered. \
        Latencies count from when a request was wanted, not from when it was sent.</footer>\n</body>\n</html>\n",
    );
    out
}

/// Where the figures come from; every figure is read with this.
pub fn circumstances(result: &LabResult) -> String {
    let kind = match result.world {
        WorldKind::Real => "real processes and packets",
        WorldKind::Virtual => "virtual: modelled, not run",
    };
    let speeds: Vec<String> = result.phases.iter().map(|p| format!("{}×", p.speed)).collect();
    format!(
        "{kind} · pace {} · seed {} · speed {}× while deploying, {} under load",
        result.pace,
        result.seed,
        result.deploy_speed,
        speeds.join(", ")
    )
}

fn summary(out: &mut String, result: &LabResult) {
    out.push_str(
        "<h2>What the clients saw</h2>\n<div class=\"wide\"><table><thead><tr><th>Phase</th><th>Deployed in</th>\
         <th>Availability</th><th>Longest outage</th><th>Lost, by code</th><th>Healed after</th><th>As AWS?</th></tr></thead><tbody>\n",
    );
    for phase in &result.phases {
        let columns = [Figure::Deploy, Figure::Availability, Figure::Outage, Figure::Lost, Figure::Heal];
        let cells: String = columns.map(|of| cell(phase, of)).concat();
        let as_aws = match phase.verdict == phase.expected {
            true => "<span class=\"yes\">as documented</span>",
            false => "<span class=\"no\">differs</span>",
        };
        let _ = writeln!(
            out,
            "<tr><td><b>{}</b> {}</td>{cells}<td>{as_aws}</td></tr>",
            phase.number,
            escape(&phase.title),
        );
    }
    out.push_str("</tbody></table></div>\n");
}

/// A figure for people, escaped.
fn figure(phase: &PhaseResult, figure: Figure) -> String {
    escape(&say(phase, figure))
}

/// A cell of the summary: the figure, and below it what AWS leads one to expect.
fn cell(phase: &PhaseResult, of: Figure) -> String {
    let (text, met) = expected(phase, of);
    let class = met_class(met);
    let (here, text) = (figure(phase, of), escape(&text));
    format!("<td>{here}<br><small{class}>AWS: {text}</small></td>")
}

fn met_class(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => " class=\"yes\"",
        Some(false) => " class=\"no\"",
        None => "",
    }
}

/// A figure for people.
pub(crate) fn say(phase: &PhaseResult, figure: Figure) -> String {
    let figures = &phase.figures;
    match figure {
        Figure::Deploy => human(figures.deploy),
        Figure::Availability => percent(figures.availability()),
        Figure::Outage if figures.lost == 0 => "none".into(),
        Figure::Outage if figures.outage_open => format!("{}, to the end", human(figures.outage)),
        Figure::Outage => human(figures.outage),
        Figure::Lost if figures.lost == 0 => "none".into(),
        Figure::Lost => {
            let each: Vec<String> = figures.lost_by.iter().map(|(how, n)| format!("{n} × {how}")).collect();
            format!("{} of {}", each.join(", "), figures.requests)
        }
        Figure::Heal => match figures.worst().map(|recovery| recovery.healing) {
            None => "nothing broken".into(),
            Some(Healing::Unharmed) => "unharmed".into(),
            Some(Healing::Healed { after }) => human(after),
            Some(Healing::Down { watched }) => format!("not within {}", human(watched)),
        },
        Figure::Capacity => match figures.capacity {
            Some(capacity) => format!("{} → {} → {}", capacity.first, capacity.most, capacity.last),
            None => "no group".into(),
        },
    }
}

/// What AWS leads one to expect of a figure, in short, and whether it came so, where that can be told.
pub(crate) fn expected(phase: &PhaseResult, figure: Figure) -> (String, Option<bool>) {
    let of_figure = |judged: &&Judged| judged.expectation.figure == figure;
    let Some(Judged { expectation, met }) = phase.expectations.iter().find(of_figure) else {
        return ("no figure".into(), None);
    };
    let say = |bound: f64| match figure {
        Figure::Deploy | Figure::Outage | Figure::Heal => {
            human(Duration::try_from_secs_f64(bound).unwrap_or(Duration::MAX))
        }
        Figure::Availability => format!("{:.0} %", bound * 100.0),
        Figure::Lost | Figure::Capacity => format!("{bound:.0}"),
    };
    let bounds = match (expectation.at_least, expectation.at_most) {
        (Some(least), Some(most)) => format!("{} to {}", say(least), say(most)),
        (Some(least), None) => format!("at least {}", say(least)),
        (None, Some(most)) => format!("at most {}", say(most)),
        (None, None) => "no figure".into(),
    };
    (expectation.short.clone().unwrap_or(bounds), *met)
}

/// A share with as many nines as it has.
fn percent(share: f64) -> String {
    match share {
        1.0 => "100 %".into(),
        // Rounding must not turn a loss into none.
        share if share > 0.9999 => "99.99 %".into(),
        share => format!("{:.2} %", share * 100.0),
    }
}

fn comparison(out: &mut String, agreements: &[Agreement]) {
    out.push_str(
        "<h2>Beside the other world</h2>\n<div class=\"wide\"><table><thead><tr><th>Phase</th><th>Real</th><th>Virtual</th>\
         <th>Agree?</th></tr></thead><tbody>\n",
    );
    for one in agreements {
        let (class, word) = if one.agrees { ("yes", "they agree") } else { ("no", "they differ") };
        let _ = writeln!(
            out,
            "<tr><td><b>{}</b></td><td>{}</td><td>{}</td><td><span class=\"{class}\">{word}</span> <small>{}</small></td></tr>",
            one.phase,
            escape(&one.real),
            escape(&one.modelled),
            escape(&one.rule)
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn phase(out: &mut String, phase: &PhaseResult) {
    let differs = if phase.verdict == phase.expected { "" } else { " differs" };
    let _ = write!(
        out,
        "<section>\n<h2><b>Phase {}</b> {}</h2>\n<p class=\"limit\">{}</p>\n<p class=\"verdict{differs}\">{}</p>\n",
        phase.number,
        escape(&phase.title),
        escape(&phase.limit),
        escape(&phase.sentence)
    );
    let label =
        format!("Phase {}: requests and clients over {}. {}", phase.number, human(phase.duration), phase.sentence);
    out.push_str(&svg::timeline(&phase.timeline, phase.figures.clients, &label));
    out.push_str(
        "<p class=\"key\"><span style=\"--c:#4B92DB\">answered, or a stack event (square)</span>\
         <span style=\"--c:#FF9900\">lost, down, or a change of health (dot)</span>\
         <span style=\"--c:#232F3E\">in service, or a scaling activity (triangle)</span></p>\n",
    );
    let f = &phase.figures;
    let waited = [f.p50, f.p99, f.slowest].map(|span| span.map_or("–".into(), human));
    let _ = writeln!(
        out,
        "<p>{} requests of {} clients; {} of them lost something. Answers took {} (half), {} (99 %), {} (the slowest). \
         First answer {} after the call. Speed {}×.</p>",
        f.requests,
        f.clients,
        f.clients_hit,
        waited[0],
        waited[1],
        waited[2],
        human(f.first_answer),
        phase.speed,
    );
    expectations(out, phase);
    events(out, phase);
    out.push_str("</section>\n");
}

fn expectations(out: &mut String, phase: &PhaseResult) {
    if phase.expectations.is_empty() {
        return;
    }
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Figure</th><th>Here</th><th>What AWS’s documentation leads one to expect</th></tr></thead><tbody>\n",
    );
    for Judged { expectation, met } in &phase.expectations {
        let class = met_class(*met);
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td><span{class}>{}</span><br><span class=\"source\">{}</span></td></tr>",
            name(expectation.figure),
            figure(phase, expectation.figure),
            escape(&expectation.text),
            escape(&expectation.source)
        );
    }
    out.push_str("</tbody></table></div>\n");
}

/// A figure's name for people.
pub(crate) fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::Deploy => "time to deploy",
        Figure::Availability => "availability",
        Figure::Outage => "longest outage",
        Figure::Lost => "requests lost",
        Figure::Heal => "time to heal",
        Figure::Capacity => "instances in service",
    }
}

fn events(out: &mut String, phase: &PhaseResult) {
    if phase.timeline.marks.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<details><summary>What happened ({} events)</summary><div class=\"wide\"><table><tbody>",
        phase.timeline.marks.len()
    );
    for mark in &phase.timeline.marks {
        let kind = match mark.kind {
            EventKind::Fault => "fault",
            EventKind::Health => "health",
            EventKind::Scaling => "scaling",
            EventKind::Stack => "stack",
            EventKind::InService(_) => "in service",
        };
        let _ = writeln!(
            out,
            "<tr><td class=\"n\">{}</td><td>{kind}</td><td>{}</td><td>{}</td></tr>",
            svg::clock(mark.at),
            escape(&mark.resource),
            escape(&mark.text)
        );
    }
    out.push_str("</tbody></table></div></details>\n");
}

/// Text as HTML and SVG want it, in content and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters are not allowed in a document.
            c if c.is_control() && c != '\n' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

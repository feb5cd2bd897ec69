//! Reads `lab.toml`. What is wrong in it is reported with its line: the file's own
//! words are read first, with their places, and then made into a [`LabSpec`].

use crate::error::LabError;
use crate::spec::{Expectation, Fault, FaultKind, Figure, LabSpec, LoadSpec, PhaseSpec, Target, Victim};
use crate::time::{human, parse_span};
use crate::verdict::Verdict;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

impl LabSpec {
    /// Reads a lab's file; templates are found beside it.
    ///
    /// # Errors
    /// [`LabError::Read`], or [`LabError::Spec`] with the line.
    pub fn load(path: &Path) -> Result<LabSpec, LabError> {
        let text = std::fs::read_to_string(path).map_err(|source| LabError::Read { path: path.into(), source })?;
        LabSpec::parse(&text, path)
    }

    /// The same from text; `path` is where templates are found, and what errors name.
    ///
    /// # Errors
    /// [`LabError::Spec`] with the line.
    pub fn parse(text: &str, path: &Path) -> Result<LabSpec, LabError> {
        let fail = |offset: usize, message: String| LabError::Spec {
            path: path.into(),
            line: text.get(..offset).unwrap_or(text).matches('\n').count() + 1,
            message,
        };
        let raw: RawLab =
            toml::from_str(text).map_err(|e| fail(e.span().map_or(0, |span| span.start), e.message().to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut phases: Vec<PhaseSpec> = Vec::new();
        for phase in raw.phase {
            let (start, number) = (phase.span().start, phase.get_ref().number);
            if phases.iter().any(|p| p.number == number) {
                return Err(fail(start, format!("phase {number} is there twice")));
            }
            phases.push(phase.into_inner().check(folder).map_err(|(at, message)| fail(at.unwrap_or(start), message))?);
        }
        if phases.is_empty() {
            return Err(fail(0, "a lab needs a [[phase]]".into()));
        }
        Ok(LabSpec {
            name: raw.name,
            title: raw.title,
            seed: raw.seed,
            deploy_speed: check_speed(&raw.deploy_speed).map_err(|(at, m)| fail(at.unwrap_or(0), m))?,
            teardown_speed: check_speed(&raw.teardown_speed).map_err(|(at, m)| fail(at.unwrap_or(0), m))?,
            phases,
        })
    }
}

/// A mistake: where in the text, if not just somewhere in the phase, and what.
type Mistake = (Option<usize>, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLab {
    name: String,
    title: String,
    #[serde(default)]
    seed: u64,
    deploy_speed: Spanned<u32>,
    teardown_speed: Spanned<u32>,
    #[serde(default)]
    phase: Vec<Spanned<RawPhase>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPhase {
    number: u32,
    title: String,
    limit: String,
    template: PathBuf,
    update_of: Option<PathBuf>,
    stack: String,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    speed: Spanned<u32>,
    duration: Spanned<String>,
    load: Spanned<RawLoad>,
    #[serde(default)]
    fault: Vec<Spanned<RawFault>>,
    #[serde(default)]
    expect: Vec<Spanned<RawExpect>>,
    shows: Verdict,
    interval: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLoad {
    rate: f64,
    clients: u32,
    name: Option<String>,
    outputs: Option<Vec<String>>,
    #[serde(default = "http_port")]
    port: u16,
    #[serde(default = "root_path")]
    path: String,
    timeout: Spanned<String>,
    idle: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    at: Spanned<String>,
    kind: RawKind,
    instance: Option<String>,
    number: Option<u32>,
    zone: Option<String>,
    span: Option<Spanned<String>>,
    template: Option<PathBuf>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    factor: Option<f64>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum RawKind {
    KillInstance,
    CutZone,
    Update,
    Repair,
    Load,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    figure: Figure,
    text: String,
    short: Option<String>,
    source: String,
    at_least: Option<String>,
    at_most: Option<String>,
}

fn http_port() -> u16 {
    80
}

fn root_path() -> String {
    "/".into()
}

fn span(text: &Spanned<String>) -> Result<Duration, Mistake> {
    parse_span(text.get_ref()).ok_or_else(|| {
        (Some(text.span().start), format!("{:?} is no span of time; write 90s, 5m or 1h", text.get_ref()))
    })
}

fn check_speed(speed: &Spanned<u32>) -> Result<u32, Mistake> {
    match *speed.get_ref() {
        speed @ 1..=10_000 => Ok(speed),
        _ => Err((Some(speed.span().start), "a speed is from 1 to 10000".into())),
    }
}

impl RawPhase {
    fn check(self, folder: &Path) -> Result<PhaseSpec, Mistake> {
        let duration = span(&self.duration)?;
        let template = folder.join(&self.template);
        let mut faults = Vec::new();
        for fault in self.fault {
            let at = fault.span().start;
            let fault = fault.into_inner().check(folder, &template).map_err(|(inner, m)| (inner.or(Some(at)), m))?;
            if fault.at >= duration {
                return Err((Some(at), format!("at {} the load is already over", human(fault.at))));
            }
            faults.push(fault);
        }
        faults.sort_by_key(|fault| fault.at);
        let load_at = self.load.span().start;
        Ok(PhaseSpec {
            number: self.number,
            title: self.title,
            limit: self.limit,
            update_of: self.update_of.map(|path| folder.join(path)),
            stack: self.stack,
            parameters: self.parameters,
            speed: check_speed(&self.speed)?,
            duration,
            load: self.load.into_inner().check().map_err(|(inner, m)| (inner.or(Some(load_at)), m))?,
            faults,
            expect: self.expect.into_iter().map(check_expect).collect::<Result<_, _>>()?,
            shows: self.shows,
            interval: self.interval.as_ref().map(span).transpose()?,
            template,
        })
    }
}

impl RawLoad {
    fn check(self) -> Result<LoadSpec, Mistake> {
        let target = match (self.name, self.outputs) {
            (Some(name), None) if !name.is_empty() => Target::Name(name),
            (None, Some(outputs)) if !outputs.is_empty() => Target::Outputs(outputs),
            _ => return Err((None, "a load needs either a name or outputs".into())),
        };
        if !(self.rate > 0.0 && self.rate <= 100_000.0) {
            return Err((None, "rate must be more than 0 requests a second, and at most 100000".into()));
        }
        if !(1..=100_000).contains(&self.clients) {
            return Err((None, "clients must be from 1 to 100000".into()));
        }
        // The path becomes part of a request line.
        if !self.path.starts_with('/') || self.path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err((None, format!("{:?} is no path", self.path)));
        }
        Ok(LoadSpec {
            rate: self.rate,
            clients: self.clients,
            target,
            port: self.port,
            path: self.path,
            timeout: span(&self.timeout)?,
            idle: self.idle.as_ref().map(span).transpose()?,
        })
    }
}

impl RawFault {
    fn check(self, folder: &Path, phase_template: &Path) -> Result<Fault, Mistake> {
        let missing = |what: &str| (None, format!("this fault needs {what}"));
        let kind = match self.kind {
            RawKind::KillInstance => FaultKind::KillInstance(match (self.instance, self.number) {
                (Some(name), None) => Victim::Logical(name),
                (None, Some(number)) if number > 0 => Victim::Number(number),
                _ => return Err(missing("either an instance or a number from 1")),
            }),
            RawKind::CutZone => FaultKind::CutZone {
                zone: self.zone.ok_or_else(|| missing("a zone"))?,
                span: span(&self.span.ok_or_else(|| missing("a span"))?)?,
            },
            RawKind::Update | RawKind::Repair => FaultKind::Update {
                template: self.template.map_or_else(|| phase_template.into(), |path| folder.join(path)),
                parameters: self.parameters,
                mends: matches!(self.kind, RawKind::Repair),
            },
            RawKind::Load => match self.factor {
                Some(factor) if factor > 0.0 && factor <= 1000.0 => FaultKind::Load(factor),
                _ => return Err(missing("a factor above 0, and at most 1000")),
            },
        };
        Ok(Fault { at: span(&self.at)?, kind })
    }
}

fn check_expect(raw: Spanned<RawExpect>) -> Result<Expectation, Mistake> {
    let (at, raw) = (raw.span().start, raw.into_inner());
    let bound = |text: Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let value = match raw.figure {
            Figure::Deploy | Figure::Outage | Figure::Heal => parse_span(&text).map(|span| span.as_secs_f64()),
            Figure::Availability => text.strip_suffix('%').and_then(|n| n.parse::<f64>().ok()).map(|n| n / 100.0),
            Figure::Lost | Figure::Capacity => text.parse::<u32>().ok().map(f64::from),
        };
        value.map(Some).ok_or_else(|| (Some(at), format!("{text:?} is no bound for this figure")))
    };
    let (at_least, at_most) = (bound(raw.at_least)?, bound(raw.at_most)?);
    Ok(Expectation { figure: raw.figure, text: raw.text, short: raw.short, source: raw.source, at_least, at_most })
}

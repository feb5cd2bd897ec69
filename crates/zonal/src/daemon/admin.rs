//! Our own paths: health, reset, calls, and what `zonal break` does. What `zonal status` shows is `status`'s.

use crate::daemon::{Daemon, serve, status};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zonal_cloud::{Clock, Cloud, Scope};
use zonal_ec2::faults;
use zonal_ec2::model::{Instance, ZoneOutage};
use zonal_wire::door::RequestHead;
use zonal_wire::{AwsError, Time};

/// What is to be broken, or mended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Break {
    /// An instance's machine dies.
    Instance {
        /// `i-…`.
        id: String,
    },
    /// A zone is cut off.
    Zone {
        /// Its name.
        zone: String,
        /// For how long, virtual seconds; until mended, without.
        seconds: Option<f64>,
    },
    /// A zone is mended.
    MendZone {
        /// Its name.
        zone: String,
    },
}

/// An operation, called by member names: how the lab calls without a client library.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// The region.
    pub region: String,
    /// The service's name among ours.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// Its input.
    pub input: serde_json::Value,
}

/// Answers a request to one of our own paths; `None` for any other.
pub async fn answer(daemon: &Arc<Daemon>, head: &RequestHead, body: &[u8]) -> Option<Response<Full<Bytes>>> {
    let answer = match (&head.method, head.path()) {
        (&Method::GET, "/_zonal/health" | "/_localstack/health") => health(daemon),
        (&Method::GET, "/_zonal/status") => json_answer(StatusCode::OK, &status::of(daemon)),
        (&Method::GET, path) if path.starts_with(CONSOLE) => console(daemon, &path[CONSOLE.len()..]).await,
        (&Method::POST, "/_zonal/reset") => match off_thread(daemon, |daemon| daemon.cloud.reset()).await {
            Ok(Ok(())) => json_answer(StatusCode::OK, &json!({})),
            Ok(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        (&Method::POST, "/_zonal/break") => match serde_json::from_slice::<Break>(body) {
            Ok(what) => match break_it(&daemon.cloud, &what) {
                Ok(done) => json_answer(StatusCode::OK, &done.json()),
                Err(error) => problem(StatusCode::BAD_REQUEST, &error.message),
            },
            Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (&Method::POST, "/_zonal/speed") => {
            match std::str::from_utf8(body).ok().and_then(|text| text.trim().parse::<u32>().ok()) {
                Some(speed) if (1..=10_000).contains(&speed) => {
                    daemon.clock.set_speed(speed);
                    daemon.world.ask(vec![zonal_substrate::Ask::SetSpeed(speed)]);
                    json_answer(StatusCode::OK, &json!({ "speed": speed, "micros": daemon.clock.now().0 }))
                }
                _ => problem(StatusCode::BAD_REQUEST, "The body is a speed from 1 to 10000."),
            }
        }
        (&Method::POST, "/_zonal/call") => match serde_json::from_slice::<Call>(body) {
            Ok(call) => {
                let scope = Scope::new(zonal_cloud::DEFAULT_ACCOUNT, &call.region);
                match daemon.cloud.call_json(&scope, &call.service, &call.operation, &call.input) {
                    Ok(output) => json_answer(StatusCode::OK, &json!({ "output": output })),
                    Err(error) => problem(StatusCode::BAD_REQUEST, &format!("{}: {}", error.code, error.message)),
                }
            }
            Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (_, path) if path.starts_with("/_zonal/") => problem(StatusCode::NOT_FOUND, "There is no such path."),
        _ => return None,
    };
    Some(answer)
}

/// Where consoles are, by instance id.
const CONSOLE: &str = "/_zonal/console/";

/// Does what waits for the world on another thread than the one that answers everybody.
async fn off_thread<T: Send + 'static>(
    daemon: &Arc<Daemon>,
    act: impl FnOnce(&Daemon) -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let daemon = daemon.clone();
    tokio::task::spawn_blocking(move || act(&daemon)).await
}

async fn console(daemon: &Arc<Daemon>, id: &str) -> Response<Full<Bytes>> {
    let state = daemon
        .cloud
        .view(&Scope::new("", ""), |view| view.find::<Instance>(id).map(|(_, instance)| instance.state.name()));
    let Some(state) = state else {
        return problem(StatusCode::NOT_FOUND, &format!("The instance ID '{id}' does not exist"));
    };
    // The state is the older of the two: of one that is terminated, this is all that there will be.
    let id = id.to_owned();
    let console = match off_thread(daemon, move |daemon| daemon.world.console(&id)).await {
        Ok(console) => console,
        Err(error) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    json_answer(StatusCode::OK, &json!({ "state": state, "console": String::from_utf8_lossy(&console) }))
}

fn health(daemon: &Daemon) -> Response<Full<Bytes>> {
    let services: serde_json::Map<_, _> =
        daemon.cloud.apis().map(|(name, _)| (name.to_owned(), json!("running"))).collect();
    json_answer(
        StatusCode::OK,
        &json!({ "services": services, "edition": "zonal", "version": env!("CARGO_PKG_VERSION"), "world": daemon.world.describe() }),
    )
}

/// What was broken, or mended.
#[derive(Debug)]
pub enum Broken {
    /// An instance, by its id.
    Instance(String),
    /// A zone is cut off.
    Zone {
        /// Its name.
        zone: String,
        /// Until when; until mended, without.
        until: Option<Time>,
        /// How it was cut off already.
        before: Option<ZoneOutage>,
    },
    /// A zone is whole.
    Whole {
        /// Its name.
        zone: String,
        /// How it was cut off, if it was.
        before: Option<ZoneOutage>,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Instance(id) => write!(f, "{id} is dead: its processes were killed, and its status checks fail"),
            Broken::Zone { zone, until: Some(until), before } => {
                write!(f, "{zone} is cut off until {}", until.iso8601())?;
                match before.as_ref().map(|before| before.until) {
                    Some(None) => write!(f, ", no longer without an end"),
                    Some(Some(old)) if old != *until => write!(f, ", no longer until {}", old.iso8601()),
                    _ => Ok(()),
                }
            }
            Broken::Zone { zone, until: None, before } => {
                match before.as_ref().and_then(|before| before.until) {
                    Some(old) => write!(f, "{zone} is now cut off without an end, no longer until {}", old.iso8601())?,
                    None => write!(f, "{zone} is cut off without an end")?,
                }
                write!(f, ": `zonal break mend {zone}` mends it")
            }
            Broken::Whole { zone, before: Some(_) } => write!(f, "{zone} is whole again"),
            Broken::Whole { zone, before: None } => write!(f, "{zone} was not cut off: it is whole as it was"),
        }
    }
}

impl Broken {
    /// The same for programs: in words, and a zone's end, which is null where there is none.
    fn json(&self) -> serde_json::Value {
        let mut shown = json!({ "done": self.to_string() });
        if let Broken::Zone { zone, until, before } = self {
            shown["zone"] = zone.as_str().into();
            shown["until"] = until.map(|at| at.iso8601()).into();
            if let Some(before) = before {
                shown["before"] = json!({ "until": before.until.map(|at| at.iso8601()) });
            }
        }
        shown
    }
}

/// Breaks something; what was done.
///
/// # Errors
/// There is nothing like it.
pub fn break_it(cloud: &Cloud, what: &Break) -> Result<Broken, AwsError> {
    // An outage is recorded in one place for the whole world.
    let everywhere = Scope::new(zonal_cloud::DEFAULT_ACCOUNT, Scope::GLOBAL);
    cloud.act(&everywhere, "break", |tx| match what {
        Break::Instance { id } => {
            faults::crash_instance(tx, id)?;
            Ok(Broken::Instance(id.clone()))
        }
        Break::Zone { zone, seconds } => {
            check_zone(zone)?;
            let until = match seconds {
                Some(seconds) => {
                    let span = Duration::try_from_secs_f64(*seconds).map_err(|error| {
                        AwsError::client("InvalidParameterValue", format!("for {seconds} s: {error}"))
                    })?;
                    Some(tx.now + span)
                }
                None => None,
            };
            let before = tx.find::<ZoneOutage>(zone).map(|(_, outage)| outage.clone());
            faults::set_zone(tx, zone, true, until);
            Ok(Broken::Zone { zone: zone.clone(), until, before })
        }
        Break::MendZone { zone } => {
            check_zone(zone)?;
            let before = tx.find::<ZoneOutage>(zone).map(|(_, outage)| outage.clone());
            if before.is_some() {
                faults::set_zone(tx, zone, false, None);
            }
            Ok(Broken::Whole { zone: zone.clone(), before })
        }
    })
}

fn check_zone(zone: &str) -> Result<(), AwsError> {
    let region = zonal_cloud::regions::Region::named(zonal_cloud::regions::of_zone(zone));
    match region.and_then(|region| region.zone_id(zone)) {
        Some(_) => Ok(()),
        None => Err(AwsError::client("InvalidParameterValue", format!("Invalid availability zone: [{zone}]"))),
    }
}

fn json_answer(status: StatusCode, value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = serve::text(status, &value.to_string());
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn problem(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    json_answer(status, &json!({ "error": text }))
}

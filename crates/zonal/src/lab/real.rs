//! A lab in the real world: a world of its own beside what the user has running, called over its door.

use crate::commands::{CommandError, api, down, run_daemon, up};
use crate::daemon::admin::Break;
use crate::lab::backend::Backend;
use crate::lab::stacks::Stacks;
use crate::settings::{Pace, Settings, WorldKind, public_range};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use zonal_lab::shell::{Clock as LabClock, RunningLoad, Sockets};
use zonal_lab::world::{Breakage, LabWorld, Observation, WorldKind as LabWorldKind};
use zonal_lab::{At, Load, StackChange, StackState, WorldError};
use zonal_linux::Internet;
use zonal_wire::Time;

/// How often what happened to the stacks is looked at, real time.
const LOOK: Duration = Duration::from_millis(150);

/// A real world with its own processes.
pub struct RealLab {
    stacks: Stacks<OverHttp>,
    load: Option<RunningLoad>,
    child: Child,
    looked: Instant,
}

struct OverHttp {
    settings: Settings,
    clock: Arc<FollowedClock>,
}

/// The daemon's clock, followed from here: what it showed when it was asked last, and its speed.
struct FollowedClock(Mutex<(Instant, Time, u32)>);

impl FollowedClock {
    fn now(&self) -> Time {
        let (at, time, speed) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        time + at.elapsed() * speed
    }

    fn set(&self, time: Time, speed: u32) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), time, speed);
    }

    fn speed(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).2
    }
}

/// The same clock for the clients, in the lab's moments.
struct ClientClock {
    clock: Arc<FollowedClock>,
    origin: crate::lab::backend::Origin,
}

impl LabClock for ClientClock {
    fn now(&self) -> At {
        self.origin.at(self.clock.now())
    }

    fn real_until(&self, at: At) -> Duration {
        self.origin.time(at).since(self.clock.now()) / self.clock.speed()
    }
}

impl Backend for OverHttp {
    fn call(&mut self, service: &str, operation: &str, input: Value) -> Result<Value, String> {
        let call = json!({ "region": "us-east-1", "service": service, "operation": operation, "input": input });
        let mut answer =
            api::call(&self.settings, "POST", "/_zonal/call", &call.to_string()).map_err(|error| error.to_string())?;
        Ok(answer["output"].take())
    }

    fn break_it(&mut self, what: &Break) -> Result<String, String> {
        let body = serde_json::to_string(what).map_err(|error| error.to_string())?;
        let answer = api::call(&self.settings, "POST", "/_zonal/break", &body).map_err(|error| error.to_string())?;
        Ok(answer["done"].as_str().unwrap_or_default().to_owned())
    }

    fn time(&self) -> Time {
        self.clock.now()
    }
}

/// The directory of the lab's world: beside the usual one.
fn directory() -> PathBuf {
    let usual = crate::settings::default_directory();
    let name = usual.file_name().map_or_else(|| "zonal".into(), |name| name.to_string_lossy().into_owned());
    usual.with_file_name(format!("{name}-lab"))
}

/// The settings of the lab's world: ports that are free, a range of public addresses of its own.
fn settings(vcpu: f64) -> Settings {
    let free =
        |from: u16| (from..from + 200).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap_or(from);
    let mut settings = Settings::new(directory(), WorldKind::Linux);
    settings.port = free(14566);
    settings.dns_port = free(14853);
    settings.public_range = public_range(1);
    settings.pace = Pace::Aws;
    settings.ephemeral = true;
    settings.vcpu = vcpu;
    settings
}

impl RealLab {
    /// Starts a world of the lab's own; what an interrupted lab left is removed first.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(vcpu: f64) -> Result<Self, CommandError> {
        let home = directory();
        let held = crate::settings::hold(&home).map_err(|error| CommandError::file(&home, error))?;
        if held.is_none() {
            let text = format!(
                "a lab runs, or one that was kept is up, in {0}: `zonal down --purge --home {0}` ends it",
                home.display()
            );
            return Err(CommandError::said(text));
        }
        drop(held);
        if let Ok(left) = Settings::load(&home) {
            eprintln!("Removing what an interrupted lab left in {}.", home.display());
            down::end(&left, true)?;
        }
        let settings = settings(vcpu);
        settings.save().map_err(|error| CommandError::file(&settings.directory, error))?;
        let (log, file) = up::Log::open(&settings.directory)?;
        let mut child = up::start(&settings, file)?;
        // The lab's own interrupts are looked at between its steps.
        let wait = |pause| {
            std::thread::sleep(pause);
            false
        };
        up::await_answer(&settings, &mut child, Some(&log), wait)?;
        let clock = Arc::new(FollowedClock(Mutex::new((Instant::now(), Time(0), 1))));
        follow(&settings, &clock, "GET", "/_zonal/status", "")?;
        let stacks = Stacks::new(OverHttp { settings, clock });
        Ok(Self { stacks, load: None, child, looked: Instant::now() })
    }

    /// The world's settings.
    pub fn settings(&self) -> &Settings {
        &self.stacks.backend.settings
    }

    /// Ends the world and removes all that it kept.
    ///
    /// # Errors
    /// Something of it does not end.
    pub fn end(mut self) -> Result<(), CommandError> {
        self.load = None;
        down::end(&self.stacks.backend.settings, true)?;
        // It has ended by now; this only reaps it.
        let _ = self.child.wait();
        Ok(())
    }
}

/// Calls a path whose answer tells the world's time, and follows it from there.
fn follow(
    settings: &Settings,
    clock: &FollowedClock,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(), CommandError> {
    let answer = api::call(settings, method, path, body)?;
    let speed = answer["speed"].as_u64().and_then(|speed| u32::try_from(speed).ok()).unwrap_or(1);
    clock.set(Time(answer["micros"].as_i64().unwrap_or_default()), speed);
    Ok(())
}

impl LabWorld for RealLab {
    fn kind(&self) -> LabWorldKind {
        LabWorldKind::Real
    }

    fn pace(&self) -> String {
        "aws".to_owned()
    }

    fn now(&self) -> At {
        self.stacks.now()
    }

    fn set_speed(&mut self, speed: u32) -> Result<(), WorldError> {
        let backend = &self.stacks.backend;
        follow(&backend.settings, &backend.clock, "POST", "/_zonal/speed", &speed.to_string())
            .map_err(|error| WorldError::new("set the world's speed", error))
    }

    fn submit(&mut self, change: &StackChange) -> Result<(), WorldError> {
        self.stacks.submit(change)
    }

    fn stack(&mut self, name: &str) -> Result<StackState, WorldError> {
        self.stacks.stack(name)
    }

    fn inject(&mut self, stack: &str, breakage: &Breakage) -> Result<String, WorldError> {
        self.stacks.inject(stack, breakage)
    }

    fn start_load(&mut self, load: Load) -> Result<(), WorldError> {
        let clock = ClientClock { clock: self.stacks.backend.clock.clone(), origin: self.stacks.origin };
        let dns = self.stacks.backend.settings.dns();
        let config = run_daemon::linux_config(&self.stacks.backend.settings);
        // On the host's side there is no port 80 for a world of an ordinary user's.
        let sockets = (config.first_port() > 80).then(|| {
            let internet = Internet::of(&config);
            let make = move || internet.socket().map(TcpStream::from).map_err(std::io::Error::other);
            Arc::new(make) as Arc<Sockets>
        });
        let running = RunningLoad::start(load, dns, Arc::new(clock), sockets)
            .map_err(|error| WorldError::new("start the clients", error))?;
        self.load = Some(running);
        Ok(())
    }

    fn set_load_factor(&mut self, factor: f64) {
        if let Some(load) = &self.load {
            load.set_factor(factor);
        }
    }

    fn stop_load(&mut self) {
        self.load = None;
    }

    fn advance(&mut self, until: At, observe: &mut dyn FnMut(Observation)) -> Result<(), WorldError> {
        loop {
            if self.looked.elapsed() >= LOOK {
                for event in self.stacks.events()? {
                    observe(Observation::Event(event));
                }
                self.looked = Instant::now();
            }
            let clock = &self.stacks.backend.clock;
            let left = self.stacks.origin.time(until).since(clock.now()) / clock.speed();
            let wait = left.min(Duration::from_millis(20));
            match &self.load {
                Some(load) => {
                    if let Some(sample) = load.next_sample(wait) {
                        observe(Observation::Sample(sample));
                    }
                    load.samples().for_each(|sample| observe(Observation::Sample(sample)));
                }
                None => std::thread::sleep(wait),
            }
            if left.is_zero() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(WorldError::new("keep the lab's world running", format!("it ended by itself: {status}")));
            }
        }
    }
}

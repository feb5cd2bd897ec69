//! How long a target that falls silent stays in rotation, beyond what its health check settings
//! make it: the promise is threshold × interval + timeout + 10 ms. Prints a line per failure and
//! the worst one's overshoot.

#![allow(clippy::disallowed_methods, reason = "a program of its own: it makes what the library is handed")]

mod shared;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use zonal_balancer::config::{BalancerConfig, CheckProtocol, HealthState, Report};
use zonal_balancer::{Balancer, HostSockets};

const INTERVAL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_millis(100);
const THRESHOLD: u32 = 2;
const FAILURES: u32 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let alive = Arc::new(AtomicBool::new(true));
    let answers = alive.clone();
    std::thread::spawn(move || {
        let mut unanswered = Vec::new();
        for stream in listener.incoming().flatten() {
            if answers.load(SeqCst) {
                // A check that hangs up early is not this target's business.
                drop(answer(stream));
            } else {
                unanswered.push(stream);
            }
        }
    });
    let (balancer, mut reports) = Balancer::start(2, Arc::new(HostSockets), 1.0)?;
    balancer.apply(config(port))?;
    let mut next = |wanted| loop {
        match reports.blocking_recv() {
            Some(Report::Health(report)) if report.health.state == wanted => return Instant::now(),
            Some(_) => {}
            None => std::process::exit(1),
        }
    };
    let bound = INTERVAL * THRESHOLD + TIMEOUT;
    let mut worst = f64::MIN;
    for failure in 0..FAILURES {
        alive.store(true, SeqCst);
        let healthy = next(HealthState::Healthy);
        // Fail at another moment between two checks each time.
        let until = healthy + INTERVAL * 2 + INTERVAL * failure / FAILURES;
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        alive.store(false, SeqCst);
        let failed = Instant::now();
        let took = next(HealthState::Unhealthy).duration_since(failed);
        let over = took.as_secs_f64() * 1e3 - bound.as_secs_f64() * 1e3;
        worst = worst.max(over);
        println!("out of rotation after {:.1} ms (bound {} ms + 10 ms)", took.as_secs_f64() * 1e3, bound.as_millis());
    }
    println!("worst {worst:+.1} ms against the bound, of 10 ms allowed");
    Ok(())
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    if stream.read(&mut [0; 1024])? > 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    }
    Ok(())
}

fn config(port: u16) -> BalancerConfig {
    let check = CheckProtocol::Http { path: "/".to_owned(), matcher: "200".to_owned() };
    let mut config = shared::config(0, check, vec![shared::target("target".to_owned(), port)]);
    let check = &mut config.target_groups[0].health_check;
    (check.interval, check.timeout, check.unhealthy_threshold) = (INTERVAL, TIMEOUT, THRESHOLD);
    config
}

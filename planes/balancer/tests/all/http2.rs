//! HTTP/2 from clients and to targets: each stream is a request of its own, nothing of HTTP/2 can
//! become something else in HTTP/1.1, and windows, trailers and resets pass.

use std::future::{Future, poll_fn};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, server};
use http::{HeaderMap, Method, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use zonal_balancer::config::*;

use crate::support::*;
use crate::tls::{certificate, client_config, listener_tls};

/// Runs an asynchronous test, in time.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had");
    let test = async { tokio::time::timeout(DEADLINE, test).await.expect("the test ends in time") };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, test)
}

fn http2(tls: &mut ListenerTls) {
    tls.alpn = AlpnPolicy::Http2Preferred;
}

/// A balancer that speaks HTTP/2, before such targets.
fn world(targets: &[&Server], change: impl FnOnce(&mut BalancerConfig)) -> World {
    let world = World::unsettled(targets, |config| {
        let mut tls = listener_tls(certificate("c", &["www.example.com"]), Vec::new());
        http2(&mut tls);
        config.listeners[0].tls = Some(tls);
        change(config);
    });
    for target in targets {
        world.wait_health(&target.id, HealthState::Healthy);
    }
    world
}

/// An HTTP/2 connection to the balancer.
async fn connect(world: &World) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(world.address()).await.expect("the balancer listens");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(&[b"h2"])));
    let name = "www.example.com".try_into().expect("it is a name");
    let stream = connector.connect(name, socket).await.expect("the handshake succeeds");
    let (sender, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
    tokio::task::spawn_local(async move { drop(connection.await) });
    sender.ready().await.expect("it takes requests")
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://www.example.com{path}")).body(()).expect("it is a request")
}

async fn answer(sender: &mut SendRequest<Bytes>, request: Request<()>) -> Result<(Response<()>, Vec<u8>), h2::Error> {
    let (response, _) = sender.send_request(request, true)?;
    let (parts, body) = response.await?.into_parts();
    Ok((Response::from_parts(parts, ()), read(body).await?.0))
}

async fn read(mut body: RecvStream) -> Result<(Vec<u8>, HeaderMap), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        all.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
    }
    let trailers = poll_fn(|context| body.poll_trailers(context)).await?;
    Ok((all, trailers.unwrap_or_default()))
}

#[test]
fn requests_of_one_connection_are_routed_each_alone() {
    let (one, two) = (Server::plain("one"), Server::plain("two"));
    let world = world(&[&one, &two], |_| {});
    run(async {
        let mut sender = connect(&world).await;
        let mut bodies = Vec::new();
        for _ in 0..4 {
            let (response, body) = answer(&mut sender, get("/a?b=c")).await.expect("it is answered");
            assert_eq!(response.status(), 200);
            assert!(response.headers().get("connection").is_none());
            bodies.push(body);
        }
        bodies.sort();
        assert_eq!(bodies, [b"one", b"one", b"two", b"two"]);
    });
    let request = &one.requests()[0];
    assert_eq!(request.line(), "GET /a?b=c HTTP/1.1");
    assert_eq!(request.header("host"), Some("www.example.com"));
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
}

#[test]
fn a_slow_answer_holds_up_no_other_stream() {
    let target = Server::start("one", |request, stream| {
        if request.line().contains("/slow") {
            std::thread::park_timeout(Duration::from_secs(2));
        }
        std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        Ok(true)
    });
    let world = world(&[&target], |_| {});
    run(async {
        let mut sender = connect(&world).await;
        let (slow, _) = sender.send_request(get("/slow"), true).expect("it is sent");
        answer(&mut sender, get("/fast")).await.expect("it is answered");
        assert!(tokio::time::timeout(Duration::from_millis(1), slow).await.is_err(), "the slow one is still out");
    });
}

#[test]
fn bodies_without_length_arrive_whole_in_both_directions() {
    let echo = Server::start("echo", |request, stream| {
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", request.body.len());
        std::io::Write::write_all(stream, head.as_bytes())?;
        std::io::Write::write_all(stream, &request.body)?;
        std::io::Write::write_all(stream, b"\r\n0\r\n\r\n")?;
        Ok(true)
    });
    let world = world(&[&echo], |_| {});
    let sent: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
    run(async {
        let mut sender = connect(&world).await;
        let request = Request::post("https://www.example.com/").body(()).expect("it is a request");
        let (response, mut body) = sender.send_request(request, false).expect("it is sent");
        let upload = async {
            let mut rest = Bytes::from(sent.clone());
            while !rest.is_empty() {
                body.reserve_capacity(rest.len());
                let room = poll_fn(|context| body.poll_capacity(context)).await.expect("open").expect("open");
                let part = rest.split_to(room.min(rest.len()));
                body.send_data(part, rest.is_empty()).expect("it is sent");
            }
        };
        let download = async { read(response.await.expect("it is answered").into_body()).await.expect("whole").0 };
        let ((), back) = tokio::join!(upload, download);
        assert!(back == sent, "{} bytes of {} came back", back.len(), sent.len());
    });
    assert_eq!(echo.requests()[0].header("transfer-encoding"), Some("chunked"));
}

#[test]
fn cookies_are_one_header_and_the_length_is_the_clients() {
    let target = Server::plain("one");
    let world = world(&[&target], |_| {});
    run(async {
        let mut sender = connect(&world).await;
        let request = Request::post("https://www.example.com/")
            .header("cookie", "a=b")
            .header("cookie", "c=d")
            .header("content-length", "3")
            .body(())
            .expect("it is a request");
        let (response, mut body) = sender.send_request(request, false).expect("it is sent");
        body.send_data(Bytes::from_static(b"abc"), true).expect("it is sent");
        assert_eq!(response.await.expect("it is answered").status(), 200);
    });
    let request = &target.requests()[0];
    assert_eq!(request.header("cookie"), Some("a=b; c=d"));
    assert_eq!((request.header("content-length"), request.body.as_slice()), (Some("3"), &b"abc"[..]));
}

#[test]
fn what_could_be_two_requests_in_http_1_1_is_refused() {
    let target = Server::plain("one");
    let world = world(&[&target], |_| {});
    run(async {
        let mut sender = connect(&world).await;
        let mut host = get("/");
        host.headers_mut().insert("host", "evil.example.com".parse().expect("a value"));
        let mut hosts = get("/");
        hosts.headers_mut().append("host", "www.example.com".parse().expect("a value"));
        hosts.headers_mut().append("host", "b".parse().expect("a value"));
        let mut padded = get("/");
        padded.headers_mut().insert("x", http::HeaderValue::from_bytes(b" x").expect("a value"));
        let mut user = get("/");
        *user.uri_mut() = "https://user@www.example.com/".parse().expect("an address");
        let mut trace = get("/");
        *trace.method_mut() = Method::TRACE;
        for (request, status) in [(host, 400), (hosts, 400), (padded, 400), (user, 400), (trace, 405)] {
            let what = format!("{request:?}");
            assert_eq!(answer(&mut sender, request).await.expect("answered").0.status(), status, "{what}");
        }
    });
    assert!(target.requests().is_empty());
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_never_ends_at_the_target() {
    let target = Server::plain("one");
    let world = world(&[&target], |_| {});
    run(async {
        let mut sender = connect(&world).await;
        for (said, sent) in [("10", &b"abc"[..]), ("2", b"abc")] {
            let request = Request::post("https://www.example.com/").header("content-length", said);
            let (response, mut body) = sender.send_request(request.body(()).expect("sound"), false).expect("sent");
            body.send_data(Bytes::copy_from_slice(sent), true).expect("it is sent");
            let reset = response.await.expect_err("the stream is reset");
            assert_eq!(reset.reason(), Some(Reason::PROTOCOL_ERROR));
        }
    });
    assert!(target.requests().is_empty());
}

#[test]
fn an_answer_cut_short_resets_its_stream_and_no_other() {
    let target = Server::start("cut", |request, stream| {
        let cut = request.line().contains("/cut");
        std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")?;
        if !cut {
            std::io::Write::write_all(stream, b"bc")?;
        }
        Ok(!cut)
    });
    let world = world(&[&target], |_| {});
    run(async {
        let mut sender = connect(&world).await;
        assert!(answer(&mut sender, get("/cut")).await.is_err_and(|error| error.is_reset()));
        assert_eq!(answer(&mut sender, get("/whole")).await.expect("answered").1, b"abc");
    });
}

#[test]
fn a_target_that_is_gone_is_502_and_none_is_503() {
    let target = Server::plain("one");
    let mut world = world(&[&target], |_| {});
    world.apply(|config| config.target_groups[0].targets.clear());
    run(async {
        let mut sender = connect(&world).await;
        let (response, body) = answer(&mut sender, get("/")).await.expect("answered");
        assert_eq!((response.status().as_u16(), response.headers()["server"].as_bytes()), (503, &b"awselb/2.0"[..]));
        assert!(body.starts_with(b"<html>"));
    });
}

#[test]
fn a_client_that_resets_its_stream_frees_the_target() {
    let target = Server::start("slow", |_, _| {
        std::thread::park_timeout(DEADLINE);
        Ok(false)
    });
    let mut world = world(&[&target], |_| {});
    run(async {
        let mut sender = connect(&world).await;
        let (response, mut stream) = sender.send_request(get("/"), true).expect("it is sent");
        tokio::task::spawn_local(response);
        wait(|| target.requests().len() == 1).await;
        stream.send_reset(Reason::CANCEL);
        tokio::task::yield_now().await;
        drop(stream);
        drop(answer(&mut sender, get("/nowhere")));
        // It drains at once if nothing is in flight there.
        world.apply(|config| config.target_groups[0].targets[0].state = TargetState::Draining);
        wait(|| world.health("slow").is_some_and(|report| report.health.state == HealthState::Unused)).await;
    });
}

async fn wait(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_balancer_that_is_removed_says_goodbye_and_finishes_what_it_has() {
    let target = Server::start("slow", |request, stream| {
        if request.line().contains("/slow") {
            std::thread::park_timeout(Duration::from_millis(300));
        }
        std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")?;
        Ok(true)
    });
    let world = world(&[&target], |_| {});
    run(async {
        let mut sender = connect(&world).await;
        let (response, _) = sender.send_request(get("/slow"), true).expect("it is sent");
        wait(|| target.requests().len() == 1).await;
        world.balancer.remove("lb");
        assert_eq!(read(response.await.expect("answered").into_body()).await.expect("whole").0, b"hi");
        assert!(poll_fn(|context| sender.poll_ready(context)).await.is_err(), "no more is taken");
    });
}

/// What an HTTP/2 target has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Request<()>>>,
}

/// A target that speaks HTTP/2, and answers health checks and whatever else with `behave`.
fn http2_target<F, Fut>(id: &str, behave: F) -> (Server, Arc<Seen>)
where
    F: Fn(Request<RecvStream>, server::SendResponse<Bytes>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), h2::Error>> + 'static,
{
    let seen = Arc::new(Seen::default());
    let (log, (port, ready)) = (seen.clone(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
            port.send(listener.local_addr().expect("it is bound").port()).expect("the test waits");
            while let Ok((stream, _)) = listener.accept().await {
                let (log, behave) = (log.clone(), behave.clone());
                tokio::task::spawn_local(async move {
                    let mut connection = server::handshake(stream).await?;
                    let mut counted = false;
                    while let Some(accepted) = connection.accept().await {
                        let (request, respond) = accepted?;
                        if !request.uri().path().starts_with("/health") {
                            if !std::mem::replace(&mut counted, true) {
                                log.connections.fetch_add(1, SeqCst);
                            }
                            let (parts, body) = request.into_parts();
                            let copy = Request::from_parts(parts.clone(), ());
                            log.requests.lock().expect("no holder panics").push(copy);
                            tokio::task::spawn_local(behave(Request::from_parts(parts, body), respond));
                        } else {
                            tokio::task::spawn_local(behave(request, respond));
                        }
                    }
                    Ok::<(), h2::Error>(())
                });
            }
        });
    });
    let port = ready.recv().expect("the target starts");
    (Server { id: id.to_owned(), port, state: Arc::default() }, seen)
}

/// Sends back what it gets, then how many bytes that was as a trailer.
async fn echo(request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    let response = Response::builder().header("content-type", "application/grpc").body(()).expect("sound");
    let mut send = respond.send_response(response, false)?;
    let mut count = 0;
    while let Some(data) = body.data().await {
        let mut data = data?;
        count += data.len();
        body.flow_control().release_capacity(data.len())?;
        while !data.is_empty() {
            send.reserve_capacity(data.len());
            let Some(Ok(room)) = poll_fn(|context| send.poll_capacity(context)).await else { return Ok(()) };
            send.send_data(data.split_to(room.min(data.len())), false)?;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    trailers.insert("x-count", count.to_string().parse().expect("a value"));
    send.send_trailers(trailers)
}

fn grpc(config: &mut BalancerConfig) {
    let group = &mut config.target_groups[0];
    group.protocol_version = ProtocolVersion::Grpc;
    group.health_check.timeout = Duration::from_secs(5);
    group.health_check.protocol = CheckProtocol::Http { path: "/health/Check".to_owned(), matcher: "0".to_owned() };
}

fn call(path: &str) -> Request<()> {
    let request = Request::post(format!("https://www.example.com{path}"));
    request.header("content-type", "application/grpc").header("te", "trailers").body(()).expect("sound")
}

#[test]
fn a_grpc_call_streams_both_ways_and_ends_with_its_trailers() {
    let (target, seen) = http2_target("grpc", echo);
    let world = world(&[&target], grpc);
    run(async {
        let mut sender = connect(&world).await;
        let (response, mut up) = sender.send_request(call("/pkg.Service/Method"), false).expect("it is sent");
        up.send_data(Bytes::from_static(b"ping"), false).expect("it is sent");
        let mut down = response.await.expect("the answer begins before the call ends").into_body();
        assert_eq!(down.data().await.expect("some").expect("sound"), &b"ping"[..]);
        up.send_data(Bytes::from_static(b"pong!"), true).expect("it is sent");
        let (rest, trailers) = read(down).await.expect("whole");
        assert_eq!(rest, b"pong!");
        assert_eq!((&trailers["grpc-status"], &trailers["x-count"]), (&"0".parse().unwrap(), &"9".parse().unwrap()));
    });
    let requests = seen.requests.lock().expect("no holder panics");
    assert_eq!(requests[0].uri().path(), "/pkg.Service/Method");
    assert_eq!(requests[0].headers()["te"], "trailers");
    assert_eq!(requests[0].headers()["x-forwarded-proto"], "https");
}

#[test]
fn calls_share_a_connection_to_their_target() {
    let (target, seen) = http2_target("grpc", echo);
    let world = World::on_cores(1, &[&target], |config| {
        let mut tls = listener_tls(certificate("c", &["www.example.com"]), Vec::new());
        http2(&mut tls);
        config.listeners[0].tls = Some(tls);
        grpc(config);
    });
    world.wait_health("grpc", HealthState::Healthy);
    run(async {
        let mut sender = connect(&world).await;
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (response, mut up) = sender.send_request(call("/a/b"), false).expect("it is sent");
                up.send_data(Bytes::from_static(b"x"), true).expect("it is sent");
                response
            })
            .collect();
        for call in calls {
            assert_eq!(read(call.await.expect("answered").into_body()).await.expect("whole").0, b"x");
        }
    });
    assert_eq!(seen.connections.load(SeqCst), 1);
    assert_eq!(world.metrics().groups["group"][ZONE].requests, 20);
}

#[test]
fn protocols_that_do_not_fit_are_464() {
    let (h2_target, _) = http2_target("grpc", echo);
    let h1_target = Server::plain("h1");
    let old = world(&[&h1_target], |_| {});
    let new = world(&[&h2_target], grpc);
    run(async {
        let mut to_old = connect(&old).await;
        assert_eq!(answer(&mut to_old, call("/a/b")).await.expect("answered").0.status(), 464);
        let mut to_new = connect(&new).await;
        assert_eq!(answer(&mut to_new, get("/a/b")).await.expect("answered").0.status(), 464);
    });
    let mut by_http1 = crate::tls::connect(&new, &crate::tls::Kind::default()).expect("the handshake succeeds");
    assert!(crate::tls::ask(&mut by_http1, "/").starts_with("HTTP/1.1 464 "));
}

#[test]
fn a_grpc_call_that_no_target_takes_gets_the_error_page_and_no_grpc_status() {
    let absent = Server::absent("grpc");
    let none = world(&[], grpc);
    let refused = World::unsettled(&[&absent], |config| {
        let mut tls = listener_tls(certificate("c", &["www.example.com"]), Vec::new());
        http2(&mut tls);
        config.listeners[0].tls = Some(tls);
        grpc(config);
    });
    refused.wait_health("grpc", HealthState::Unhealthy);
    run(async {
        // All are unhealthy: the balancer fails open, and asks one.
        for (world, status) in [(&none, 503), (&refused, 502)] {
            let (response, body) = answer(&mut connect(world).await, call("/a/b")).await.expect("it is answered");
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["content-type"], "text/html");
            assert!(response.headers().get("grpc-status").is_none());
            assert!(!body.is_empty());
        }
    });
}

#[test]
fn a_grpc_targets_health_is_its_grpc_status() {
    let (target, _) = http2_target("grpc", |_, mut respond| async move {
        let response = Response::builder().header("grpc-status", "12").body(()).expect("sound");
        respond.send_response(response, true).map(|_| ())
    });
    let matching = |matcher: &str| {
        let matcher = matcher.to_owned();
        World::unsettled(&[&target], move |config| {
            grpc(config);
            config.target_groups[0].health_check.protocol =
                CheckProtocol::Http { path: "/AWS.ALB/healthcheck".to_owned(), matcher };
        })
    };
    matching("12").wait_health("grpc", HealthState::Healthy);
    let report = matching("0").wait_health("grpc", HealthState::Unhealthy);
    assert_eq!(report.health.reason, Some(HealthReason::ResponseCodeMismatch));
    assert!(report.health.description.is_some_and(|words| words.contains("12")));
}

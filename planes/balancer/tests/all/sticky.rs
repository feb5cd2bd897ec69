//! Stickiness: who comes back to whom, for how long, and what the cookies look like.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use zonal_balancer::config::*;

use crate::support::*;

const DAY: Duration = Duration::from_secs(86_400);

fn world(targets: &[&Server], stickiness: Stickiness) -> World {
    let world = World::unsettled(targets, |config| {
        config.target_groups[0].routing.stickiness = stickiness;
        config.cookie_secret = "secret".to_owned();
    });
    for target in targets {
        world.wait_health(&target.id, HealthState::Healthy);
    }
    world
}

/// The cookies that an answer sets: name, value, attributes.
fn set_cookies(answer: &Answer) -> Vec<(String, String, String)> {
    let lines = answer.head.lines().filter_map(|line| line.strip_prefix("Set-Cookie: "));
    lines
        .map(|line| {
            let (pair, attributes) = line.split_once("; ").expect("cookies have attributes");
            let (name, value) = pair.split_once('=').expect("cookies have values");
            (name.to_owned(), value.to_owned(), attributes.to_owned())
        })
        .collect()
}

/// As a browser does it: the cookies of an answer as a request's header.
fn jar(answer: &Answer) -> String {
    let pairs: Vec<_> = set_cookies(answer).into_iter().map(|(name, value, _)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

fn ask(world: &World, cookies: &str) -> Answer {
    let mut client = world.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: other=1; {cookies}\r\n\r\n").as_bytes());
    client.answer()
}

/// Who answers eight requests that have these cookies.
fn who(world: &World, cookies: &str) -> BTreeSet<String> {
    (0..8).map(|_| ask(world, cookies).text().to_owned()).collect()
}

#[test]
fn a_client_with_the_load_balancers_cookie_stays_with_its_target() {
    let (a, b, c) = (Server::plain("a"), Server::plain("b"), Server::plain("c"));
    let world = world(&[&a, &b, &c], Stickiness::LbCookie { duration: DAY });
    let first = world.get("/");
    let cookies = set_cookies(&first);
    let names: Vec<_> = cookies.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["AWSALB", "AWSALBCORS"]);
    assert!(cookies[0].2.starts_with("Expires=") && cookies[0].2.ends_with(" GMT; Path=/"), "{cookies:?}");
    assert!(cookies[1].2.ends_with("; Path=/; SameSite=None"), "{cookies:?}");
    assert_eq!(who(&world, &jar(&first)), BTreeSet::from([first.text().to_owned()]));
    // Either twin will do; each answer brings a new one.
    assert_eq!(who(&world, &format!("AWSALBCORS={}", cookies[1].1)), BTreeSet::from([first.text().to_owned()]));
    assert_ne!(jar(&ask(&world, &jar(&first))), jar(&first));
    // Without it, or with one that is forged, everybody has a turn.
    assert_eq!(who(&world, "").len(), 3);
    assert_eq!(who(&world, "AWSALB=AAAAAAAA").len(), 3);
    let counted = &world.metrics().groups["group"][ZONE];
    assert_eq!((counted.requests, counted.non_sticky_requests), (34, 17));
}

#[test]
fn a_client_whose_target_is_gone_or_unhealthy_gets_another_and_stays_there() {
    let (a, b, c) = (Server::plain("a"), Server::plain("b"), Server::plain("c"));
    let servers = [&a, &b, &c];
    let mut world = world(&servers, Stickiness::LbCookie { duration: DAY });
    let first = world.get("/");
    let sick = servers.into_iter().find(|server| server.id == first.text()).expect("a target answered");
    sick.state.healthy.store(false, std::sync::atomic::Ordering::SeqCst);
    world.wait_health(&sick.id, HealthState::Unhealthy);
    let second = ask(&world, &jar(&first));
    assert_eq!(second.status, 200);
    assert_ne!(second.text(), first.text());
    sick.state.healthy.store(true, std::sync::atomic::Ordering::SeqCst);
    world.wait_health(&sick.id, HealthState::Healthy);
    assert_eq!(who(&world, &jar(&second)), BTreeSet::from([second.text().to_owned()]));
    let gone = second.text().to_owned();
    world.apply(|config| config.target_groups[0].targets.retain(|target| target.id != gone));
    assert_ne!(ask(&world, &jar(&second)).text(), gone);
}

#[test]
fn a_cookie_is_good_for_the_stickiness_duration_only() {
    let (a, b) = (Server::plain("a"), Server::plain("b"));
    let world = world(&[&a, &b], Stickiness::LbCookie { duration: Duration::from_secs(1) });
    let first = world.get("/");
    wait_for("the cookie is stale", || match who(&world, &jar(&first)).len() {
        2 => Ok(()),
        one => Err(format!("{one} target answers")),
    });
}

#[test]
fn an_application_cookie_sticks_once_the_target_has_set_its_own() {
    let server = |id: &'static str| {
        Server::start(id, move |request, stream| {
            let cookie = if request.line().contains("/login") { "Set-Cookie: SESSION=1; Path=/\r\n" } else { "" };
            write!(stream, "HTTP/1.1 200 OK\r\n{cookie}Content-Length: 1\r\n\r\n{id}")?;
            Ok(true)
        })
    };
    let (a, b, c) = (server("a"), server("b"), server("c"));
    let world = world(&[&a, &b, &c], Stickiness::AppCookie { name: "SESSION".to_owned(), duration: DAY });
    let before = world.get("/");
    let removed: Vec<_> = set_cookies(&before).into_iter().map(|(name, value, _)| (name, value)).collect();
    let expected = (0..4).map(|place| (format!("AWSALBAPP-{place}"), "_remove_".to_owned()));
    assert_eq!(removed, expected.collect::<Vec<_>>());
    assert_eq!(who(&world, &jar(&before)).len(), 3);

    let login = world.get("/login");
    let cookies = set_cookies(&login);
    assert_eq!(cookies[0].0, "SESSION");
    assert!(cookies[1].0 == "AWSALBAPP-0" && cookies[1].1 != "_remove_", "{cookies:?}");
    assert_eq!(who(&world, &jar(&login)), BTreeSet::from([login.text().to_owned()]));
    // Both are needed, and what follows renews it.
    assert_eq!(who(&world, &format!("AWSALBAPP-0={}", cookies[1].1)).len(), 3);
    let next = ask(&world, &jar(&login));
    assert_eq!(who(&world, &format!("SESSION=1; {}", jar(&next))), BTreeSet::from([login.text().to_owned()]));
}

#[test]
fn a_client_with_a_groups_cookie_stays_with_its_group_whatever_the_weights() {
    let (a, b) = (Server::plain("a"), Server::plain("b"));
    let share = |group: &str, weight| WeightedGroup { target_group: group.to_owned(), weight };
    let action = |blue, green| {
        Action::Forward(Forward { groups: vec![share("group", blue), share("green", green)], stickiness: Some(DAY) })
    };
    let mut world = World::unsettled(&[&a], |config| {
        config.target_groups.push(group("green", &[&b]));
        config.listeners[0].default_action = action(1, 1);
    });
    for target in [&a, &b] {
        world.wait_health(&target.id, HealthState::Healthy);
    }
    let first = wait_for("the first group answers", || {
        let answer = world.get("/");
        if answer.text() == "a" { Ok(answer) } else { Err(answer.text().to_owned()) }
    });
    let names: Vec<_> = set_cookies(&first).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["AWSALBTG", "AWSALBTGCORS"]);
    assert_eq!(who(&world, &jar(&first)), BTreeSet::from(["a".to_owned()]));
    assert_eq!(who(&world, "").len(), 2);
    world.apply(|config| config.listeners[0].default_action = action(0, 1));
    assert_eq!(who(&world, &jar(&first)), BTreeSet::from(["a".to_owned()]));
    assert_eq!(who(&world, ""), BTreeSet::from(["b".to_owned()]));
}

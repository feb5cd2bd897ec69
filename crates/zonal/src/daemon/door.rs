//! The API's door: an HTTP request to an operation's answer.
//!
//! 1. refuse what a browser sent from elsewhere;
//! 2. pass on what was put to a wait condition handle's URL, else identify service, protocol and operation;
//! 3. admit it: implemented, in a region that there is, truly signed where its key is ours; decode the input;
//! 4. settle: wait while what it names is in transition;
//! 5. run it;
//! 6. encode the answer.

use crate::daemon::{Daemon, clock, signals};
use std::sync::Arc;
use std::time::Duration;
use zonal_cloud::regions::{self, Region};
use zonal_cloud::{Caller, Clock, Prepared, Scope};
use zonal_sts::model::Session;
use zonal_wire::door::{self, Identified, RequestHead, Response};
use zonal_wire::{Api, AwsError, sigv4};

/// The region of requests that name none.
const DEFAULT_REGION: &str = "us-east-1";

/// Answers a request to the API.
pub async fn answer(daemon: &Arc<Daemon>, head: RequestHead, body: &[u8]) -> Response {
    let request_id = request_id();
    if let Some(answer) = signals::answer(daemon, &head, body, &request_id) {
        return answer;
    }
    let apis: Vec<(&'static str, &'static Api)> = daemon.cloud.apis().collect();
    let facts: Vec<&'static Api> = apis.iter().map(|(_, api)| *api).collect();
    let identified = match door::identify(&head, body, &facts) {
        Ok(identified) => identified,
        Err(rejection) => return rejection.respond(&request_id),
    };
    let service = apis.iter().find(|(_, api)| std::ptr::eq(*api, identified.api)).map_or("", |(name, _)| *name);
    let decoded =
        admit(daemon, service, &identified, &head, body).and_then(|()| door::decode(&identified, &head, body));
    let result = match decoded {
        Ok(input) => {
            let (scope, caller) = caller(&identified);
            let prepared = Prepared { service, operation: identified.operation.name, scope, caller, input };
            run(daemon, prepared).await
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(output) => {
            let answer = door::encode_output(&identified, &*output, &request_id);
            // A large one takes a while to take apart, which the caller need not wait for: this runs once the answer has left.
            tokio::spawn(async move { drop(output) });
            answer
        }
        Err(error) => door::encode_error(Some(&identified), &error, &request_id),
    }
}

async fn run(daemon: &Arc<Daemon>, prepared: Prepared) -> Result<Box<dyn zonal_wire::Structure>, AwsError> {
    if daemon.config.settle {
        settle(daemon, &prepared).await;
    }
    if !daemon.cloud.asks_world(prepared.service, prepared.operation) {
        return daemon.cloud.request(&prepared);
    }
    // The world takes the time that it takes: not on the thread that answers everybody.
    let asking = daemon.clone();
    let asked = tokio::task::spawn_blocking(move || asking.cloud.request(&prepared));
    asked.await.unwrap_or_else(|error| Err(AwsError::internal(error.to_string())))
}

/// Waits, commit by commit, until what the request names has left its transition, or its time is over.
async fn settle(daemon: &Arc<Daemon>, prepared: &Prepared) {
    let mut commits = daemon.committed.subscribe();
    let Some(limit) = daemon.cloud.unsettled(prepared) else { return };
    let wait = async {
        while daemon.cloud.unsettled(prepared).is_some() {
            if commits.changed().await.is_err() {
                return;
            }
        }
    };
    // Running into the limit is no failure: the answer then says what is.
    let _: Result<(), _> = tokio::time::timeout(limit, wait).await;
}

/// Whether a request may go on: to an operation that is implemented, in a region that there is, and truly signed where its key was
/// issued here. Any other key only names an account.
fn admit(
    daemon: &Daemon,
    service: &str,
    identified: &Identified,
    head: &RequestHead,
    body: &[u8],
) -> Result<(), AwsError> {
    if !daemon.cloud.implements(service, identified.operation.name) {
        return Err(door::not_implemented(identified));
    }
    let Some(claimed) = &identified.scope else { return Ok(()) };
    if !identified.api.global && Region::named(&claimed.region).is_none() {
        let names: Vec<&str> = regions::REGIONS.iter().map(|region| region.name).collect();
        let text = format!("There is no region '{}' here. There are: {}.", claimed.region, names.join(", "));
        return Err(AwsError::client("InvalidParameterValue", text));
    }
    if Caller::is_issued(&claimed.access_key) { verify(daemon, &claimed.access_key, head, body) } else { Ok(()) }
}

fn verify(daemon: &Daemon, key: &str, head: &RequestHead, body: &[u8]) -> Result<(), AwsError> {
    let invalid = || {
        AwsError::client("InvalidClientTokenId", "The security token included in the request is invalid.").status(403)
    };
    let anywhere = Scope::new("", "");
    let session = daemon.cloud.view(&anywhere, |view| view.find::<Session>(key).map(|(_, session)| session.clone()));
    let session = session.ok_or_else(invalid)?;
    if sigv4::session_token(head).as_ref() != Some(&session.session_token) {
        return Err(invalid());
    }
    // Callers sign by their own clock, which is this machine's; keys last by the world's.
    sigv4::verify(head, &sigv4::body_sha(body), &session.secret_access_key, clock::wall())?;
    if session.expiration < daemon.clock.now() {
        let text = "The security token included in the request is expired";
        return Err(AwsError::client("ExpiredToken", text).status(403));
    }
    Ok(())
}

/// Who calls, and from where: what the signature's scope claims.
fn caller(identified: &Identified) -> (Scope, Caller) {
    let claimed = identified.scope.as_ref();
    let access_key = claimed.map_or("", |scope| scope.access_key.as_str());
    let region = match claimed {
        _ if identified.api.global => Scope::GLOBAL,
        Some(scope) => &scope.region,
        None => DEFAULT_REGION,
    };
    (Scope::new(Caller::account_of(access_key), region), Caller::User { access_key: access_key.to_owned() })
}

fn request_id() -> String {
    zonal_cloud::ids::uuid(&mut rand::SeedableRng::seed_from_u64(rand::random()))
}

/// Whether a request must not come in: one from a page that is not this machine's own. A browser says where its page is from, and
/// pages of the world (`NAME.localhost`) are somebody else's; a name that is not ours in `Host` is a foreign page's that was made to
/// lead here.
pub fn is_foreign(head: &RequestHead) -> bool {
    let host = head.header("host").unwrap_or_default();
    let origin = head.header("origin").map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    let is_awss = name_of(host).ends_with(".amazonaws.com");
    !(is_this_machine(host) || is_awss)
        || origin.is_some_and(|origin| !is_this_machine(origin))
        || match head.header("sec-fetch-site") {
            Some("cross-site") => true,
            // Of this machine's own name that is another port of it; of any other, who knows.
            Some("same-site") => is_awss,
            _ => false,
        }
}

/// Whether a host (with or without port) is this machine itself.
fn is_this_machine(host: &str) -> bool {
    matches!(name_of(host).as_str(), "localhost" | "127.0.0.1" | "::1")
}

/// A host without its port, in lower case.
fn name_of(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// How long a client may take for a request's head and body.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn head(host: &str, headers: &[(&'static str, &str)]) -> RequestHead {
        let mut all = http::HeaderMap::new();
        for (name, value) in [("host", host)].iter().chain(headers) {
            all.insert(*name, value.parse().unwrap());
        }
        RequestHead { method: http::Method::POST, uri: "/".parse().unwrap(), headers: all }
    }

    #[test]
    fn only_this_machines_name_and_awss_are_answered() {
        for (host, foreign) in [
            ("localhost:4566", false),
            ("LOCALHOST.:4566", false),
            ("127.0.0.1:4566", false),
            ("[::1]:4566", false),
            ("ec2.us-east-1.amazonaws.com", false),
            ("com.localhost:4566", true),
            ("evil.example", true),
            ("localhost.evil.example", true),
            ("evillocalhost", true),
            ("amazonaws.com.evil.example", true),
            ("", true),
        ] {
            assert_eq!(is_foreign(&head(host, &[])), foreign, "{host}");
        }
    }

    #[test]
    fn only_this_machines_own_pages_are_heard() {
        for (host, headers, foreign) in [
            ("localhost:4566", vec![("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")], false),
            ("localhost:4566", vec![("origin", "http://127.0.0.1")], false),
            ("localhost:4566", vec![("sec-fetch-site", "none")], false),
            ("localhost:4566", vec![("origin", "http://whatsthetime.com.localhost:4566")], true),
            ("localhost:4566", vec![("origin", "null")], true),
            ("localhost:4566", vec![("origin", "https://evil.example")], true),
            ("localhost:4566", vec![("sec-fetch-site", "cross-site")], true),
            ("ec2.us-east-1.amazonaws.com", vec![("sec-fetch-site", "same-site")], true),
        ] {
            assert_eq!(is_foreign(&head(host, &headers)), foreign, "{host} {headers:?}");
        }
    }
}

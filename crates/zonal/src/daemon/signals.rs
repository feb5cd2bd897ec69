//! What programs put to wait condition handles' URLs: presigned ones of S3's on AWS, whose names lead here inside instances. On this
//! machine the same path and query below `http://localhost:4566` do.

use crate::daemon::Daemon;
use http::Method;
use zonal_cloudformation::handles::{self, Refusal};
use zonal_wire::AwsError;
use zonal_wire::door::{RequestHead, Response};

/// Answers a request to a handle's URL, in S3's form; `None` for any other request.
pub fn answer(daemon: &Daemon, head: &RequestHead, body: &[u8], request_id: &str) -> Option<Response> {
    let scope = handles::scope_of(head.path())?;
    let refusal = if head.method == Method::PUT {
        let mut refusal = None;
        let put = daemon.cloud.act(&scope, "wait condition handle", |tx| {
            handles::receive(tx, (head.path(), head.query()), body).map_err(|why| {
                refusal = Some(why);
                AwsError::client("Refused", "a signal is not taken")
            })
        });
        match (put, refusal) {
            (Ok(()), _) => None,
            (Err(_), Some(why)) => Some(why.words()),
            // The database refused.
            (Err(_), None) => Some((503, "SlowDown", "Please reduce your request rate.")),
        }
    } else {
        // The URL is signed for one method.
        Some(Refusal::Signature.words())
    };
    let headers = |more: &[(&str, &str)]| {
        let all = [("x-amz-request-id", request_id), ("server", "AmazonS3")];
        all.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Some(match refusal {
        None => Response { status: 200, headers: headers(&[]), body: Vec::new() },
        Some((status, code, sentence)) => {
            let text = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{sentence}</Message><RequestId>{request_id}</RequestId></Error>"
            );
            Response { status, headers: headers(&[("content-type", "application/xml")]), body: text.into_bytes() }
        }
    })
}

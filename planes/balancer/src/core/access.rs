//! Access log records, field for field as the ALB guide has them (Access logs for your Application Load
//! Balancer).

use std::fmt::Write as _;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use super::desync::{Reason, Tier};

/// One request, from its arrival to the end of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `http`, `https`, `h2`, `grpcs`, `ws` or `wss`.
    pub kind: &'static str,
    /// When the request came: microseconds since 1970.
    pub created: u64,
    /// When the answer was out: microseconds since 1970.
    pub ended: u64,
    /// The client.
    pub client: SocketAddr,
    /// The target, if one was chosen.
    pub target: Option<SocketAddrV4>,
    /// From the request's arrival to its leaving, on to the answer's head, on to the answer's leaving; `None` for what
    /// did not come to pass.
    pub times: [Option<Duration>; 3],
    /// What the client was answered with; `None` if with nothing.
    pub elb_status: Option<u16>,
    /// What the target answered.
    pub target_status: Option<u16>,
    /// Bytes from the client, heads included.
    pub received: u64,
    /// Bytes to the client, heads included.
    pub sent: u64,
    /// Method, whole address and version; `None` for what is no request.
    pub request: Option<String>,
    /// User-Agent.
    pub user_agent: Option<String>,
    /// What the client's TLS came to.
    pub tls: Option<TlsRecord>,
    /// Of the client's connection: the same for all that comes on it.
    pub connection: String,
    /// The target group's ARN.
    pub group: Option<String>,
    /// X-Amzn-Trace-Id as the target saw it.
    pub trace: Option<String>,
    /// The rule's priority: 0 for the default one, `None` where none was looked at.
    pub rule: Option<u32>,
    /// `forward`, `redirect`, `fixed-response`.
    pub action: Option<&'static str>,
    /// Where a redirect leads to.
    pub redirect: Option<String>,
    /// What is wrong with the request.
    pub verdict: Reason,
}

/// Of a client's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsRecord {
    /// Cipher suite, by OpenSSL's name.
    pub cipher: String,
    /// Version, by OpenSSL's name.
    pub version: String,
    /// The host that the client named, if a certificate is for it.
    pub domain: Option<String>,
    /// The ARN of the certificate shown; `None` where an earlier session went on.
    pub certificate: Option<String>,
}

impl Record {
    /// The log line of a load balancer by its ARN, without the end of the line.
    pub fn line(&self, balancer: &str) -> String {
        let mut out = String::with_capacity(512);
        let resource = balancer.split_once("loadbalancer/").map_or(balancer, |(_, resource)| resource);
        let target = self.target.map(|target| target.to_string());
        let status = |status: Option<u16>| status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        // Writing to a string cannot fail.
        let _ = write!(out, "{} {} {resource} {} ", self.kind, timestamp(self.ended), self.client);
        let _ = write!(out, "{} ", target.as_deref().unwrap_or("-"));
        for time in self.times {
            match time {
                Some(time) => drop(write!(out, "{:.3} ", time.as_secs_f64())),
                None => out.push_str("-1 "),
            }
        }
        let _ = write!(out, "{} {} ", status(self.elb_status), status(self.target_status));
        let _ = write!(out, "{} {} ", self.received, self.sent);
        quote(self.request.as_deref(), &mut out);
        quote(self.user_agent.as_deref(), &mut out);
        match &self.tls {
            Some(tls) => {
                let _ = write!(out, "{} {} ", tls.cipher, tls.version);
            }
            None => out.push_str("- - "),
        }
        let _ = write!(out, "{} ", self.group.as_deref().unwrap_or("-"));
        quote(self.trace.as_deref(), &mut out);
        let certificate = |tls: &'_ TlsRecord| tls.certificate.clone().unwrap_or_else(|| "session-reused".to_owned());
        quote(self.tls.as_ref().and_then(|tls| tls.domain.as_deref()), &mut out);
        quote(self.tls.as_ref().map(certificate).as_deref(), &mut out);
        let rule = self.rule.map_or_else(|| "-".to_owned(), |rule| rule.to_string());
        let _ = write!(out, "{rule} {} ", timestamp(self.created));
        quote(self.action, &mut out);
        quote(self.redirect.as_deref(), &mut out);
        // Why: only of Lambda targets, user authentication and AWS WAF.
        out.push_str("\"-\" ");
        quote(target.as_deref(), &mut out);
        quote(self.target_status.map(|status| status.to_string()).as_deref(), &mut out);
        let tier = match self.verdict.tier() {
            Tier::Compliant => None,
            Tier::Acceptable => Some("Acceptable"),
            Tier::Ambiguous => Some("Ambiguous"),
            Tier::Severe => Some("Severe"),
        };
        quote(tier, &mut out);
        quote(tier.map(|_| format!("{:?}", self.verdict)).as_deref(), &mut out);
        out.push_str(&self.connection);
        out
    }
}

/// In quotes, with what would end them or the line escaped; then a space.
fn quote(text: Option<&str>, out: &mut String) {
    out.push('"');
    for character in text.unwrap_or("-").chars() {
        match character {
            '"' => out.push_str("\\x22"),
            '\\' => out.push_str("\\x5C"),
            _ if character.is_control() => {
                let _ = write!(out, "\\x{:02X}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push_str("\" ");
}

/// `2018-07-02T22:23:00.186641Z`
fn timestamp(microseconds: u64) -> String {
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let (year, month, day) = super::answer::civil(seconds / 86_400);
    let second = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:06}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            kind: "http",
            created: 1_530_570_180_070_641,
            ended: 1_530_570_180_186_641,
            client: ([192, 168, 131, 39], 2817).into(),
            target: Some(SocketAddrV4::new([10, 0, 0, 1].into(), 80)),
            times: [0, 1, 0].map(|time| Some(Duration::from_millis(time))),
            elb_status: Some(200),
            target_status: Some(200),
            received: 34,
            sent: 366,
            request: Some("GET http://www.example.com:80/ HTTP/1.1".to_owned()),
            user_agent: Some("curl/7.46.0".to_owned()),
            tls: None,
            connection: "TID_1234abcd5678ef90".to_owned(),
            group: Some("arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/my-targets/73e2d6bc24d8a067".to_owned()),
            trace: Some("Root=1-58337262-36d228ad5d99923122bbe354".to_owned()),
            rule: Some(0),
            action: Some("forward"),
            redirect: None,
            verdict: Reason::Compliant,
        }
    }

    #[test]
    fn a_record_has_the_guides_fields_in_the_guides_order() {
        let line =
            record().line("arn:aws:elasticloadbalancing:us-east-2:1:loadbalancer/app/my-loadbalancer/50dc6c495c0c9188");
        assert_eq!(
            line,
            "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 \
             0.000 0.001 0.000 200 200 34 366 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.46.0\" - - \
             arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/my-targets/73e2d6bc24d8a067 \
             \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 0 2018-07-02T22:23:00.070641Z \"forward\" \"-\" \
             \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\" TID_1234abcd5678ef90"
        );
    }

    #[test]
    fn of_tls_there_is_the_host_and_the_certificate_that_it_chose() {
        let tls = |domain: Option<&str>, certificate: Option<&str>| {
            let (cipher, version) = ("ECDHE-RSA-AES128-GCM-SHA256".to_owned(), "TLSv1.2".to_owned());
            let (domain, certificate) = (domain.map(ToOwned::to_owned), certificate.map(ToOwned::to_owned));
            Record { tls: Some(TlsRecord { cipher, version, domain, certificate }), ..record() }.line("lb")
        };
        let named = tls(Some("www.example.com"), Some("arn:c"));
        assert!(named.contains(" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 "), "{named}");
        assert!(named.contains("bbe354\" \"www.example.com\" \"arn:c\" 0 "), "{named}");
        let resumed = tls(None, None);
        assert!(resumed.contains("bbe354\" \"-\" \"session-reused\" 0 "), "{resumed}");
    }

    #[test]
    fn nothing_that_a_client_says_ends_its_field_or_the_line() {
        let hostile = Record {
            user_agent: Some("a\" \"b\\\r\nhttp".to_owned()),
            verdict: Reason::BothTeClPresent,
            times: [Some(Duration::from_millis(2)), None, None],
            elb_status: None,
            ..record()
        };
        let line = hostile.line("lb");
        assert!(line.contains(" \"a\\x22 \\x22b\\x5C\\x0D\\x0Ahttp\" "), "{line}");
        assert!(line.contains(" 0.002 -1 -1 - 200 "), "{line}");
        assert!(line.ends_with(" \"Ambiguous\" \"BothTeClPresent\" TID_1234abcd5678ef90"), "{line}");
    }
}

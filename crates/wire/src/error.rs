//! The error that an operation answers: AWS's code, message and HTTP status, independent of the protocol that carries
//! it.

use std::borrow::Cow;
use std::fmt;

/// Who is at fault, as the query protocols say it in `<Type>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller: 4xx.
    Sender,
    /// The service: 5xx.
    Receiver,
}

impl Fault {
    /// `Sender` or `Receiver`, as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Sender => "Sender",
            Fault::Receiver => "Receiver",
        }
    }
}

/// An error as AWS's clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    /// The error code, such as `InvalidVpcID.NotFound`.
    pub code: Cow<'static, str>,
    /// The text for people.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
    /// Who is at fault.
    pub fault: Fault,
    /// Members of the error beside code and message, by their wire names.
    pub extra: Vec<(String, String)>,
}

impl AwsError {
    /// An error of the caller's, with HTTP status 400.
    pub fn client(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        AwsError { code: code.into(), message: message.into(), status: 400, fault: Fault::Sender, extra: Vec::new() }
    }

    /// An error of ours: `InternalFailure`, HTTP status 500.
    pub fn internal(message: impl Into<String>) -> Self {
        AwsError {
            code: Cow::Borrowed("InternalFailure"),
            message: message.into(),
            status: 500,
            fault: Fault::Receiver,
            extra: Vec::new(),
        }
    }

    /// The same error with another HTTP status; from 500 on the fault is the service's.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self.fault = if status >= 500 { Fault::Receiver } else { Fault::Sender };
        self
    }

    /// The same error with one more member.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.push((name.into(), value.into()));
        self
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for AwsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_500_or_more_is_the_services_fault() {
        assert_eq!(AwsError::client("Throttling", "slow").status(503).fault, Fault::Receiver);
        assert_eq!(AwsError::client("NotFound", "gone").status(404).fault, Fault::Sender);
        assert_eq!(AwsError::internal("oops").fault.as_str(), "Receiver");
    }
}

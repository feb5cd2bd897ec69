//! How safe a request is: what two readers could take for different requests, and what becomes of it.
//!
//! Tiers, reasons and what each mode does are those of the ALB guide (Desync mitigation mode; Access
//! logs, Classification reasons) and of AWS's `http_desync_guardian`. We are stricter in one thing: what
//! has no one meaning (a length that is no number, two different ones, a null byte) cannot be written
//! anew, so it is refused in every mode, and never gets a verdict here.

use crate::config::DesyncMode;

/// How dangerous a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// It keeps the rules.
    Compliant,
    /// It breaks one, to no harm.
    Acceptable,
    /// Readers may disagree where it ends.
    Ambiguous,
    /// It is made for readers to disagree.
    Severe,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    /// Nothing.
    #[default]
    Compliant,
    /// `GetHeadZeroContentLength`: GET or HEAD with a Content-Length of 0.
    GetHeadZeroContentLength,
    /// `NonCompliantHeader`: bytes beyond ASCII in a header.
    NonCompliantHeader,
    /// `BothTeClPresent`: Transfer-Encoding and Content-Length.
    BothTeClPresent,
    /// `DuplicateContentLength`: the same one twice.
    DuplicateContentLength,
    /// `SuspiciousHeader`: a name that a lax reader takes for Content-Length or Transfer-Encoding.
    SuspiciousHeader,
    /// `UndefinedContentLengthSemantics`: GET or HEAD with a body of some length.
    UndefinedContentLengthSemantics,
    /// `UndefinedTransferEncodingSemantics`: GET or HEAD with Transfer-Encoding.
    UndefinedTransferEncodingSemantics,
    /// `SuspiciousTeClPresent`: both, one of them under a suspicious name.
    SuspiciousTeClPresent,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It passes.
    Pass,
    /// It passes, and neither connection is used again.
    PassAndClose,
    /// 400.
    Refuse,
}

impl Reason {
    /// Its tier.
    pub fn tier(self) -> Tier {
        match self {
            Self::Compliant => Tier::Compliant,
            Self::GetHeadZeroContentLength | Self::NonCompliantHeader => Tier::Acceptable,
            Self::BothTeClPresent
            | Self::DuplicateContentLength
            | Self::SuspiciousHeader
            | Self::UndefinedContentLengthSemantics
            | Self::UndefinedTransferEncodingSemantics => Tier::Ambiguous,
            Self::SuspiciousTeClPresent => Tier::Severe,
        }
    }

    /// The worse of two; of equals the first.
    pub fn or(&mut self, other: Self) {
        if other.tier() > self.tier() {
            *self = other;
        }
    }

    /// What a mode does with it.
    pub fn treatment(self, mode: DesyncMode) -> Treatment {
        match (mode, self.tier()) {
            (DesyncMode::Monitor, _) | (_, Tier::Compliant) | (DesyncMode::Defensive, Tier::Acceptable) => {
                Treatment::Pass
            }
            (DesyncMode::Defensive, Tier::Ambiguous) => Treatment::PassAndClose,
            (DesyncMode::Defensive, Tier::Severe) | (DesyncMode::Strictest, _) => Treatment::Refuse,
        }
    }
}

/// The length header that a lax reader could take `name` for, if it is not one by itself.
pub fn imitates(name: &str) -> Option<Imitated> {
    // The shortest and the longest worth a look: with a separator or two more than the original has.
    if !(13..=20).contains(&name.len()) {
        return None;
    }
    let same = |original: &str| {
        let mut letters = name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
        original.bytes().all(|byte| letters.next() == Some(byte)) && letters.next().is_none()
    };
    if same("contentlength") {
        Some(Imitated::ContentLength)
    } else if same("transferencoding") {
        Some(Imitated::TransferEncoding)
    } else {
        None
    }
}

/// See [`imitates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imitated {
    /// `Content-Length`
    ContentLength,
    /// `Transfer-Encoding`
    TransferEncoding,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_treats_each_tier_as_the_guides_table_says() {
        use Treatment::{Pass, PassAndClose, Refuse};
        let of = |reason: Reason| {
            [DesyncMode::Monitor, DesyncMode::Defensive, DesyncMode::Strictest].map(|mode| reason.treatment(mode))
        };
        assert_eq!(of(Reason::Compliant), [Pass, Pass, Pass]);
        assert_eq!(of(Reason::NonCompliantHeader), [Pass, Pass, Refuse]);
        assert_eq!(of(Reason::BothTeClPresent), [Pass, PassAndClose, Refuse]);
        assert_eq!(of(Reason::SuspiciousTeClPresent), [Pass, Refuse, Refuse]);
    }

    #[test]
    fn names_that_normalize_to_a_length_header_are_suspicious() {
        for (name, expected) in [
            ("Content_Length", Some(Imitated::ContentLength)),
            ("CONTENTLENGTH", Some(Imitated::ContentLength)),
            ("Content.Length", Some(Imitated::ContentLength)),
            ("Transfer_Encoding", Some(Imitated::TransferEncoding)),
            ("transferencoding", Some(Imitated::TransferEncoding)),
            ("Content-Lengths", None),
            ("Accept-Encoding", None),
        ] {
            assert_eq!(imitates(name), expected, "{name}");
        }
    }
}

//! What can be wrong with a configuration. A query is never an error here: it has an answer or is dropped.

/// Why a configuration or a change of it was refused. The snapshot that was there stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is none.
    #[error("reading the name {text:?}")]
    Name {
        /// As configured.
        text: String,
        /// What is wrong with it.
        source: crate::name::NameError,
    },
    /// A value that is not of its type.
    #[error("reading a value of {name} {type_}: {text:?}: {reason}")]
    Value {
        /// The owner.
        name: String,
        /// The type.
        type_: String,
        /// The value as configured.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A record type that this plane does not serve.
    #[error("record type {type_} of {name} is not served")]
    Type {
        /// The owner.
        name: String,
        /// The type.
        type_: String,
    },
    /// A record set outside its zone, or under another name than the change says.
    #[error("record set {name} does not belong in {zone}")]
    OutOfZone {
        /// The owner.
        name: String,
        /// The apex, or the name that was to be put.
        zone: String,
    },
    /// Record sets of one name and type with policies that do not go together.
    #[error("the record sets of {name} {type_} have policies that do not go together")]
    Policies {
        /// The owner.
        name: String,
        /// The type.
        type_: String,
    },
    /// A place whose prefix is none.
    #[error("{text:?} is no prefix of addresses")]
    Prefix {
        /// As configured.
        text: String,
    },
    /// A record set with both values and an alias, or with neither.
    #[error("record set {name} {type_} needs either values or an alias")]
    Content {
        /// The owner.
        name: String,
        /// The type.
        type_: String,
    },
    /// A change of a zone that is not there.
    #[error("no zone {zone} in view {view}")]
    NoZone {
        /// The view.
        view: String,
        /// The apex.
        zone: String,
    },
    /// A configuration older than the one applied.
    #[error("revision {offered} is older than {applied}, which is applied")]
    Stale {
        /// What is being served.
        applied: u64,
        /// What was refused.
        offered: u64,
    },
}

//! AWS's wire protocols: a request to (service, operation, input), an output or an error to bytes. Knows no service: it
//! walks the static tables that services generate from their `shapes` files.
//!
//! [`door`] is the way in and out. Behind it each protocol parses bytes into a tree of its own, one walk (`node`) fills a
//! structure from any of them, and a writer per protocol walks structures the other way.
#![forbid(unsafe_code)]

mod bounds;
mod cbor;
mod decode;
pub mod door;
mod encode;
mod error;
pub mod facts;
mod form;
mod identify;
mod json;
mod node;
mod rest;
mod scalars;
pub mod sigv4;
mod structure;
pub mod value;
mod violations;
mod xml;

pub use bounds::Bounds;
pub use error::{AwsError, Fault};
pub use facts::{Api, OperationFacts, Protocol, StructureFacts};
pub use scalars::{Blob, Time};
pub use structure::{Enum, List, Map, Operation, Slot, Structure, UnknownValue, Value, View, boxed};
pub use violations::{Path, Step, Violation, ViolationKind, Violations};

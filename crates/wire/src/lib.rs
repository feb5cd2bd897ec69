//! AWS's wire protocols: a request to (service, operation, input), an output or an error to bytes. Knows no service: it
//! walks the static tables that services generate from their `shapes` files.
#![forbid(unsafe_code)]

mod error;
pub mod facts;
mod scalars;
mod structure;

pub use error::{AwsError, Fault};
pub use facts::{Api, OperationFacts, Protocol, StructureFacts};
pub use scalars::{Blob, Time};
pub use structure::{Enum, List, Map, Operation, Slot, Structure, UnknownValue, Value, View, boxed};

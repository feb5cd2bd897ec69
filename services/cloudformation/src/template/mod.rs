//! Templates: text to model, model checked, values evaluated. Pure: nothing here knows a stack or a service.
//!
//! [`Template::parse`] reads a text, its transforms done ([`transforms`]), [`validate`] checks its names against a [`Catalog`] of resource types,
//! [`parameters::resolve`] settles the parameters, [`eval::conditions`] the conditions, [`graph::dependencies`] the order,
//! and [`Evaluator`] what each value comes to. A stack stores its template's text and reads it again when it needs it.

pub mod dynamic;
mod error;
pub mod eval;
pub mod expr;
pub mod graph;
mod model;
mod node;
pub mod parameters;
pub mod parse;
pub mod rules;
#[cfg(test)]
mod tests;
pub mod transforms;
mod unknown;
mod validate;

pub use error::TemplateError;
pub use eval::{Evaluator, Scope};
pub use model::{Output, Policy, Resource, Template};
pub use node::Position;
pub use parameters::{Given, Parameter, ParameterType};
pub use validate::{Catalog, PSEUDO_PARAMETERS, validate};

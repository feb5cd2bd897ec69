//! What a bad template or parameter is answered with: CloudFormation's own sentence, and where in the text it is meant.

use super::node::Position;

/// A template that cannot be used, or a value that does not fit it.
///
/// CloudFormation answers all of these as `ValidationError`. Its own sentences rarely say where; ours end with the
/// position, which no client parses and every reader wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", place(self.at))]
pub struct TemplateError {
    /// The sentence, as CloudFormation words it.
    pub message: String,
    /// The node that is wrong, where one can be named.
    pub at: Option<Position>,
}

impl TemplateError {
    /// An error that no single place in the text is to blame for.
    pub fn new(message: impl Into<String>) -> Self {
        TemplateError { message: message.into(), at: None }
    }

    /// An error at a node.
    pub fn at(at: Position, message: impl Into<String>) -> Self {
        TemplateError { message: message.into(), at: Some(at) }
    }
}

fn place(at: Option<Position>) -> String {
    match at {
        // AWS puts the position of a syntax error in the sentence itself; those carry none here.
        Some(at) => format!(" (at {at})"),
        None => String::new(),
    }
}

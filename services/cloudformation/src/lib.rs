//! CloudFormation: templates become stacks, through the API operations of the services that the template names.

#![forbid(unsafe_code)]

pub mod template;

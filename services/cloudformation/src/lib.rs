//! AWS CloudFormation: templates become stacks, through the API operations of the services that the template names.
//!
//! [`template`] reads, checks and evaluates templates, and knows nothing of stacks. [`types`] says what each resource type
//! takes and how it is made, changed and deleted by its service's operations. [`engine`] drives stacks step by step, and
//! `operations` is the API.
#![forbid(unsafe_code)]

mod attributes;
mod drift;
pub mod engine;
mod errors;
pub mod handles;
mod model;
mod operations;
mod planned;
mod progress;
mod resource;
mod secrets;
pub mod shapes;
mod stack_policy;
pub mod template;
pub mod types;

use std::sync::Arc;
use std::time::Duration;

pub use errors::Error;
pub use model::Stack;

use engine::{Engine, Interrupt, Retention};
use operations::{
    change_sets, describe, drift as drifts, events, exports, lifecycle, policies, recovery, resources, templates,
};
use shapes::ops;
use zonal_cloud::{Controller, Coverage, Entry, Registrar, Service, read, write};
use zonal_wire::Api;

/// How long a Describe of a stack under way waits for it.
const SETTLE: Duration = Duration::from_secs(10);

/// The service.
pub struct CloudFormation {
    interrupt: Arc<Interrupt>,
}

impl Default for CloudFormation {
    fn default() -> Self {
        CloudFormation { interrupt: Arc::new(|_| None) }
    }
}

impl CloudFormation {
    /// The service, with calls that fail when told to: for tests of what a failure leaves.
    pub fn interrupted(interrupt: Arc<Interrupt>) -> Self {
        CloudFormation { interrupt }
    }
}

impl Service for CloudFormation {
    fn name(&self) -> &'static str {
        "cloudformation"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        const SPENT: &str = "TokenAlreadyExistsException";
        vec![
            write::<ops::CreateStack>(lifecycle::create)
                .idempotent::<ops::CreateStack>(|input| input.client_request_token.as_deref(), SPENT),
            write::<ops::UpdateStack>(lifecycle::update)
                .idempotent::<ops::UpdateStack>(|input| input.client_request_token.as_deref(), SPENT),
            write::<ops::DeleteStack>(lifecycle::delete)
                .idempotent::<ops::DeleteStack>(|input| input.client_request_token.as_deref(), SPENT),
            write::<ops::CancelUpdateStack>(recovery::cancel),
            write::<ops::ContinueUpdateRollback>(recovery::continue_rollback),
            write::<ops::RollbackStack>(recovery::rollback),
            write::<ops::UpdateTerminationProtection>(policies::termination_protection),
            write::<ops::SetStackPolicy>(policies::set),
            read::<ops::GetStackPolicy>(policies::get),
            read::<ops::DescribeStacks>(describe::describe).settles::<ops::DescribeStacks>(SETTLE, describe::under_way),
            read::<ops::ListStacks>(describe::list),
            read::<ops::DescribeStackEvents>(events::describe),
            read::<ops::DescribeStackResource>(resources::describe_one),
            read::<ops::DescribeStackResources>(resources::describe),
            read::<ops::ListStackResources>(resources::list),
            write::<ops::SignalResource>(resources::signal),
            write::<ops::DetectStackDrift>(drifts::detect),
            write::<ops::DetectStackResourceDrift>(drifts::detect_one),
            read::<ops::DescribeStackDriftDetectionStatus>(drifts::status),
            read::<ops::DescribeStackResourceDrifts>(drifts::describe),
            read::<ops::DescribeAccountLimits>(describe::limits),
            write::<ops::CreateChangeSet>(change_sets::create)
                .idempotent::<ops::CreateChangeSet>(|input| input.client_token.as_deref(), SPENT),
            read::<ops::DescribeChangeSet>(change_sets::describe),
            write::<ops::ExecuteChangeSet>(change_sets::execute)
                .idempotent::<ops::ExecuteChangeSet>(|input| input.client_request_token.as_deref(), SPENT),
            write::<ops::DeleteChangeSet>(change_sets::delete),
            read::<ops::ListChangeSets>(change_sets::list),
            read::<ops::GetTemplate>(templates::get),
            read::<ops::GetTemplateSummary>(templates::summary),
            read::<ops::ValidateTemplate>(templates::validate),
            read::<ops::ListExports>(exports::list),
            read::<ops::ListImports>(exports::imports),
        ]
    }

    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        vec![Box::new(Engine::new(self.interrupt.clone())), Box::new(Retention)]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<model::Stack>();
        registrar.record::<model::TemplateText>();
        registrar.record::<model::Operation>();
        registrar.record::<model::StackResource>();
        registrar.record::<model::StackEvent>();
        registrar.record::<model::ChangeSet>();
        registrar.record::<model::Export>();
        registrar.record::<handles::WaitHandle>();
        registrar.record::<drift::Detection>();
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            without_effect: &[
                ("CreateStack", "NotificationARNs", "shown; nobody is told"),
                ("CreateStack", "RoleARN", "shown; calls are made in the caller's name"),
                (
                    "CreateStack",
                    "Capabilities",
                    "CAPABILITY_AUTO_EXPAND is needed for transforms; no type here needs one of the others",
                ),
                ("CreateChangeSet", "IncludeNestedStacks", "no effect: there are no nested stacks"),
            ],
        }
    }
}
